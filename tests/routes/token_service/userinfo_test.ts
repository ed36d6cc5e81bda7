import { assert, assertEquals, assertFalse } from "@std/assert";
import { API, createKit, refresh, SECRET, type Sent, userinfoStatus, Visitor } from "../../token_service/kit.ts";

Deno.test("GET|POST /userinfo says who a token stands for, as far as its scopes allow", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const { access_token } = await visitor.tokens({ scope: "openid email" });
  const requests: readonly (readonly [string, Sent])[] = [
    ["/userinfo", { headers: { authorization: `Bearer ${access_token}` } }],
    ["/oauth/userinfo", { headers: { authorization: `bEARER  ${access_token}` } }],
    ["/userinfo", { method: "POST", headers: { authorization: `Bearer ${access_token}` } }],
    ["/userinfo", { form: { access_token } }],
  ];
  for (const [path, request] of requests) {
    const answer = await kit.send(path, request);
    assertEquals(answer.status, 200);
    assertEquals(answer.headers.get("cache-control"), "no-store");
    assertEquals(await answer.json(), { sub: "user-ada", email: "ada@example.com", email_verified: true });
  }
});

Deno.test("GET /userinfo refuses what is not one good token in one place", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const { access_token, refresh_token, id_token } = await visitor.tokens();
  const authorization = `Bearer ${access_token}`;
  const rows: readonly (readonly [string, number, string, string, Sent])[] = [
    ["nothing", 401, "Bearer", "/userinfo", {}],
    ["query alone", 401, "Bearer", `/userinfo?access_token=${access_token}`, {}],
    ["another scheme", 401, "Bearer", "/userinfo", { headers: { authorization: `Basic ${access_token}` } }],
    ["DPoP scheme", 401, "Bearer", "/userinfo", { headers: { authorization: `DPoP ${access_token}` } }],
    ["query and header", 400, "invalid_request", `/userinfo?access_token=${access_token}`, {
      headers: { authorization },
    }],
    ["body and header", 400, "invalid_request", "/userinfo", { form: { access_token }, headers: { authorization } }],
    ["two in one header", 401, "invalid_token", "/userinfo", {
      headers: { authorization: `${authorization}, Bearer x` },
    }],
    ["unknown", 401, "invalid_token", "/userinfo", { headers: { authorization: "Bearer oat_nope" } }],
    ["refresh token", 401, "invalid_token", "/userinfo", { headers: { authorization: `Bearer ${refresh_token}` } }],
    ["ID token", 401, "invalid_token", "/userinfo", { headers: { authorization: `Bearer ${id_token}` } }],
    ["quotes", 401, "invalid_token", "/userinfo", { headers: { authorization: 'Bearer "x"' } }],
    ["JSON body", 415, "", "/userinfo", { body: "{}", headers: { "content-type": "application/json" } }],
  ];
  for (const [what, status, challenge, path, request] of rows) {
    const answer = await kit.send(path, request);
    assertEquals(answer.status, status, what);
    const header = answer.headers.get("www-authenticate") ?? "";
    assert(challenge === "Bearer" ? header === "Bearer" : header.includes(challenge), `${what}: ${header}`);
    assertFalse((await answer.text()).includes("ada"), what);
  }
});

Deno.test("GET /userinfo wants the scope openid and says so", async () => {
  const kit = await createKit();
  const { access_token } = await new Visitor(kit).tokens({ scope: "read:articles" });
  const answer = await kit.send("/userinfo", { headers: { authorization: `Bearer ${access_token}` } });
  assertEquals([answer.status, (await answer.json()).error], [403, "insufficient_scope"]);
  const header = answer.headers.get("www-authenticate")!;
  assert(header.includes('error="insufficient_scope"') && header.includes('scope="openid"'), header);
});

Deno.test("an access token ends with its time, its client and its grant, JWT or not", async () => {
  for (const audience of [null, API]) {
    const kit = await createKit();
    const visitor = new Visitor(kit);
    const { access_token, refresh_token } = await visitor.tokens({ audience });
    assertEquals(await userinfoStatus(kit, access_token), 200);
    await kit.service.clients.update("spa", { isDisabled: true });
    assertEquals(await userinfoStatus(kit, access_token), 401);
    await kit.service.clients.update("spa", { isDisabled: false });
    kit.pass(3600);
    assertEquals(await userinfoStatus(kit, access_token), 401);
    const second = (await refresh(kit, refresh_token)).body;
    await kit.service.revokeAllForUser("user-ada");
    assertEquals(await userinfoStatus(kit, second.access_token), 401);
  }
});

Deno.test("POST /oauth/revoke ends a token whatever the hint says; a refresh token takes its grant along", async () => {
  for (const token_type_hint of ["", "access_token", "refresh_token", "id_token"]) {
    const kit = await createKit();
    const visitor = new Visitor(kit);
    const tokens = await visitor.tokens();
    const revoke = async (token: string) => {
      const answer = await kit.send("/oauth/revoke", { form: { client_id: "spa", token, token_type_hint } });
      assertEquals([answer.status, await answer.text()], [200, "{}"]);
    };
    await revoke(tokens.access_token);
    assertEquals(await userinfoStatus(kit, tokens.access_token), 401);
    const second = (await refresh(kit, tokens.refresh_token)).body;
    await revoke(second.refresh_token);
    assertEquals(await userinfoStatus(kit, second.access_token), 401);
    assertEquals((await refresh(kit, second.refresh_token)).body.error, "invalid_grant");
  }
});

Deno.test("POST /oauth/revoke accepts JSON and Basic, and does nothing to tokens of others", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const tokens = await visitor.tokens();
  const authorization = `Basic ${btoa(`web:${SECRET}`)}`;
  for (const token of [tokens.refresh_token, tokens.access_token, "nope"]) {
    const headers = { authorization, "content-type": "application/json" };
    assertEquals((await kit.send("/oauth/revoke", { body: JSON.stringify({ token }), headers })).status, 200);
  }
  assertEquals(await userinfoStatus(kit, tokens.access_token), 200);
  assertEquals((await refresh(kit, tokens.refresh_token)).status, 200);
});

Deno.test("POST /oauth/revoke refuses what it cannot read, and clients that it does not know", async () => {
  const { send } = await createKit();
  const rows: readonly (readonly [number, string, Sent])[] = [
    [400, "invalid_request", { form: { client_id: "spa" } }],
    [400, "invalid_request", { form: [["client_id", "spa"], ["token", "a"], ["token", "b"]] }],
    [401, "invalid_client", { form: { token: "x" } }],
    [401, "invalid_client", { form: { token: "x", client_id: "web", client_secret: "wrong" } }],
    [415, "invalid_request", { body: "x", headers: { "content-type": "text/plain" } }],
    [405, "invalid_request", {}],
  ];
  for (const [status, error, request] of rows) {
    const answer = await send("/oauth/revoke", request);
    assertEquals([answer.status, (await answer.json()).error], [status, error]);
  }
});
