import { assert, assertEquals, assertFalse } from "@std/assert";
import { codeOf, cookiesOf, createSetting, ownCall, type Setting } from "../setting.ts";

interface Listed {
  readonly id: string;
  readonly current: boolean;
}

async function listOf({ send }: Setting, cookie: string): Promise<readonly Listed[]> {
  const answer = await send("/auth/acme/sessions", { headers: ownCall(cookie) });
  assertEquals([answer.status, answer.headers.get("cache-control")], [200, "no-store"]);
  return await answer.json();
}

async function isSignedIn({ send }: Setting, cookie: string): Promise<boolean> {
  return (await send("/auth/acme/userinfo", { headers: ownCall(cookie) })).status === 200;
}

/** Three sessions of one user, one of another. */
async function start() {
  const setting = await createSetting();
  const own = cookiesOf(await setting.signIn("alice"));
  setting.clock.advance(400);
  const others = [cookiesOf(await setting.signIn("alice")), cookiesOf(await setting.signIn("alice"))];
  const foreign = cookiesOf(await setting.signIn("mallory"));
  return { setting, own, others, foreign };
}

const remove = (cookie: string): RequestInit => ({ method: "DELETE", headers: ownCall(cookie) });

Deno.test("GET …/sessions lists the user's own sessions, and which one is the present", async () => {
  const { setting, own, foreign } = await start();
  const listed = await listOf(setting, own);
  assertEquals(listed.length, 3);
  const [current] = listed.filter((session) => session.current);
  const { id, ...rest } = current!;
  assertEquals(rest as unknown, {
    current: true,
    created_at: setting.clock() - 400,
    last_seen_at: setting.clock() - setting.clock() % 300,
    device: "Firefox on Linux",
  });
  assertEquals(id.length, 43);
  assertEquals((await listOf(setting, foreign)).length, 1);
});

Deno.test("DELETE …/sessions/:id ends one, DELETE …/sessions all others, ?all=true every one", async () => {
  const { setting, own, others, foreign } = await start();
  const { id } = (await listOf(setting, others[0]!)).find(({ current }) => current)!;
  const one = await setting.send(`/auth/acme/sessions/${id}`, remove(own));
  assertEquals([one.status, one.headers.getSetCookie()], [204, []]);
  assertFalse(await isSignedIn(setting, others[0]!));
  assert(await isSignedIn(setting, own));

  const rest = await setting.send("/auth/acme/sessions", remove(own));
  assertEquals([rest.status, rest.headers.getSetCookie()], [204, []]);
  assertFalse(await isSignedIn(setting, others[1]!));
  assert(await isSignedIn(setting, own));

  const all = await setting.send("/auth/sessions?all=true", remove(own));
  assertEquals([all.status, all.headers.getSetCookie().length], [204, 5]);
  assertFalse(await isSignedIn(setting, own));
  assert(await isSignedIn(setting, foreign), "other users stay");
});

Deno.test("ending the present session by its id clears its cookies", async () => {
  const { setting, own } = await start();
  const { id } = (await listOf(setting, own)).find(({ current }) => current)!;
  const answer = await setting.send(`/auth/acme/sessions/${id}`, remove(own));
  assertEquals([answer.status, answer.headers.getSetCookie().length], [204, 5]);
});

Deno.test("another user's session cannot be seen, ended, or told from one that does not exist", async () => {
  const { setting, own, foreign } = await start();
  const { id } = (await listOf(setting, foreign))[0]!;
  for (const asked of [id, "A".repeat(43), "x", "a%20b"]) {
    assertEquals(await codeOf(await setting.send(`/auth/acme/sessions/${asked}`, remove(own))), "session_unknown");
  }
  assert(await isSignedIn(setting, foreign));
});

Deno.test("sessions are shown and ended only to a page of the vendor, for somebody who is signed in", async () => {
  const { setting, own } = await start();
  const evil = { cookie: own, origin: "https://evil.test" };
  for (const path of ["/auth/acme/sessions", `/auth/acme/sessions/${"A".repeat(43)}`]) {
    const method = "DELETE";
    assertEquals(await codeOf(await setting.send(path, { method, headers: evil })), "origin_refused");
    assertEquals(await codeOf(await setting.send(path, remove(""))), "unauthenticated");
  }
  assertEquals(await codeOf(await setting.send("/auth/acme/sessions", { headers: evil })), "origin_refused");
  assertEquals((await listOf(setting, own)).length, 3);
  const wrong = await setting.send(`/auth/acme/sessions/x`, { headers: ownCall(own) });
  assertEquals([wrong.headers.get("allow"), await codeOf(wrong)], ["DELETE", "method_refused"]);
});
