import { assert, assertEquals, assertFalse, assertNotEquals } from "@std/assert";
import {
  API,
  assertRefused,
  authorizePath,
  codeForm,
  createKit,
  readJwt,
  refresh,
  SECRET,
  userinfoStatus,
  Visitor,
} from "../../token_service/kit.ts";

Deno.test("a refresh token is exchanged for a new pair with the same scope and a new ID token", async () => {
  const kit = await createKit();
  const first = await new Visitor(kit).tokens({ audience: API });
  kit.pass(3500);
  const { status, body } = await refresh(kit, first.refresh_token);
  assertEquals([status, body.scope, body.expires_in], [200, first.scope, 3600]);
  assertNotEquals(body.refresh_token, first.refresh_token);
  assertNotEquals(body.access_token, first.access_token);
  const [before, after] = [first.id_token, body.id_token].map((token) => readJwt(token).claims);
  assertEquals([after!.auth_time, after!.sid, after!.sub], [before!.auth_time, before!.sid, before!.sub]);
  assertEquals([after!.iat, "nonce" in after!], [kit.now(), false]);
  assertEquals(readJwt(body.access_token).claims.aud, API);
});

Deno.test("within the window a repeated refresh gets the same pair again, however often, and never a new one", async () => {
  const kit = await createKit();
  const first = await new Visitor(kit).tokens();
  const once = (await refresh(kit, first.refresh_token)).body;
  kit.pass(59);
  for (let i = 0; i < 3; i++) {
    assertEquals((await refresh(kit, first.refresh_token)).body, { ...once, expires_in: 3600 - 59 });
  }
  assertEquals((await refresh(kit, once.refresh_token)).status, 200);
});

Deno.test("a hundred parallel refreshes mint one new pair, and everybody gets it", async () => {
  const kit = await createKit();
  const { refresh_token } = await new Visitor(kit).tokens();
  const answers = await Promise.all(Array.from({ length: 100 }, () => refresh(kit, refresh_token)));
  assertEquals(new Set(answers.map(({ status }) => status)), new Set([200]));
  assertEquals(new Set(answers.map(({ body }) => JSON.stringify(body))).size, 1);
  assertEquals((await refresh(kit, answers[0]!.body.refresh_token)).status, 200);
});

Deno.test("a refresh token used again after the window revokes its own grant and no other", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const [first, bystander] = [await visitor.tokens(), await visitor.tokens()];
  const second = (await refresh(kit, first.refresh_token)).body;
  kit.pass(60);
  const third = (await refresh(kit, second.refresh_token)).body;
  assertEquals((await refresh(kit, first.refresh_token)).body.error, "invalid_grant");
  for (const { refresh_token } of [second, third]) {
    assertEquals((await refresh(kit, refresh_token)).body.error, "invalid_grant");
  }
  assertEquals(await userinfoStatus(kit, third.access_token), 401);
  assertEquals(await userinfoStatus(kit, bystander.access_token), 200);
  assertEquals((await refresh(kit, bystander.refresh_token)).status, 200);
  assertEquals(kit.events.map(({ event }) => event), ["refresh_token_reused"]);
});

Deno.test("the window opens for rotation only: a revoked token mints and repeats nothing", async () => {
  const kit = await createKit();
  const { refresh_token } = await new Visitor(kit).tokens();
  const { body } = await refresh(kit, refresh_token);
  await kit.send("/oauth/revoke", { form: { client_id: "spa", token: body.refresh_token } });
  assertEquals((await refresh(kit, refresh_token)).body.error, "invalid_grant");
  assertEquals((await refresh(kit, body.refresh_token)).body.error, "invalid_grant");
  const other = await new Visitor(kit).tokens();
  await refresh(kit, other.refresh_token);
  await kit.service.revokeAllForUser("user-ada");
  assertEquals((await refresh(kit, other.refresh_token)).body.error, "invalid_grant");
});

Deno.test("within the window another request with the same token gets nothing, and revokes nothing", async () => {
  const kit = await createKit();
  const { refresh_token } = await new Visitor(kit).tokens();
  const { body } = await refresh(kit, refresh_token);
  assertEquals((await refresh(kit, refresh_token, { scope: "openid" })).body.error, "invalid_grant");
  assertEquals((await refresh(kit, body.refresh_token)).status, 200);
});

Deno.test("a window of 0 seconds means that every second use revokes", async () => {
  const kit = await createKit({ lifetimes: { refreshReplay: 0 } });
  const { refresh_token } = await new Visitor(kit).tokens();
  const { body } = await refresh(kit, refresh_token);
  assertEquals((await refresh(kit, refresh_token)).body.error, "invalid_grant");
  assertEquals((await refresh(kit, body.refresh_token)).body.error, "invalid_grant");
});

Deno.test("a repeated answer never promises a life that is over", async () => {
  const kit = await createKit({ lifetimes: { accessToken: 30 } });
  const { refresh_token } = await new Visitor(kit).tokens();
  await refresh(kit, refresh_token);
  kit.pass(40);
  assertEquals((await refresh(kit, refresh_token)).body.expires_in, 0);
});

Deno.test("a narrower scope narrows one access token, not the grant; a wider one is refused", async () => {
  const kit = await createKit();
  const { refresh_token } = await new Visitor(kit).tokens({ scope: "openid email read:articles" });
  const narrow = (await refresh(kit, refresh_token, { scope: "read:articles" })).body;
  assertEquals([narrow.scope, "id_token" in narrow], ["read:articles", false]);
  const wide = (await refresh(kit, narrow.refresh_token)).body;
  assertEquals(wide.scope, "openid email read:articles");
  for (const scope of ["openid profile", "admin", '"']) {
    assertEquals((await refresh(kit, wide.refresh_token, { scope })).body.error, "invalid_scope");
  }
  assertEquals((await refresh(kit, wide.refresh_token)).status, 200);
});

Deno.test("a scope that the client has lost is not handed out again", async () => {
  const kit = await createKit();
  const { refresh_token } = await new Visitor(kit).tokens({ scope: "openid email read:articles" });
  await kit.service.clients.update("spa", { scopes: ["openid", "email"] });
  assertEquals((await refresh(kit, refresh_token)).body.scope, "openid email");
});

Deno.test("a grant cannot change its audience", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const { refresh_token } = await visitor.tokens({ audience: API });
  assertEquals(
    (await refresh(kit, refresh_token, { audience: "https://api.test/management" })).body.error,
    "invalid_target",
  );
  assertEquals((await refresh(kit, refresh_token, { resource: API })).status, 200);
  const opaque = await visitor.tokens();
  assertEquals((await refresh(kit, opaque.refresh_token, { audience: API })).body.error, "invalid_target");
});

Deno.test("a refresh token ends when it is not used, and refreshing does not move the grant's end", async () => {
  const kit = await createKit({ lifetimes: { refreshTokenIdle: 100, refreshTokenAbsolute: 250 } });
  const idle = await new Visitor(kit).tokens();
  let token = (await new Visitor(kit).tokens()).refresh_token;
  kit.pass(99);
  token = (await refresh(kit, token)).body.refresh_token;
  kit.pass(1);
  assertEquals((await refresh(kit, idle.refresh_token)).body.error, "invalid_grant");
  kit.pass(90);
  token = (await refresh(kit, token)).body.refresh_token;
  kit.pass(59);
  const last = await refresh(kit, token);
  assertEquals(last.status, 200);
  kit.pass(1);
  assertEquals((await refresh(kit, last.body.refresh_token)).body.error, "invalid_grant");
});

Deno.test("a refresh token is refused where it is not one, not this client's, or its client or user is gone", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const { access_token, id_token, refresh_token } = await visitor.tokens();
  const code = await visitor.code();
  for (const token of [access_token, id_token, code, visitor.cookies.get("__Host-sso")!, "nope"]) {
    assertEquals((await refresh(kit, token)).body.error, "invalid_grant", token);
  }
  const other = await refresh(kit, refresh_token, { client_id: "web", client_secret: SECRET });
  assertEquals(other.body.error, "invalid_grant");
  await kit.service.clients.update("spa", { isDisabled: true });
  assertEquals((await refresh(kit, refresh_token)).status, 401);
  await kit.service.clients.update("spa", { isDisabled: false });
  assertEquals((await refresh(kit, refresh_token)).status, 200);
});

Deno.test("an access token lives on when its pair is refreshed: requests under way must not fail", async () => {
  const kit = await createKit();
  const { access_token, refresh_token } = await new Visitor(kit).tokens();
  await refresh(kit, refresh_token);
  assertEquals(await userinfoStatus(kit, access_token), 200);
});

Deno.test("a user who is gone gets neither code nor tokens", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const { access_token, refresh_token } = await visitor.tokens();
  const code = await visitor.code();
  await kit.records.commit({ deletes: [["token_service", "user", "user-ada"]] });
  assertEquals(await userinfoStatus(kit, access_token), 401);
  assertEquals((await refresh(kit, refresh_token)).body.error, "invalid_grant");
  await assertRefused(await kit.send("/oauth/token", { form: codeForm(code) }), 400, "invalid_grant");
  assertEquals((await visitor.send(authorizePath())).status, 200);
  assertFalse((await visitor.authorize({ prompt: "none" })).searchParams.has("code"));
  assert(visitor.cookies.has("__Host-sso"));
});
