import { assertEquals } from "@std/assert";
import { readClientCredentials } from "../../lib/token_service/client_authentication.ts";
import { createParameters } from "../../lib/token_service/mod.ts";

const read = (authorization: string | null, form: Readonly<Record<string, string>> = {}) =>
  readClientCredentials(authorization, createParameters(Object.entries(form)));

Deno.test("readClientCredentials() reads Basic, body, and a bare client_id", () => {
  const web = { kind: "credentials", clientId: "web", secret: "s" } as const;
  assertEquals(read(`Basic ${btoa("web:s")}`), web);
  assertEquals(read(`bAsIc ${btoa("web:s")}`), web);
  assertEquals(read(`Basic ${btoa("web:s")}`, { client_id: "web" }), web);
  assertEquals(read(`Basic ${btoa("w%65b:a%3Ab+c")}`), { ...web, secret: "a:b c" });
  assertEquals(read(`Basic ${btoa("web:a:b")}`), { ...web, secret: "a:b" });
  assertEquals(read(null, { client_id: "web", client_secret: "s" }), web);
  assertEquals(read("Bearer x", { client_id: "spa" }), { ...web, clientId: "spa", secret: null });
});

Deno.test("readClientCredentials() refuses two methods, contradictions and what is malformed", () => {
  const basic = `Basic ${btoa("web:s")}`;
  const rows: readonly (readonly [string, string | null, Readonly<Record<string, string>>])[] = [
    ["invalid_client", null, {}],
    ["invalid_client", null, { client_secret: "s" }],
    ["invalid_request", basic, { client_id: "web", client_secret: "s" }],
    ["invalid_request", basic, { client_secret: "s" }],
    ["invalid_request", basic, { client_id: "spa" }],
    ["invalid_client", "Basic", { client_id: "spa" }],
    ["invalid_client", "Basic !!!", { client_id: "spa" }],
    ["invalid_client", `Basic ${btoa("no colon")}`, { client_id: "spa" }],
    ["invalid_client", `Basic ${btoa(":s")}`, {}],
    ["invalid_client", `Basic ${btoa("web:%zz")}`, {}],
    ["invalid_client", `Basic ${btoa("\xff\xfe:s")}`, {}],
    ["invalid_client", null, { client_id: "web", client_assertion: "x.y.z" }],
    ["invalid_client", null, { client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" }],
  ];
  for (const [error, authorization, form] of rows) {
    const reading = read(authorization, form);
    assertEquals<string | false>(
      reading.kind === "refused" && reading.error,
      error,
      `${authorization} ${JSON.stringify(form)}`,
    );
  }
});
