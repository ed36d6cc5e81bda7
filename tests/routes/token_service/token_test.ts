import { assert, assertEquals, assertFalse, assertMatch, assertNotEquals } from "@std/assert";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "@panva/jose";
import { hashOf } from "../../../lib/encoding.ts";
import {
  API,
  assertRefused,
  codeForm,
  createKit,
  ISSUER,
  readJwt,
  redeem,
  refresh,
  SECRET,
  type Sent,
  userinfoStatus,
  VERIFIER,
  Visitor,
} from "../../token_service/kit.ts";

const BASIC = { authorization: `Basic ${btoa(`web:${SECRET}`)}` };
const WRONG_VERIFIER = "a".repeat(43);

Deno.test("POST /oauth/token redeems a code by form and by JSON, for public and confidential clients", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const web = { client_id: "web", client_secret: SECRET };
  const json = (form: unknown): Sent => ({
    body: JSON.stringify(form),
    headers: { "content-type": "application/json" },
  });
  const { client_id: _, ...anonymous } = codeForm("");
  const rows: readonly (readonly [string, (code: string) => Sent])[] = [
    ["spa", (code) => ({ form: codeForm(code) })],
    ["spa", (code) => json(codeForm(code))],
    ["spa", (code) => ({
      body: new URLSearchParams(codeForm(code)).toString(),
      headers: { "content-type": 'application/x-www-form-urlencoded; charset="UTF-8"' },
    })],
    ["web", (code) => ({ form: codeForm(code, web) })],
    ["web", (code) => json(codeForm(code, web))],
    ["web", (code) => ({ form: { ...anonymous, code }, headers: BASIC })],
    ["web", (code) => ({ form: codeForm(code, { client_id: "web" }), headers: BASIC })],
    // OAuth 2.1 clients leave the redirect_uri out here.
    ["spa", (code) => ({ form: codeForm(code, { redirect_uri: "" }) })],
  ];
  for (const [clientId, request] of rows) {
    const answer = await kit.send("/oauth/token", request(await visitor.code({ client_id: clientId })));
    const body = await answer.json();
    assertEquals(answer.status, 200, JSON.stringify(body));
    assertEquals([answer.headers.get("cache-control"), answer.headers.get("pragma")], ["no-store", "no-cache"]);
    assertEquals(Object.keys(body), ["access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"]);
    assertEquals([body.token_type, body.expires_in, body.scope], ["Bearer", 3600, "openid profile email"]);
    assertMatch(body.access_token, /^oat_[A-Za-z0-9_-]{43}$/);
    assertMatch(body.refresh_token, /^ort_[A-Za-z0-9_-]{43}$/);
  }
});

Deno.test("the ID token is signed with a published key and says who signed in, when, and for whom", async () => {
  const kit = await createKit();
  await kit.service.clients.update("web", { idTokenAlg: "ES256" });
  const keys = createLocalJWKSet(await (await kit.send("/jwks")).json() as JSONWebKeySet);
  for (const [clientId, alg] of [["spa", "RS256"], ["web", "ES256"]] as const) {
    const { id_token, access_token } = await new Visitor(kit).tokens({ client_id: clientId });
    const options = { issuer: ISSUER, audience: clientId, typ: "JWT", currentDate: new Date(kit.now() * 1000) };
    const { payload, protectedHeader } = await jwtVerify(id_token, keys, options);
    assertEquals(protectedHeader.alg, alg);
    const half = Uint8Array.fromBase64(await hashOf(access_token), { alphabet: "base64url" }).slice(0, 16);
    const { sid, ...claims } = payload;
    assertMatch(sid as string, /^[A-Za-z0-9_-]{22}$/);
    assertEquals(claims, {
      iss: ISSUER,
      sub: "user-ada",
      aud: clientId,
      iat: kit.now(),
      exp: kit.now() + 3600,
      auth_time: kit.now(),
      nonce: "n",
      at_hash: half.toBase64({ alphabet: "base64url", omitPadding: true }),
      name: "ada",
      given_name: "ada",
      locale: "en",
      email: "ada@example.com",
      email_verified: true,
    });
  }
});

Deno.test("the ID token says no more than the scopes release, and there is none without openid", async () => {
  const visitor = new Visitor(await createKit());
  const claims = readJwt((await visitor.tokens({ scope: "openid", nonce: null })).id_token).claims;
  for (const name of ["name", "email", "given_name", "role", "nonce"]) assertFalse(name in claims, name);
  assertEquals("id_token" in await visitor.tokens({ scope: "read:articles" }), false);
  const bare = await visitor.tokens({ scope: null });
  assertEquals(["scope" in bare, "id_token" in bare], [false, false]);
});

Deno.test("the ID token never holds the browser's session handle", async () => {
  const visitor = new Visitor(await createKit());
  const { id_token } = await visitor.tokens();
  const handle = visitor.cookies.get("__Host-sso")!;
  const { sid } = readJwt(id_token).claims;
  assertNotEquals(sid, handle);
  assertNotEquals(sid, await hashOf(handle));
});

Deno.test("the access token is a JWT of RFC 9068 where an audience was asked for or is the client's default", async () => {
  const kit = await createKit();
  const keys = createLocalJWKSet(await (await kit.send("/.well-known/jwks.json")).json() as JSONWebKeySet);
  const visitor = new Visitor(kit);
  const asked = await visitor.tokens({ audience: API, scope: "openid read:articles" });
  await kit.service.clients.update("spa", { defaultAudience: API, vendorId: "acme" });
  const byDefault = await visitor.tokens({ scope: "openid read:articles" });
  for (const [{ access_token }, vendor] of [[asked, {}], [byDefault, { vendor_id: "acme" }]] as const) {
    const options = { issuer: ISSUER, audience: API, typ: "at+jwt", currentDate: new Date(kit.now() * 1000) };
    const { payload, protectedHeader } = await jwtVerify(access_token, keys, options);
    assertEquals(protectedHeader.alg, "RS256");
    const { jti, ...claims } = payload;
    assertMatch(jti!, /^[A-Za-z0-9_-]{22}$/);
    assertEquals(claims, {
      iss: ISSUER,
      sub: "user-ada",
      aud: API,
      client_id: "spa",
      iat: kit.now(),
      exp: kit.now() + 3600,
      scope: "openid read:articles",
      ...vendor,
    });
    assertEquals(await userinfoStatus(kit, access_token), 200);
  }
});

Deno.test("nothing that is stored lets its reader act: codes, tokens, handles and secrets are hashed or sealed", async () => {
  const kit = await createKit();
  const written: string[] = [];
  const { commit } = kit.records;
  Object.assign(kit.records, {
    commit: (change: Parameters<typeof commit>[0]) => {
      written.push(JSON.stringify(change));
      return commit(change);
    },
  });
  const visitor = new Visitor(kit);
  const code = await visitor.code({ audience: API });
  const first = await redeem(kit, code);
  const second = (await refresh(kit, first.refresh_token)).body;
  const needles = [
    code,
    VERIFIER,
    "open sesame",
    ...visitor.cookies.values(),
    ...[first, second].flatMap((tokens) => [tokens.access_token, tokens.refresh_token, tokens.id_token]),
  ];
  const all = written.join("\n") + JSON.stringify(kit.events);
  assert(written.length > 3);
  for (const needle of needles) assertFalse(all.includes(needle), needle);
});

Deno.test("POST /oauth/token refuses a code by one answer for whatever is wrong with it", async () => {
  const kit = await createKit({ lifetimes: { code: 60 } });
  const visitor = new Visitor(kit);
  const { access_token, refresh_token } = await visitor.tokens();
  const session = visitor.cookies.get("__Host-sso")!;
  const rows: readonly (readonly [string, Record<string, string>, string?])[] = [
    ["unknown", { code: "nope" }],
    ["wrong verifier", { code_verifier: WRONG_VERIFIER }],
    ["verifier too long", { code_verifier: "a".repeat(129) }],
    ["verifier too short", { code_verifier: "a".repeat(42) }],
    ["verifier with other characters", { code_verifier: `${"a".repeat(43)}!` }],
    ["other redirect_uri", { redirect_uri: "https://client.test/cb/" }],
    ["other client", { client_id: "web", client_secret: SECRET }],
    ["refresh token", { code: refresh_token }],
    ["access token", { code: access_token }],
    ["session handle", { code: session }],
    ["state", { code: "s" }],
  ];
  const descriptions = new Set<string>();
  for (const [what, changes] of rows) {
    const answer = await kit.send("/oauth/token", { form: codeForm(await visitor.code(), changes) });
    descriptions.add((await answer.clone().json()).error_description);
    await assertRefused(answer, 400, "invalid_grant");
    assertEquals(answer.headers.get("www-authenticate"), null, what);
  }
  const old = await visitor.code();
  kit.pass(60);
  await assertRefused(await kit.send("/oauth/token", { form: codeForm(old) }), 400, "invalid_grant");
  assertEquals(descriptions.size, 1);
});

Deno.test("a code is burnt by the first wrong verifier, and kept where only the redirect_uri or client is wrong", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const burnt = await visitor.code();
  const guesses = [WRONG_VERIFIER, "", VERIFIER].map((code_verifier) => codeForm(burnt, { code_verifier }));
  await assertRefused(await kit.send("/oauth/token", { form: guesses[1]! }), 400, "invalid_request");
  await assertRefused(await kit.send("/oauth/token", { form: guesses[0]! }), 400, "invalid_grant");
  await assertRefused(await kit.send("/oauth/token", { form: guesses[2]! }), 400, "invalid_grant");
  const kept = await visitor.code();
  for (const changes of [{ redirect_uri: "https://client.test/" }, { client_id: "web", client_secret: SECRET }]) {
    await assertRefused(await kit.send("/oauth/token", { form: codeForm(kept, changes) }), 400, "invalid_grant");
  }
  await redeem(kit, kept);
});

Deno.test("a code works once; a second use that is otherwise valid revokes what the first one got", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const bystander = await visitor.tokens();
  const code = await visitor.code();
  const tokens = await redeem(kit, code);
  kit.pass(30);
  // Without the verifier, or as another client, nobody can do harm with a code seen in passing.
  for (const changes of [{ code_verifier: WRONG_VERIFIER }, { client_id: "web", client_secret: SECRET }]) {
    await assertRefused(await kit.send("/oauth/token", { form: codeForm(code, changes) }), 400, "invalid_grant");
    assertEquals(await userinfoStatus(kit, tokens.access_token), 200);
  }
  kit.pass(1000);
  await assertRefused(await kit.send("/oauth/token", { form: codeForm(code) }), 400, "invalid_grant");
  assertEquals(await userinfoStatus(kit, tokens.access_token), 401);
  assertEquals((await refresh(kit, tokens.refresh_token)).body.error, "invalid_grant");
  assertEquals(await userinfoStatus(kit, bystander.access_token), 200);
  assertEquals(kit.events.map(({ event }) => event), ["code_replayed"]);
});

Deno.test("a hundred parallel uses of one code: exactly one succeeds", async () => {
  const kit = await createKit();
  const form = codeForm(await new Visitor(kit).code());
  const answers = await Promise.all(Array.from({ length: 100 }, () => kit.send("/oauth/token", { form })));
  const statuses = answers.map(({ status }) => status);
  assertEquals([statuses.filter((s) => s === 200).length, statuses.filter((s) => s === 400).length], [1, 99]);
});

Deno.test("a code is worth nothing once its user's grants are revoked or its client is disabled", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const revoked = await visitor.code();
  await kit.service.revokeAllForUser("user-ada");
  await assertRefused(await kit.send("/oauth/token", { form: codeForm(revoked) }), 400, "invalid_grant");
  const disabled = await visitor.code();
  await kit.service.clients.update("spa", { isDisabled: true });
  await assertRefused(await kit.send("/oauth/token", { form: codeForm(disabled) }), 401, "invalid_client");
});

Deno.test("a scope that the client has lost since the sign-in is left out", async () => {
  const kit = await createKit();
  const code = await new Visitor(kit).code({ scope: "openid email read:articles" });
  await kit.service.clients.update("spa", { scopes: ["openid", "email"] });
  assertEquals((await redeem(kit, code)).scope, "openid email");
});

Deno.test("tokens of a removed client are not inherited by a new client of the same name", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const tokens = await visitor.tokens();
  const code = await visitor.code();
  const { name, redirectUris, scopes } = (await kit.service.clients.find("spa"))!;
  await kit.service.clients.remove("spa");
  assertEquals(await userinfoStatus(kit, tokens.access_token), 401);
  kit.pass(1);
  const grantTypes = ["authorization_code", "refresh_token"] as const;
  await kit.service.clients.create({ clientId: "spa", name, redirectUris, scopes, grantTypes, isPublic: true });
  assertEquals(await userinfoStatus(kit, tokens.access_token), 401);
  assertEquals((await refresh(kit, tokens.refresh_token)).body.error, "invalid_grant");
  await assertRefused(await kit.send("/oauth/token", { form: codeForm(code) }), 400, "invalid_grant");
});

Deno.test("a client without the refresh grant gets no refresh token", async () => {
  const kit = await createKit();
  await kit.service.clients.update("spa", { grantTypes: ["authorization_code"] });
  const tokens = await new Visitor(kit).tokens({ scope: "openid offline_access" });
  assertFalse("refresh_token" in tokens);
});

Deno.test("POST /oauth/token refuses requests by the registered code", async () => {
  const kit = await createKit();
  const form = codeForm("x");
  const { grant_type: _, ...untyped } = form;
  const { code: __, ...codeless } = form;
  const { code_verifier: ___, ...verifierless } = form;
  const { client_id: ____, ...anonymous } = form;
  const machine = { grant_type: "client_credentials", client_id: "machine", client_secret: SECRET };
  const rows: readonly (readonly [string, number, string, Sent])[] = [
    ["empty", 400, "invalid_request", { form: {} }],
    ["no grant type", 400, "invalid_request", { form: untyped }],
    ["password", 400, "unsupported_grant_type", { form: { ...form, grant_type: "password" } }],
    ["grant type in another case", 400, "unsupported_grant_type", {
      form: { ...form, grant_type: "Authorization_Code" },
    }],
    ["member of an object", 400, "unsupported_grant_type", { form: { ...form, grant_type: "toString" } }],
    ["no code", 400, "invalid_request", { form: codeless }],
    ["no verifier", 400, "invalid_request", { form: verifierless }],
    ["no refresh token", 400, "invalid_request", { form: { grant_type: "refresh_token", client_id: "spa" } }],
    ["no client", 401, "invalid_client", { form: anonymous }],
    ["unknown client", 401, "invalid_client", { form: { ...form, client_id: "nope" } }],
    ["no secret", 401, "invalid_client", { form: { ...form, client_id: "web" } }],
    ["wrong secret", 401, "invalid_client", { form: { ...form, client_id: "web", client_secret: "x" } }],
    ["two methods", 400, "invalid_request", {
      form: { ...form, client_id: "web", client_secret: SECRET },
      headers: BASIC,
    }],
    ["two clients", 400, "invalid_request", { form, headers: BASIC }],
    ["code twice", 400, "invalid_request", { form: [...Object.entries(form), ["code", "x"]] }],
    ["unknown name twice", 400, "invalid_request", { form: [...Object.entries(form), ["x", ""], ["x", ""]] }],
    ["grant of another client kind", 400, "unauthorized_client", {
      form: { ...form, ...machine, grant_type: "refresh_token" },
    }],
    ["public client for itself", 400, "unauthorized_client", {
      form: { grant_type: "client_credentials", client_id: "spa" },
    }],
    ["scope about a person", 400, "invalid_scope", { form: { ...machine, scope: "openid" } }],
    ["scope it may not have", 400, "invalid_scope", { form: { ...machine, scope: "write:keys" } }],
    ["audience it may not have", 400, "invalid_target", { form: { ...machine, audience: "https://elsewhere.test/" } }],
    ["client assertion", 401, "invalid_client", { form: { ...form, client_assertion: "a.b.c" } }],
    ["no content type", 415, "invalid_request", { body: new Blob(["grant_type=authorization_code"]) }],
    ["multipart", 415, "invalid_request", { body: new FormData() }],
    ["utf-7", 415, "invalid_request", {
      body: "grant_type=x",
      headers: { "content-type": "application/x-www-form-urlencoded; charset=utf-7" },
    }],
    ["not UTF-8", 400, "invalid_request", {
      body: new Uint8Array([0xff]),
      headers: { "content-type": "application/x-www-form-urlencoded" },
    }],
    ["JSON with a number", 400, "invalid_request", {
      body: '{"a":1}',
      headers: { "content-type": "application/json" },
    }],
    ["1 MB", 413, "invalid_request", { form: { a: "a".repeat(1_048_576) } }],
    ["20,000 parameters", 413, "invalid_request", {
      body: "a&".repeat(20_000),
      headers: { "content-type": "application/x-www-form-urlencoded" },
    }],
    ["1,000 parameters", 400, "invalid_request", {
      body: "a&".repeat(1000),
      headers: { "content-type": "application/x-www-form-urlencoded" },
    }],
    ["GET", 405, "invalid_request", {}],
    ["PUT", 405, "invalid_request", { method: "PUT" }],
  ];
  for (const [what, status, error, request] of rows) {
    const answer = await kit.send("/oauth/token", request);
    assertEquals(answer.status, status, what);
    assertEquals(answer.headers.get("www-authenticate"), null, what);
    await assertRefused(answer, status, error);
  }
});

Deno.test("POST /oauth/token names the scheme only to a client that tried it", async () => {
  const { send } = await createKit();
  const headers = { authorization: "Basic d2ViOndyb25n" };
  const answer = await send("/oauth/token", { form: { grant_type: "authorization_code" }, headers });
  assertEquals(answer.headers.get("www-authenticate"), 'Basic realm="clients"');
  await assertRefused(answer, 401, "invalid_client");
});

Deno.test("POST /oauth/token makes guessing a client's secret slow, for that address alone", async () => {
  const kit = await createKit();
  const form = { grant_type: "client_credentials", client_id: "machine", client_secret: "wrong" };
  const status = async (secret: string, address: string) =>
    (await kit.send("/oauth/token", { form: { ...form, client_secret: secret }, address })).status;
  for (let i = 0; i < 20; i++) assertEquals(await status("wrong", "192.0.2.1"), 401);
  const blocked = await kit.send("/oauth/token", { form: { ...form, client_secret: SECRET }, address: "192.0.2.1" });
  assertEquals(blocked.headers.get("retry-after"), "30");
  await assertRefused(blocked, 429, "temporarily_unavailable");
  assertEquals(await status(SECRET, "192.0.2.2"), 200);
  kit.pass(30);
  assertEquals(await status(SECRET, "192.0.2.1"), 200);
});

Deno.test("client_credentials: a client acts for itself, in its own name and nobody else's", async () => {
  const kit = await createKit();
  const form = { grant_type: "client_credentials", client_id: "machine", client_secret: SECRET };
  const ask = async (changes: Record<string, string>) => {
    const answer = await kit.send("/oauth/token", { form: { ...form, ...changes } });
    assertEquals(answer.status, 200);
    return await answer.json();
  };
  const all = await ask({ audience: "https://api.test/management" });
  assertEquals(Object.keys(all), ["access_token", "token_type", "expires_in", "scope"]);
  assertEquals(all.scope, "read:vendors write:vendors");
  const { header, claims } = readJwt(all.access_token);
  assertEquals(header.typ, "at+jwt");
  assertEquals([claims.sub, claims.client_id, claims.aud, claims.vendor_id, claims.scope], [
    "machine",
    "machine",
    "https://api.test/management",
    "acme",
    "read:vendors write:vendors",
  ]);
  assertEquals((await ask({ scope: "read:vendors" })).scope, "read:vendors");
  assertMatch((await ask({})).access_token, /^oat_/);
  assertMatch((await ask({ resource: API })).access_token, /^ey/);
  assertEquals(await userinfoStatus(kit, all.access_token), 403);
});
