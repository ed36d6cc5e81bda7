import { assertEquals } from "@std/assert";
import { type ClientAuthentication, clientSecretBasic, clientSecretPost, publicClient } from "../../lib/oauth/mod.ts";
import { Secret } from "../../lib/secret.ts";

async function applied(authentication: ClientAuthentication) {
  const request = { headers: new Headers(), body: new URLSearchParams({ grant_type: "refresh_token" }) };
  await authentication(request);
  return { headers: Object.fromEntries(request.headers), body: Object.fromEntries(request.body) };
}

Deno.test("clientSecretBasic() sends both halves form-encoded in the header", async () => {
  // The example of RFC 6749, section 2.3.1.
  assertEquals(await applied(clientSecretBasic("s6BhdRkqt3", new Secret("7Fjfp0ZBr1KtDRbnfVdmIw"))), {
    headers: { authorization: "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3" },
    body: { grant_type: "refresh_token" },
  });
  const table: readonly (readonly [id: string, secret: string, credentials: string])[] = [
    ["a:b", "c:d", "a%3Ab:c%3Ad"],
    ["a b", "c+d&e=f%", "a+b:c%2Bd%26e%3Df%25"],
    ["", "", ":"],
    ["é", "✓", "%C3%A9:%E2%9C%93"],
    ["a-b_c.d~e", "f*g!h'i(j)", "a-b_c.d~e:f*g!h'i(j)"],
    ["a\r\nb", "\u0000", "a%0D%0Ab:%00"],
  ];
  for (const [id, secret, credentials] of table) {
    const { headers } = await applied(clientSecretBasic(id, new Secret(secret)));
    assertEquals(atob(headers.authorization!.slice("Basic ".length)), credentials);
    // What a server does with it.
    const decoded = credentials.split(":").map((half) => new URLSearchParams(`x=${half}`).get("x"));
    assertEquals(decoded, [id, secret]);
  }
});

Deno.test("clientSecretPost() sends both in the body", async () => {
  assertEquals(await applied(clientSecretPost("a:b", new Secret("c d"))), {
    headers: {},
    body: { grant_type: "refresh_token", client_id: "a:b", client_secret: "c d" },
  });
});

Deno.test("publicClient() sends the id alone", async () => {
  assertEquals(await applied(publicClient("web")), {
    headers: {},
    body: { grant_type: "refresh_token", client_id: "web" },
  });
});

Deno.test("no client authentication shows its secret when printed", () => {
  for (const create of [clientSecretBasic, clientSecretPost]) {
    const authentication = create("web", new Secret("open sesame"));
    assertEquals(Deno.inspect(authentication, { showHidden: true, depth: 9 }).includes("sesame"), false);
  }
});
