import { assert, assertEquals, assertFalse, assertMatch, assertNotEquals } from "@std/assert";
import { StoreUnavailableError } from "../../../lib/store/records.ts";
import { createTokenServiceApp } from "../../../routes/token_service/mod.ts";
import { authorizePath, createKit, ISSUER } from "../../token_service/kit.ts";

Deno.test("both discovery documents say the same, under the issuer's exact name", async () => {
  const { send } = await createKit();
  const texts = [];
  for (const name of ["openid-configuration", "oauth-authorization-server"]) {
    const answer = await send(`/.well-known/${name}`);
    assertEquals(answer.headers.get("content-type"), "application/json");
    assertMatch(answer.headers.get("cache-control")!, /^public, max-age=15, /);
    assertEquals(answer.headers.get("pragma"), null);
    texts.push(await answer.text());
  }
  assertEquals(texts[0], texts[1]);
  const document = JSON.parse(texts[0]!);
  assertEquals(document.issuer, ISSUER);
  assertEquals(document.code_challenge_methods_supported, ["S256"]);
  assertEquals(document.response_types_supported, ["code"]);
  assertEquals(document.authorization_response_iss_parameter_supported, true);
  assertEquals(document.id_token_signing_alg_values_supported, ["RS256", "ES256"]);
});

Deno.test("every endpoint that the document names is there", async () => {
  const { send } = await createKit();
  const document = await (await send("/.well-known/openid-configuration")).json();
  const names = Object.keys(document).filter((name) => name.endsWith("_endpoint") || name === "jwks_uri");
  assertEquals(names.length, 6);
  for (const name of names) {
    const path = document[name].slice(ISSUER.length - 1);
    assert(document[name].startsWith(ISSUER));
    assertNotEquals((await send(path)).status, 404, name);
  }
});

Deno.test("the key set may be kept, is the same under both names, and holds no private member", async () => {
  const { send } = await createKit();
  const answers = [await send("/.well-known/jwks.json"), await send("/jwks")];
  const [first, second] = await Promise.all(answers.map((answer) => answer.json()));
  assertEquals(first, second);
  assertEquals(answers[0]!.headers.get("cache-control"), "public, max-age=900");
  assertEquals(first.keys.map(({ kty }: { kty: string }) => kty), ["RSA", "EC"]);
  for (const key of first.keys) {
    for (const member of ["d", "p", "q", "dp", "dq", "qi", "k", "oth"]) assertFalse(member in key, member);
  }
});

Deno.test("unknown addresses are 404, unknown methods 405, and nothing answers other sites", async () => {
  const { send } = await createKit();
  assertEquals((await send("/")).status, 404);
  assertEquals((await send("/oauth/token/")).status, 404);
  const refused = await send("/userinfo", { method: "DELETE" });
  assertEquals([refused.status, refused.headers.get("allow")], [405, "GET, POST"]);
  const preflight = await send("/authorize", {
    method: "OPTIONS",
    headers: { origin: "https://evil.test", "access-control-request-method": "GET" },
  });
  assertEquals([preflight.status, preflight.headers.get("access-control-allow-origin")], [405, null]);
});

Deno.test("under a path everything stands below it, and discovery where either standard looks for it", async () => {
  for (const issuer of ["https://www.test/id/", "https://www.test/id"]) {
    const { app } = await createKit({ issuer });
    const status = async (path: string) => (await app.fetch(new Request(`https://www.test${path}`))).status;
    const documents = [
      "/id/.well-known/openid-configuration",
      "/id/.well-known/oauth-authorization-server",
      "/.well-known/oauth-authorization-server/id",
      "/.well-known/openid-configuration/id",
    ];
    for (const path of documents) {
      const document = await (await app.fetch(new Request(`https://www.test${path}`))).json();
      assertEquals([document.issuer, document.token_endpoint], [issuer, "https://www.test/id/oauth/token"]);
    }
    assertEquals(await status("/id/jwks"), 200);
    for (const path of ["/jwks", "/authorize", "/.well-known/openid-configuration"]) {
      assertEquals(await status(path), 404);
    }
    const page = await app.fetch(new Request(`https://www.test/id${authorizePath()}`));
    assertMatch(await page.text(), /action="\/id\/login"/);
  }
});

Deno.test("a store that does not answer is an outage, not a refusal, and says nothing about itself", async () => {
  const kit = await createKit();
  const broken = (error: Error) => ({ ...kit.records, find: () => Promise.reject(error) });
  const outage = await createKit();
  Object.assign(outage.records, broken(new StoreUnavailableError("read a record")));
  const form = { grant_type: "client_credentials", client_id: "machine", client_secret: "x" };
  const answer = await outage.send("/oauth/token", { form });
  assertEquals([answer.status, answer.headers.get("retry-after")], [503, "5"]);
  assertEquals((await answer.json()).error, "temporarily_unavailable");
  assertEquals(outage.events, [{ level: "error", event: "token_service_failed", reason: "store_unavailable" }]);

  const bug = await createKit();
  Object.assign(bug.records, broken(new Error("secret detail")));
  for (const accept of ["application/json", "text/html"]) {
    const response = await bug.send(authorizePath(), { headers: { accept } });
    assertEquals(response.status, 500);
    const text = await response.text();
    assertMatch(text, /server_error/);
    assertFalse(/secret|at .*\.ts|Error:/.test(text), text);
    assertEquals(text.includes("<!DOCTYPE html>"), accept === "text/html");
  }
});

Deno.test("createTokenServiceApp() needs no log", async () => {
  const { service } = await createKit();
  const app = createTokenServiceApp(service, { clientAddress: () => "::1" });
  assertEquals((await app.fetch(new Request(`${ISSUER}jwks`))).status, 200);
});
