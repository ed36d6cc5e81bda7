import { assert, assertEquals, assertFalse } from "@std/assert";
import { codeOf, cookiesOf, createSetting, ownCall, readProblem } from "../setting.ts";

const KEYS = "/vendors/acme/token-handler/keys";

Deno.test("GET …/keys lists a vendor's keys with state and last use, and never their content", async () => {
  const { manage, cloakroom, clock, records } = await createSetting();
  assertEquals(await (await manage("GET", KEYS)).json(), []);
  const sealed = await cloakroom.keys.seal("acme", "at", { a: 1 });
  clock.advance(60);
  await cloakroom.keys.rotate("acme");
  await cloakroom.keys.open("acme", "at", sealed);
  const answer = await manage("GET", KEYS);
  assertEquals([answer.status, answer.headers.get("cache-control")], [200, "no-store"]);
  const [first, second] = await cloakroom.keys.list("acme");
  const text = await answer.text();
  assertEquals(JSON.parse(text), [
    {
      keyId: first!.keyId,
      state: "open_only",
      createdAt: "2027-01-15T08:00:00.000Z",
      lastUsedAt: "2027-01-15T08:01:00.000Z",
    },
    { keyId: second!.keyId, state: "active", createdAt: "2027-01-15T08:01:00.000Z", lastUsedAt: null },
  ]);
  for (const { value } of await records.list<{ wrapped: string }>(["vendor_key", "acme"])) {
    assertFalse(text.includes(value.wrapped));
  }
});

Deno.test("POST …/keys makes a new key; who is signed in stays so, and moves to it", async () => {
  const setting = await createSetting();
  const { manage, cloakroom, send, log } = setting;
  const cookie = cookiesOf(await setting.signIn());
  const before = await cloakroom.keys.activeKeyId("acme");
  const answer = await manage("POST", KEYS);
  const { keyId, state } = await answer.json();
  assertEquals([answer.status, state, keyId === before], [201, "active", false]);
  assertEquals(await cloakroom.keys.activeKeyId("acme"), keyId);
  const next = await send("/auth/acme/userinfo", { headers: ownCall(cookie) });
  assertEquals(next.status, 200);
  assertEquals(next.headers.getSetCookie().map((line) => line.split("=")[0]), ["at", "__Host-rt", "signed_in"]);
  assertEquals(log.filter(({ event }) => event === "key_rotated").map((event) => event.keyId), [keyId]);
});

Deno.test("DELETE …/keys/:keyId makes everything worthless at once that the key sealed", async () => {
  const setting = await createSetting();
  const { manage, cloakroom, send } = setting;
  const cookie = cookiesOf(await setting.signIn());
  const keyId = await cloakroom.keys.activeKeyId("acme");
  const answer = await manage("DELETE", `${KEYS}/${keyId}`);
  assertEquals([answer.status, await answer.text()], [204, ""]);
  const problem = await readProblem(await send("/auth/acme/userinfo", { headers: ownCall(cookie) }));
  assertEquals([problem.code, problem.reason], ["session_ended", "key_retired"]);
  assertEquals((await cloakroom.keys.list("acme")).map(({ state }) => state), ["retired"]);
  await setting.signIn();
  assert(await cloakroom.keys.activeKeyId("acme") !== keyId, "the next sign-in gets a new key");
});

Deno.test("keys and vendors that do not exist are told as such", async () => {
  const { manage } = await createSetting();
  assertEquals(await codeOf(await manage("DELETE", `${KEYS}/unknown`)), "not_found");
  for (const method of ["GET", "POST"]) {
    assertEquals(await codeOf(await manage(method, "/vendors/globex/token-handler/keys")), "vendor_unknown");
  }
  assertEquals(await codeOf(await manage("DELETE", "/vendors/globex/token-handler/keys/x")), "vendor_unknown");
});

Deno.test("keys need a token, the right scope, and the right vendor", async () => {
  const { manage, makeToken, send, cloakroom } = await createSetting();
  const keyId = await cloakroom.keys.activeKeyId("acme");
  const reader = await makeToken({ scope: "read:vendors" });
  assertEquals((await manage("GET", KEYS, { token: reader })).status, 200);
  for (const claims of [{ scope: "read:vendors write:vendors" }, { vendor_id: "globex" }]) {
    const token = await makeToken(claims);
    assertEquals(await codeOf(await manage("POST", KEYS, { token })), "forbidden");
    assertEquals(await codeOf(await manage("DELETE", `${KEYS}/${keyId}`, { token })), "forbidden");
  }
  assertEquals(await codeOf(await send(`/management${KEYS}`, { method: "POST" })), "token_refused");
  assertEquals(await codeOf(await send(`/management${KEYS}/${keyId}`, { method: "DELETE" })), "token_refused");
  assertEquals((await cloakroom.keys.list("acme")).map(({ state }) => state), ["active"]);
});

Deno.test("a method that a key path does not take is told so", async () => {
  const { manage, cloakroom } = await createSetting();
  const keyId = await cloakroom.keys.activeKeyId("acme");
  const rows: readonly (readonly [method: string, path: string, allow: string])[] = [
    ["PUT", KEYS, "GET, HEAD, POST"],
    ["DELETE", KEYS, "GET, HEAD, POST"],
    ["GET", `${KEYS}/${keyId}`, "DELETE"],
    ["HEAD", `${KEYS}/${keyId}`, "DELETE"],
    ["POST", `${KEYS}/${keyId}`, "DELETE"],
  ];
  for (const [method, path, allow] of rows) {
    const answer = await manage(method, path);
    assertEquals([answer.status, answer.headers.get("allow")], [405, allow], `${method} ${path}`);
    await answer.body?.cancel();
  }
  assertEquals((await cloakroom.keys.list("acme")).map(({ state }) => state), ["active"]);
});
