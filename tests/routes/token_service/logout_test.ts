import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import { authorizePath, createKit, type Kit, Visitor } from "../../token_service/kit.ts";

async function signedIn(): Promise<{ kit: Kit; visitor: Visitor; idToken: string; handle: string }> {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const { id_token } = await visitor.tokens();
  return { kit, visitor, idToken: id_token, handle: visitor.cookies.get("__Host-sso")! };
}

/** Whether the browser still needs no password. */
async function isSignedIn(visitor: Visitor): Promise<boolean> {
  return (await visitor.send(authorizePath())).status === 302;
}

Deno.test("GET /v2/logout ends the browser's session and goes where the client has registered", async () => {
  const rows: readonly (readonly [string, number, string | null])[] = [
    ["client_id=spa&returnTo=https%3A%2F%2Fclient.test%2F", 302, "https://client.test/"],
    ["client_id=spa&returnTo=https%3A%2F%2Fclient.test%2Fbye%3Fx%3D1", 302, "https://client.test/bye?x=1"],
    ["client_id=spa", 302, "https://client.test/"],
    ["client_id=machine", 200, null],
    ["", 200, null],
  ];
  for (const [query, status, location] of rows) {
    const { kit, visitor, handle } = await signedIn();
    const answer = await visitor.send(`/v2/logout?${query}`);
    assertEquals([answer.status, answer.headers.get("location")], [status, location], query);
    assertFalse(visitor.cookies.has("__Host-sso"));
    assertEquals(await kit.service.sessions.find(handle), null);
    assertFalse(await isSignedIn(visitor));
  }
});

Deno.test("GET /v2/logout refuses addresses that are not registered, and then ends nothing", async () => {
  const { visitor } = await signedIn();
  const returnTo = encodeURIComponent("https://client.test/");
  const bad = [
    `client_id=spa&returnTo=${encodeURIComponent("https://evil.test/")}`,
    `client_id=spa&returnTo=${encodeURIComponent("https://client.test/other")}`,
    `client_id=spa&returnTo=${encodeURIComponent("https://client.test")}`,
    `client_id=spa&returnTo=${returnTo}&returnTo=${returnTo}`,
    `client_id=machine&returnTo=${returnTo}`,
    `client_id=nope&returnTo=${returnTo}`,
    `returnTo=${returnTo}`,
    `client_id=spa&x=${"a".repeat(9000)}`,
  ];
  for (const query of bad) {
    const answer = await visitor.send(`/v2/logout?${query}`);
    assertEquals([answer.status, answer.headers.get("location")], [400, null], query);
    assertFalse((await answer.text()).includes("evil"));
  }
  assertEquals((await visitor.send("/v2/logout", { method: "HEAD" })).status, 405);
  assertEquals((await visitor.send("/v2/logout", { method: "POST" })).status, 405);
  assert(await isSignedIn(visitor));
});

Deno.test("GET|POST /oidc/logout with this session's ID token ends it and goes on with the state", async () => {
  const { kit, visitor, idToken } = await signedIn();
  kit.pass(7200); // An expired ID token is still a hint.
  const form = { id_token_hint: idToken, post_logout_redirect_uri: "https://client.test/bye?x=1", state: "a b" };
  const sentOn = await visitor.send("/oidc/logout", { form });
  assertEquals(sentOn.status, 303);
  const answer = await visitor.send(sentOn.headers.get("location")!);
  assertEquals(answer.headers.get("location"), "https://client.test/bye?x=1&state=a+b");
  assertFalse(await isSignedIn(visitor));
  // Nobody is signed in any more: there is nothing to ask.
  const again = await visitor.send(
    `/oidc/logout?client_id=spa&post_logout_redirect_uri=${encodeURIComponent("https://client.test/")}`,
  );
  assertEquals([again.status, again.headers.get("location")], [302, "https://client.test/"]);
  assertMatch(await (await visitor.send("/oidc/logout")).text(), /Signed out/);
});

Deno.test("GET /oidc/logout asks first where the request does not prove whose session it means", async () => {
  const { kit, visitor } = await signedIn();
  const mallory = await new Visitor(kit, "192.0.2.9").tokens({}, "mallory@example.com");
  const uri = `post_logout_redirect_uri=${encodeURIComponent("https://client.test/")}`;
  for (const query of [`client_id=spa&${uri}&state=s`, `id_token_hint=${mallory.id_token}&${uri}`, ""]) {
    const page = await visitor.send(`/oidc/logout?${query}`);
    assertEquals(page.status, 200, query);
    assertMatch(await page.text(), /Sign out\?/);
    assert(await isSignedIn(visitor), query);
  }
  const page = await visitor.send(`/oidc/logout?client_id=spa&${uri}&state=s`);
  assert(page.headers.get("content-security-policy")!.includes("form-action 'self' https:;"));
  const answer = await visitor.submit(page);
  assertEquals([answer.status, answer.headers.get("location")], [303, "https://client.test/?state=s"]);
  assertFalse(await isSignedIn(visitor));
});

Deno.test("POST /logout refuses a form that was not made for this session and request", async () => {
  const { kit, visitor } = await signedIn();
  const page = await (await visitor.send("/oidc/logout?client_id=spa")).text();
  const token = /name="token" value="([^"]+)"/.exec(page)![1]!;
  const cookie = `__Host-sso=${visitor.cookies.get("__Host-sso")}`;
  const rows: readonly (readonly [Record<string, string>, string])[] = [
    [{ request: "client_id=spa", token: "x" }, cookie],
    [{ request: "client_id=web", token }, cookie],
    [{ request: "client_id=spa", token }, ""],
    [{ request: "client_id=spa", token }, `__Host-sso=${"A".repeat(43)}`],
  ];
  for (const [form, sent] of rows) {
    assertEquals((await kit.send("/logout", { form, headers: { cookie: sent } })).status, 403);
  }
  assertEquals((await kit.send("/logout", { form: [["token", "a"], ["token", "b"]] })).status, 400);
  assertEquals((await kit.send("/logout", { body: "x", headers: { "content-type": "text/plain" } })).status, 415);
  assert(await isSignedIn(visitor));
});

Deno.test("GET /oidc/logout refuses bad hints and addresses, and then ends nothing", async () => {
  const { visitor, idToken } = await signedIn();
  const uri = (address: string) => `post_logout_redirect_uri=${encodeURIComponent(address)}`;
  const bad = [
    `id_token_hint=${idToken}&${uri("https://evil.test/")}`,
    `id_token_hint=${idToken}&${uri("https://client.test/?x=1")}`,
    `id_token_hint=${idToken}&client_id=web`,
    `id_token_hint=${idToken.slice(0, -6)}AAAAAA&${uri("https://client.test/")}`,
    `id_token_hint=eyJhbGciOiJub25lIn0.e30.&${uri("https://client.test/")}`,
    `${uri("https://client.test/")}`,
    `client_id=nope&${uri("https://client.test/")}`,
    `state=a&state=b`,
    `x=${"a".repeat(9000)}`,
  ];
  for (const query of bad) {
    const answer = await visitor.send(`/oidc/logout?${query}`);
    assertEquals([answer.status, answer.headers.get("location")], [400, null], query);
  }
  assertEquals((await visitor.send("/oidc/logout", { method: "HEAD" })).status, 405);
  assertEquals((await visitor.send("/oidc/logout", { form: { state: "a".repeat(9000) } })).status, 400);
  assertEquals(
    (await visitor.send("/oidc/logout", { body: "x", headers: { "content-type": "text/plain" } })).status,
    415,
  );
  assert(await isSignedIn(visitor));
});
