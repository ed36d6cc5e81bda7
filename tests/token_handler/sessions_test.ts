import { assert, assertEquals, assertFalse, assertNotEquals, assertRejects } from "@std/assert";
import { createMemoryRecords, createStores, type EndReason } from "../../lib/store/mod.ts";
import type { RefreshAnswer, RefreshCalls, RefreshRequest } from "../../lib/token_handler/refresh.ts";
import { createServiceKeys } from "../../lib/token_handler/service_keys.ts";
import {
  type CookieValues,
  createSessions,
  type LiveSession,
  MAX_COOKIE_VALUE,
  type Readiness,
  type Sessions,
} from "../../lib/token_handler/sessions.ts";
import type { TokenPair } from "../../lib/token_handler/tokens.ts";
import { createVendorKeys, type VendorKeys } from "../../lib/token_handler/vendor_keys.ts";
import type { Vendor } from "../../lib/token_handler/vendors.ts";
import { readVendorSettings } from "../../lib/vendor/mod.ts";
import { createTestClock, type TestClock } from "../support/clock.ts";

type Stores = ReturnType<typeof createStores>;
type Cookies = { readonly at: string; readonly rt: string };

interface Setting {
  readonly clock: TestClock;
  readonly vendor: Vendor;
  readonly keys: VendorKeys;
  readonly stores: Stores;
  readonly sessions: Sessions;
  /** What the token service is asked, and what it answers. */
  readonly asked: RefreshRequest[];
  readonly revoked: string[];
  readonly background: Promise<unknown>[];
  answer: (request: RefreshRequest) => RefreshAnswer | Promise<RefreshAnswer>;
}

async function createSetting(members: Readonly<Record<string, unknown>> = {}): Promise<Setting> {
  const clock = createTestClock();
  const stores = createStores(createMemoryRecords(clock));
  const serviceKeys = await createServiceKeys([new Uint8Array(32).fill(1)]);
  const keys = createVendorKeys({ store: stores.vendorKeys, serviceKeys, now: clock });
  const reading = readVendorSettings({ clientId: "web-app", issuer: "https://id.test/", ...members });
  if (reading.kind === "refused") throw new Error(JSON.stringify(reading.faults));
  const vendor: Vendor = {
    ...reading.settings,
    id: "acme",
    issuer: "https://id.test/",
    upstreams: [],
    authenticateClient: () => {},
  };
  const calls: RefreshCalls = {
    async refresh(request) {
      setting.asked.push(request);
      return await setting.answer(request);
    },
    revoke: (_vendor, token) => Promise.resolve(void setting.revoked.push(token)),
  };
  const background: Promise<unknown>[] = [];
  const setting: Setting = {
    clock,
    vendor,
    keys,
    stores,
    asked: [],
    revoked: [],
    background,
    answer: () => issue(clock, `new-${setting.asked.length}`),
    sessions: createSessions({
      store: stores.sessions,
      leases: stores.leases,
      keys,
      calls,
      now: clock,
      background: (work) => void background.push(work),
      wait: () => Promise.resolve(),
    }),
  };
  return setting;
}

function issue(clock: TestClock, name: string, pair: Partial<TokenPair> = {}): RefreshAnswer {
  const tokens = { accessToken: `access-${name}`, refreshToken: `refresh-${name}`, expiresAt: clock() + 3600, ...pair };
  return { kind: "issued", tokens, idToken: null, scope: null };
}

async function signIn(
  { sessions, vendor, clock }: Setting,
  pair: Partial<TokenPair> = {},
  more: { readonly claims?: Record<string, unknown>; readonly appState?: string; readonly begunAt?: number } = {},
): Promise<CookieValues | null> {
  const { claims = { sub: "ada" }, appState = null, begunAt = clock() } = more;
  return await sessions.start(vendor, {
    tokens: { accessToken: "access-1", refreshToken: "refresh-1", expiresAt: clock() + 3600, ...pair },
    claims,
    idToken: "an.id.token",
    scope: "openid",
    audience: null,
    appState,
    device: "Firefox on Linux",
    begunAt,
  });
}

async function cookiesOf(setting: Setting, ...given: [Partial<TokenPair>?, Parameters<typeof signIn>[2]?]) {
  const cookies = await signIn(setting, ...given);
  assert(cookies !== null && cookies.rt !== null);
  return { at: cookies.at, rt: cookies.rt };
}

async function recognise({ sessions, vendor }: Setting, cookies: { at: string | null; rt: string | null }) {
  const recognition = await sessions.recognise(vendor, cookies);
  if (recognition.kind !== "alive") throw new Error(JSON.stringify(recognition));
  return recognition.session;
}

async function ready({ sessions, vendor }: Setting, session: LiveSession, force = false) {
  return await sessions.ready(vendor, session, { force });
}

function tokenOf(readiness: Readiness): string {
  return readiness.kind === "ready" ? readiness.accessToken : JSON.stringify(readiness);
}

/** The cookies after an answer: what it does not replace stays. */
function after(cookies: Cookies, readiness: Readiness): Cookies {
  assert(readiness.kind === "ready" && readiness.cookies !== null, JSON.stringify(readiness));
  return { at: readiness.cookies.at, rt: readiness.cookies.rt ?? cookies.rt };
}

for (const tokenStore of ["cookie", "kv"]) {
  Deno.test(`a session begins, is recognised, is refreshed and ends (tokenStore ${tokenStore})`, async () => {
    const setting = await createSetting({ tokenStore });
    const { clock, sessions, vendor } = setting;
    const cookies = await cookiesOf(setting);
    const session = await recognise(setting, cookies);
    const { record, content } = session;
    assertEquals([record.subject, record.generation, record.device], ["ada", 1, "Firefox on Linux"]);
    assertEquals([content.claims, content.idToken, content.isKept], [
      { sub: "ada" },
      "an.id.token",
      tokenStore === "kv",
    ]);
    assertEquals(await ready(setting, session), {
      kind: "ready",
      accessToken: "access-1",
      expiresAt: clock() + 3600,
      cookies: null,
    });

    clock.advance(3541);
    const refreshed = await ready(setting, await recognise(setting, cookies));
    assertEquals(tokenOf(refreshed), "access-new-1");
    assertEquals(setting.asked.map(({ refreshToken, subject }) => [refreshToken, subject]), [["refresh-1", "ada"]]);
    const next = await recognise(setting, after(cookies, refreshed));
    assertEquals([next.record.generation, next.tokens.refreshToken], [2, "refresh-new-1"]);

    assert(await sessions.end("acme", record.id, "user"));
    assertFalse(await sessions.end("acme", record.id, "operator"));
    const ended = { kind: "ended", reason: "user" };
    assertEquals(await sessions.recognise(vendor, after(cookies, refreshed)) as unknown, ended);
    assertEquals(await sessions.recognise(vendor, cookies) as unknown, ended);
  });
}

Deno.test("tokens stay in the cookies as long as both fit, and move into the record together", async () => {
  const setting = await createSetting();
  const lengthsOf = async (length: number) => {
    const cookies = await cookiesOf(setting, { accessToken: "a".repeat(length) });
    const session = await recognise(setting, cookies);
    assertEquals(session.tokens.accessToken, "a".repeat(length));
    assertEquals(session.tokens.refreshToken, "refresh-1");
    return { at: cookies.at.length, isKept: session.content.isKept };
  };
  let largest = 2000;
  for (let step = 1024; step >= 1; step /= 2) {
    if (!(await lengthsOf(largest + step)).isKept) largest += step;
  }
  const fitting = await lengthsOf(largest);
  assert(fitting.at <= MAX_COOKIE_VALUE && fitting.at > MAX_COOKIE_VALUE - 4, `${fitting.at}`);
  const moved = await lengthsOf(largest + 3);
  assert(moved.isKept && moved.at < 500, `${moved.at}`);
  const large = await cookiesOf(setting, { refreshToken: "r".repeat(20_000) });
  const session = await recognise(setting, large);
  assertEquals([session.tokens.accessToken, session.tokens.refreshToken?.length], ["access-1", 20_000]);
});

Deno.test("what no session can hold is refused at its beginning", async () => {
  const setting = await createSetting();
  const error = await assertRejects(() => signIn(setting, {}, { claims: { sub: "ada", x: "x".repeat(400_000) } }));
  assert(error instanceof RangeError && /^Cannot keep a session: its content needs \d+ of 400000/.test(error.message));
});

Deno.test("50 callers who need new tokens make one call, and all get the same tokens", async () => {
  const setting = await createSetting();
  const cookies = await cookiesOf(setting);
  setting.clock.advance(3600);
  const sessions = await Promise.all(Array.from({ length: 50 }, () => recognise(setting, cookies)));
  const outcomes = await Promise.all(sessions.map((session) => ready(setting, session)));
  assertEquals(setting.asked.length, 1);
  assertEquals(new Set(outcomes.map(tokenOf)), new Set(["access-new-1"]));
  const late = await ready(setting, await recognise(setting, cookies));
  assertEquals([tokenOf(late), setting.asked.length], ["access-new-1", 1], "who comes later with old cookies, too");
});

Deno.test("who still has a living token goes ahead while another caller waits for the new one", async () => {
  const setting = await createSetting();
  const cookies = await cookiesOf(setting);
  setting.clock.advance(3541);
  const answered = Promise.withResolvers<RefreshAnswer>();
  setting.answer = () => answered.promise;
  const first = ready(setting, await recognise(setting, cookies));
  assertEquals(tokenOf(await ready(setting, await recognise(setting, cookies))), "access-1");
  answered.resolve(issue(setting.clock, "2"));
  assertEquals(tokenOf(await first), "access-2");
});

Deno.test("a refresh that finishes after the session ended revives nothing, and its token is revoked", async () => {
  const setting = await createSetting();
  const cookies = await cookiesOf(setting);
  setting.clock.advance(3600);
  const called = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<RefreshAnswer>();
  setting.answer = () => {
    called.resolve();
    return answered.promise;
  };
  const session = await recognise(setting, cookies);
  const refreshing = ready(setting, session);
  await called.promise;
  assert(await setting.sessions.end("acme", session.record.id, "user"));
  answered.resolve(issue(setting.clock, "2"));
  assertEquals(await refreshing as unknown, { kind: "ended", reason: "user" });
  await Promise.all(setting.background);
  assertEquals(setting.revoked, ["refresh-2"]);
  const { value } = (await setting.stores.sessions.find("acme", session.record.id))!;
  assertEquals([value.ended?.reason, value.generation, value.sealed], ["user", 1, ""]);
  assertEquals((await setting.sessions.recognise(setting.vendor, cookies)).kind, "ended");
});

Deno.test("a refresh that has not called yet does not call for a session that ended", async () => {
  const setting = await createSetting();
  const cookies = await cookiesOf(setting);
  setting.clock.advance(3600);
  const session = await recognise(setting, cookies);
  await setting.sessions.end("acme", session.record.id, "everywhere");
  assertEquals(await ready(setting, session) as unknown, { kind: "ended", reason: "everywhere" });
  assertEquals(setting.asked, []);
});

Deno.test("each answer of the token service leads to what the contract says", async (t) => {
  type Row = readonly [answer: RefreshAnswer, left: number, outcome: unknown];
  const later: RefreshAnswer = { kind: "unavailable", retryAfterSeconds: 7, afterUnknown: false };
  const present = { accessToken: "access-1" };
  const rows: Readonly<Record<string, Row>> = {
    "refused": [{ kind: "refused", afterUnknown: false }, 0, { kind: "ended", reason: "refresh_refused" }],
    "refused after an unknown end": [
      { kind: "refused", afterUnknown: true },
      0,
      { kind: "ended", reason: "refresh_reused" },
    ],
    "refused, though a little life was left": [
      { kind: "refused", afterUnknown: false },
      30,
      { kind: "ended", reason: "refresh_refused" },
    ],
    "unavailable": [later, 0, { kind: "unavailable", retryAfterSeconds: 7 }],
    "unavailable, a little life left": [later, 30, present],
    "unavailable for long": [
      { kind: "unavailable", retryAfterSeconds: 3600, afterUnknown: false },
      0,
      { kind: "unavailable", retryAfterSeconds: 30 },
    ],
  };
  for (const [what, [answer, left, outcome]] of Object.entries(rows)) {
    await t.step(what, async () => {
      const setting = await createSetting();
      const cookies = await cookiesOf(setting);
      setting.clock.advance(3600 - left);
      setting.answer = () => answer;
      const got = await ready(setting, await recognise(setting, cookies));
      if (outcome === present) assertEquals(tokenOf(got), "access-1");
      else assertEquals(got as unknown, outcome);
      const { kind } = await setting.sessions.recognise(setting.vendor, cookies);
      assertEquals(kind, got.kind === "ended" ? "ended" : "alive");
    });
  }
});

Deno.test("after a failure that will pass nobody asks again for a while", async () => {
  const setting = await createSetting();
  const cookies = await cookiesOf(setting);
  setting.clock.advance(3600);
  setting.answer = () => ({ kind: "unavailable", retryAfterSeconds: 7, afterUnknown: false });
  const ask = async () => await ready(setting, await recognise(setting, cookies));
  assertEquals(await ask(), { kind: "unavailable", retryAfterSeconds: 7 });
  setting.clock.advance(3);
  assertEquals(await ask(), { kind: "unavailable", retryAfterSeconds: 4 });
  assertEquals(setting.asked.length, 1);
  setting.answer = () => issue(setting.clock, "2");
  setting.clock.advance(4);
  assertEquals(tokenOf(await ask()), "access-2");
});

Deno.test("a forced refresh brings new tokens, whatever life is left, and nothing else will do", async () => {
  const setting = await createSetting();
  const cookies = await cookiesOf(setting);
  assertEquals(tokenOf(await ready(setting, await recognise(setting, cookies), true)), "access-new-1");
  const other = await cookiesOf(setting);
  setting.answer = () => ({ kind: "unavailable", retryAfterSeconds: 7, afterUnknown: false });
  const failed = await ready(setting, await recognise(setting, other), true);
  assertEquals(failed, { kind: "unavailable", retryAfterSeconds: 7 });
});

Deno.test("without a refresh token a session lives as long as its access token, forced or not", async () => {
  const setting = await createSetting();
  const cookies = await cookiesOf(setting, { refreshToken: null });
  for (const force of [false, true]) {
    assertEquals(tokenOf(await ready(setting, await recognise(setting, cookies), force)), "access-1");
  }
  setting.clock.advance(3599);
  for (const force of [false, true]) {
    assertEquals(tokenOf(await ready(setting, await recognise(setting, cookies), force)), "access-1");
  }
  setting.clock.advance(1);
  const over = { kind: "ended", reason: "absolute" };
  assertEquals(await ready(setting, await recognise(setting, cookies)) as unknown, over);
  assertEquals(setting.asked, []);
});

Deno.test("the former cookies work on until the browser has shown the new ones, and a minute longer", async () => {
  const setting = await createSetting();
  const { clock, sessions, vendor } = setting;
  const old = await cookiesOf(setting);
  const refreshed = await ready(setting, await recognise(setting, old), true);
  const fresh = after(old, refreshed);
  // The answer got lost: the browser still has the old ones, and is offered the new ones again, for as long as it takes.
  clock.advance(600);
  assertEquals(tokenOf(await ready(setting, await recognise(setting, old))), "access-new-1");
  // Requests that were under way bring the old ones, even after the new ones have been seen.
  await recognise(setting, fresh);
  clock.advance(59);
  await recognise(setting, fresh);
  const again = await ready(setting, await recognise(setting, old));
  assertEquals(tokenOf(again), "access-new-1");
  assertEquals((await recognise(setting, after(old, again))).tokens.refreshToken, "refresh-new-1");
  assertEquals((await recognise(setting, fresh)).tokens.refreshToken, "refresh-new-1");
  // The new ones were shown a minute ago, so the old ones are nobody's any more.
  clock.advance(1);
  await recognise(setting, fresh);
  assertEquals(await sessions.recognise(vendor, old) as unknown, { kind: "refused", bad: ["at", "rt"] });
  assertEquals((await recognise(setting, fresh)).tokens.accessToken, "access-new-1");
  assertEquals(setting.asked.length, 1);
});

Deno.test("cookies of a generation that was never made are refused", async () => {
  const setting = await createSetting();
  const cookies = await cookiesOf(setting);
  const { record, version } = await recognise(setting, cookies);
  const later = after(cookies, await ready(setting, await recognise(setting, cookies), true));
  // The store was set back, as by a restored copy.
  const { version: now } = (await setting.stores.sessions.find("acme", record.id))!;
  assertNotEquals(now, version);
  await setting.stores.sessions.save(record, now);
  const other = createSessions({
    store: setting.stores.sessions,
    leases: setting.stores.leases,
    keys: setting.keys,
    calls: { refresh: () => Promise.reject(new Error("unexpected")), revoke: () => Promise.resolve() },
    now: setting.clock,
  });
  assertEquals(await other.recognise(setting.vendor, later) as unknown, { kind: "refused", bad: ["at", "rt"] });
});

Deno.test("a browser that lost at gets it back", async () => {
  for (const tokenStore of ["cookie", "kv"]) {
    const setting = await createSetting({ tokenStore });
    const { at, rt } = await cookiesOf(setting);
    const session = await recognise(setting, { at: null, rt });
    const outcome = await ready(setting, session);
    assert(outcome.kind === "ready" && outcome.cookies !== null);
    assertNotEquals(outcome.cookies.at, at);
    // Only the record can know the token; the cookies alone have to be refreshed.
    assertEquals(tokenOf(outcome), tokenStore === "kv" ? "access-1" : "access-new-1");
  }
});

Deno.test("after a rotation of the vendor's key, cookies and record move to the new one", async () => {
  const setting = await createSetting();
  const { keys, sessions, vendor } = setting;
  const cookies = await cookiesOf(setting);
  const former = await keys.activeKeyId("acme");
  await keys.rotate("acme");
  const outcome = await ready(setting, await recognise(setting, cookies));
  assertEquals(tokenOf(outcome), "access-1");
  const moved = after(cookies, outcome);
  await keys.retire("acme", former);
  assertEquals(tokenOf(await ready(setting, await recognise(setting, moved))), "access-1");
  assertEquals(await sessions.recognise(vendor, cookies) as unknown, { kind: "ended", reason: "key_retired" });
  assertEquals(setting.asked, []);
});

Deno.test("a session's record is worth nothing under another session's or vendor's name", async () => {
  const setting = await createSetting();
  const { stores, clock } = setting;
  const cookies = await cookiesOf(setting);
  const other = await cookiesOf(setting, {}, { claims: { sub: "mallory" } });
  const own = await recognise(setting, cookies);
  const foreign = await recognise(setting, other);
  await stores.sessions.save({ ...own.record, sealed: foreign.record.sealed }, own.version);
  const fresh = createSessions({
    store: stores.sessions,
    leases: stores.leases,
    keys: setting.keys,
    calls: { refresh: () => Promise.reject(new Error("unexpected")), revoke: () => Promise.resolve() },
    now: clock,
  });
  assertEquals(await fresh.recognise(setting.vendor, cookies) as unknown, { kind: "ended", reason: "key_retired" });
});

Deno.test("idle and absolute ends are written down, with their reason", async (t) => {
  const rows: readonly (readonly [seconds: number, reason: EndReason])[] = [[600, "idle"], [3600, "absolute"]];
  for (const [seconds, reason] of rows) {
    await t.step(reason, async () => {
      const setting = await createSetting({ sessionIdleSeconds: 600, sessionMaxSeconds: 3600 });
      const cookies = await cookiesOf(setting, { expiresAt: setting.clock() + 86_400 });
      setting.clock.advance(seconds - 1);
      if (reason === "idle") await recognise(setting, cookies);
      setting.clock.advance(reason === "idle" ? 600 : 1);
      const { sessions, vendor } = setting;
      assertEquals(await sessions.recognise(vendor, cookies) as unknown, { kind: "ended", reason });
      assertEquals(await sessions.list(vendor, "ada"), []);
    });
  }
});

Deno.test("activity is noted every five minutes, and not at all where asked so", async () => {
  const setting = await createSetting();
  const { clock, sessions, vendor } = setting;
  const cookies = await cookiesOf(setting);
  const begin = clock();
  const seen = async () => (await sessions.list(vendor, "ada"))[0]!.lastSeenAt - begin;
  clock.advance(299);
  await recognise(setting, cookies);
  assertEquals(await seen(), 0);
  clock.advance(1);
  await sessions.recognise(vendor, cookies, { touch: false });
  assertEquals(await seen(), 0);
  await recognise(setting, cookies);
  assertEquals(await seen(), 300);
});

Deno.test("the page's text is taken once, however many ask", async () => {
  const setting = await createSetting();
  const cookies = await cookiesOf(setting, {}, { appState: "opaque" });
  const sessions = await Promise.all(Array.from({ length: 10 }, () => recognise(setting, cookies)));
  const taken = await Promise.all(sessions.map((session) => setting.sessions.takeAppState(session)));
  assertEquals(taken.filter((text) => text !== null), ["opaque"]);
  assertEquals(await setting.sessions.takeAppState(await recognise(setting, cookies)), null);
});

Deno.test("a refresh does not bring back a text that was taken meanwhile", async () => {
  const setting = await createSetting();
  const cookies = await cookiesOf(setting, {}, { appState: "opaque" });
  const answered = Promise.withResolvers<RefreshAnswer>();
  setting.answer = () => answered.promise;
  const refreshing = ready(setting, await recognise(setting, cookies), true);
  assertEquals(await setting.sessions.takeAppState(await recognise(setting, cookies)), "opaque");
  answered.resolve(issue(setting.clock, "2"));
  const next = await recognise(setting, after(cookies, await refreshing));
  assertEquals([next.content.appState, next.tokens.accessToken], [null, "access-2"]);
});

Deno.test("the token service ends what it names, beginning sessions included, and nothing else", async () => {
  const setting = await createSetting();
  const { sessions, vendor, clock } = setting;
  const one = await cookiesOf(setting, {}, { claims: { sub: "ada", sid: "sid-1" } });
  const two = await cookiesOf(setting, {}, { claims: { sub: "ada", sid: "sid-2" } });
  const other = await cookiesOf(setting, {}, { claims: { sub: "bo", sid: "sid-3" } });
  const kindOf = async (cookies: Cookies) => (await sessions.recognise(vendor, cookies)).kind;
  assertEquals(await sessions.endNamed("acme", { by: "sid", value: "sid-1" }, "back_channel", { isProven: true }), 1);
  assertEquals([await kindOf(one), await kindOf(two)], ["ended", "alive"]);
  assertEquals(await sessions.endNamed("globex", { by: "sub", value: "ada" }, "back_channel", { isProven: true }), 0);
  assertEquals(await kindOf(two), "alive");
  assertEquals(await sessions.endNamed("acme", { by: "sub", value: "ada" }, "back_channel", { isProven: true }), 1);
  assertEquals([await kindOf(two), await kindOf(other)], ["ended", "alive"]);

  // A sign-in that had begun before, and finishes now.
  assertEquals(await signIn(setting, {}, { claims: { sub: "ada" }, begunAt: clock() - 1 }), null);
  assertEquals(await signIn(setting, {}, { claims: { sub: "eve", sid: "sid-1" }, begunAt: clock() }), null);
  assertEquals(await sessions.list(vendor, "ada"), []);
  clock.advance(1);
  assertEquals(await kindOf(await cookiesOf(setting)), "alive", "a new sign-in is a new sign-in");
});
