/**
 * Two processes work on one session at the same time: what each of them reads and writes is let through one by one.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { createMemoryRecords, createStores, type Records, StoreUnavailableError } from "../../lib/store/mod.ts";
import type { RefreshAnswer, RefreshCalls, RefreshRequest } from "../../lib/token_handler/refresh.ts";
import { createServiceKeys } from "../../lib/token_handler/service_keys.ts";
import { createSessions, type LiveSession, type Sessions } from "../../lib/token_handler/sessions.ts";
import { createVendorKeys } from "../../lib/token_handler/vendor_keys.ts";
import type { Vendor } from "../../lib/token_handler/vendors.ts";
import { readVendorSettings } from "../../lib/vendor/mod.ts";
import { createTestClock } from "../support/clock.ts";

const ISSUER_SESSION = "sid-1";

interface Cookies {
  readonly at: string;
  readonly rt: string;
}

interface Setting {
  readonly vendor: Vendor;
  readonly clock: ReturnType<typeof createTestClock>;
  readonly records: Records;
  /** What the provider answers, and what it was asked. */
  readonly provider: {
    answer: (request: RefreshRequest) => Promise<RefreshAnswer>;
    readonly asked: RefreshRequest[];
    readonly revoked: string[];
  };
  /** Starts one more process; its store may be spoilt. */
  start(spoil?: (records: Records) => Records): Promise<Sessions>;
  /** Signs in; the access token lives so many seconds. */
  signIn(seconds: number): Promise<Cookies>;
  /** Waits for everything that goes on after an answer. */
  settle(): Promise<unknown>;
  /** Recognises cookies, which must be good. */
  recognise(sessions: Sessions, cookies: Cookies): Promise<LiveSession>;
}

async function createSetting(): Promise<Setting> {
  const clock = createTestClock();
  const records = createMemoryRecords(clock);
  const reading = readVendorSettings({ clientId: "web-app", issuer: "https://id.test/" });
  if (reading.kind === "refused") throw new Error(JSON.stringify(reading.faults));
  const vendor = { ...reading.settings, id: "acme", upstreams: [], authenticateClient: () => {} } as unknown as Vendor;
  const works: Promise<unknown>[] = [];
  let issued = 1;
  const provider: Setting["provider"] = {
    asked: [],
    revoked: [],
    answer: () => Promise.resolve(issue(++issued)),
  };
  const issue = (n: number): RefreshAnswer => ({
    kind: "issued",
    tokens: { accessToken: `access-${n}`, refreshToken: `refresh-${n}`, expiresAt: clock() + 3600 },
    idToken: null,
    scope: null,
  });
  const calls: RefreshCalls = {
    refresh(request) {
      provider.asked.push(request);
      return provider.answer(request);
    },
    revoke: (_vendor, token) => Promise.resolve(void provider.revoked.push(token)),
  };
  const serviceKeys = await createServiceKeys([new Uint8Array(32).fill(1)]);

  const setting: Setting = {
    vendor,
    clock,
    records,
    provider,

    start(spoil = (records) => records): Promise<Sessions> {
      const stores = createStores(spoil(records));
      const keys = createVendorKeys({ store: stores.vendorKeys, serviceKeys, now: clock });
      // Waiting only lets others go first.
      const wait = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
      const { sessions: store, leases } = stores;
      const background = (work: Promise<unknown>) => void works.push(work);
      return Promise.resolve(createSessions({ store, leases, keys, calls, background, now: clock, wait }));
    },

    settle: () => Promise.all(works),

    async signIn(seconds: number): Promise<Cookies> {
      const sessions = await setting.start();
      const cookies = await sessions.start(vendor, {
        tokens: { accessToken: "access-1", refreshToken: "refresh-1", expiresAt: clock() + seconds },
        claims: { sub: "ada", sid: ISSUER_SESSION },
        idToken: null,
        scope: "openid",
        audience: null,
        appState: "from the page",
        device: null,
        begunAt: clock(),
      });
      return cookies as Cookies;
    },

    async recognise(sessions: Sessions, cookies: Cookies): Promise<LiveSession> {
      const recognition = await sessions.recognise(vendor, cookies);
      if (recognition.kind !== "alive") throw new Error(JSON.stringify(recognition));
      return recognition.session;
    },
  };
  return setting;
}

/** Does something once, right after a commit of sessions has been applied. */
function afterNextSave(records: Records, action: () => Promise<unknown>): Records {
  let isDone = false;
  return {
    ...records,
    async commit(change) {
      const isSaved = await records.commit(change);
      if (!isDone && isSaved && change.sets?.some(({ key }) => key[0] === "session")) {
        isDone = true;
        await action();
      }
      return isSaved;
    },
  };
}

Deno.test("a refresh elsewhere right after a note of activity does not mix generations", async () => {
  const { vendor, clock, provider, ...setting } = await createSetting();
  const cookies = await setting.signIn(400);
  const other = await setting.start();
  clock.advance(300);
  const busy = await setting.start((records) =>
    afterNextSave(records, async () => {
      const session = await setting.recognise(other, cookies);
      assertEquals((await other.ready(vendor, session, { force: true })).kind, "ready");
    })
  );
  const session = await setting.recognise(busy, cookies);
  assertEquals(provider.asked.length, 1);
  clock.advance(60);
  const readiness = await busy.ready(vendor, session);
  assertEquals(readiness.kind === "ready" && readiness.accessToken, "access-2", "the old token was sent again");
  assertEquals(provider.asked.map(({ refreshToken }) => refreshToken), ["refresh-1"]);
});

Deno.test("an end elsewhere right after a note of activity is found at the next step", async () => {
  const { vendor, clock, ...setting } = await createSetting();
  const cookies = await setting.signIn(400);
  const other = await setting.start();
  clock.advance(300);
  const busy = await setting.start((records) =>
    afterNextSave(
      records,
      () => other.endNamed("acme", { by: "sid", value: ISSUER_SESSION }, "back_channel", { isProven: true }),
    )
  );
  const session = await setting.recognise(busy, cookies);
  assertEquals(session.record.ended, null);
  clock.advance(99);
  assertEquals(await busy.ready(vendor, session), { kind: "ended", reason: "back_channel" });
});

Deno.test("a look that was under way when the session ended is not remembered", async () => {
  const { vendor, records, ...setting } = await createSetting();
  const cookies = await setting.signIn(3600);
  let onRead: (() => Promise<unknown>) | null = null;
  const sessions = await setting.start((records) => ({
    ...records,
    async find(key) {
      const found = await records.find(key);
      const action = key[0] === "session" ? onRead : null;
      if (action !== null) {
        onRead = null;
        await action();
      }
      // deno-lint-ignore no-explicit-any
      return found as any;
    },
  }));
  const [id] = await createStores(records).sessions.listIds("acme", "ada");
  onRead = () => sessions.end("acme", id!, "user");
  await sessions.recognise(vendor, cookies);
  assertEquals(onRead, null);
  assertEquals(await sessions.recognise(vendor, cookies), { kind: "ended", reason: "user" });
});

Deno.test("of two processes that both got new tokens, one generation stays, and nothing of it is revoked", async () => {
  const { vendor, clock, provider, ...setting } = await createSetting();
  const cookies = await setting.signIn(0);
  const [slow, quick] = [await setting.start(), await setting.start()];
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<RefreshAnswer>()];
  const good = provider.answer;
  provider.answer = () => {
    first.resolve();
    return second.promise;
  };
  const late = slow.ready(vendor, await setting.recognise(slow, cookies));
  await first.promise;
  const lateAnswer = await good({} as RefreshRequest);
  provider.answer = good;
  // The slow process stood still for longer than its lease lives.
  clock.advance(10);
  const readiness = await quick.ready(vendor, await setting.recognise(quick, cookies));
  assertEquals(readiness.kind === "ready" && readiness.accessToken, "access-3");
  second.resolve(lateAnswer);
  const lateReadiness = await late;
  assertEquals(lateReadiness.kind === "ready" && lateReadiness.accessToken, "access-3");
  assertEquals(provider.revoked, []);
  const [one] = await quick.list(vendor, "ada");
  assertEquals(one!.generation, 2);
});

Deno.test("tokens that the store could not take are kept until it can", async () => {
  const { vendor, clock, provider, ...setting } = await createSetting();
  const cookies = await setting.signIn(0);
  let isAway = false;
  let failures = 0;
  const fail = () => {
    if (isAway && ++failures === 10) isAway = false;
    return isAway ? Promise.reject(new StoreUnavailableError("reach it")) : null;
  };
  const sessions = await setting.start((records) => ({
    find: (key) => fail() ?? records.find(key),
    list: (prefix, options) => fail() ?? records.list(prefix, options),
    commit: (change) => fail() ?? records.commit(change),
  }));
  const good = provider.answer;
  provider.answer = (request) => {
    // Long enough for everything that is remembered about keys to be looked up again.
    clock.advance(3);
    isAway = true;
    return good(request);
  };
  const readiness = await sessions.ready(vendor, await setting.recognise(sessions, cookies));
  assertEquals(readiness.kind === "ready" && readiness.accessToken, "access-2");
  assertEquals(failures, 10);
  assertEquals(provider.asked.length, 1);
});

Deno.test("tokens whose saving was answered with a failure, although it happened, are used", async () => {
  const { vendor, provider, ...setting } = await createSetting();
  const cookies = await setting.signIn(0);
  const sessions = await setting.start((records) => {
    let isSpoilt = true;
    return {
      ...records,
      async commit(change) {
        const isSaved = await records.commit(change);
        const isNew = change.sets?.some(({ value }) => (value as { generation?: number }).generation === 2 && isSaved);
        if (isSpoilt && isNew) {
          isSpoilt = change.sets![0]!.key[0] !== "session";
          if (!isSpoilt) throw new StoreUnavailableError("write records");
        }
        return isSaved;
      },
    };
  });
  const readiness = await sessions.ready(vendor, await setting.recognise(sessions, cookies));
  assertEquals(readiness.kind === "ready" && readiness.accessToken, "access-2");
  assertEquals([provider.asked.length, provider.revoked], [1, []]);
});

Deno.test("a refresh token that is refused because the session ended meanwhile does not change the reason", async () => {
  const { vendor, provider, ...setting } = await createSetting();
  const cookies = await setting.signIn(0);
  const [sessions, other] = [await setting.start(), await setting.start()];
  const session = await setting.recognise(sessions, cookies);
  provider.answer = async () => {
    await other.end("acme", session.record.id, "user");
    return { kind: "refused", afterUnknown: false };
  };
  assertEquals(await sessions.ready(vendor, session), { kind: "ended", reason: "user" });
});

Deno.test("a refresh token that is refused because another process was quicker does not end the session", async () => {
  const { vendor, clock, provider, ...setting } = await createSetting();
  const cookies = await setting.signIn(0);
  const [slow, quick] = [await setting.start(), await setting.start()];
  const session = await setting.recognise(slow, cookies);
  const good = provider.answer;
  provider.answer = async () => {
    // The slow process stands still for longer than its lease lives.
    provider.answer = good;
    clock.advance(10);
    assertEquals((await quick.ready(vendor, await setting.recognise(quick, cookies))).kind, "ready");
    return { kind: "refused", afterUnknown: false };
  };
  const readiness = await slow.ready(vendor, session);
  assertEquals(readiness.kind === "ready" && readiness.accessToken, "access-2");
  assertEquals((await quick.list(vendor, "ada")).map(({ generation }) => generation), [2]);
});

Deno.test("a caller whose token still lives does not wait for another process's refresh", async () => {
  const { vendor, provider, ...setting } = await createSetting();
  const cookies = await setting.signIn(30);
  const [slow, other] = [await setting.start(), await setting.start()];
  const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<RefreshAnswer>()];
  const good = provider.answer;
  provider.answer = () => {
    asked.resolve();
    return answer.promise;
  };
  const refreshed = slow.ready(vendor, await setting.recognise(slow, cookies));
  await asked.promise;
  for (const sessions of [other, slow]) {
    const readiness = await sessions.ready(vendor, await setting.recognise(sessions, cookies));
    assertEquals(readiness, { kind: "ready", accessToken: "access-1", expiresAt: setting.clock() + 30, cookies: null });
  }
  answer.resolve(await good({} as RefreshRequest));
  assertEquals((await refreshed).kind, "ready");
  await setting.settle();
  const late = await other.ready(vendor, await setting.recognise(other, cookies));
  assertEquals(late.kind === "ready" && late.accessToken, "access-2");
  assertEquals(provider.asked.length, 1);
});

Deno.test("the end of a session says that the refresh token may have been used up, pauses later too", async () => {
  const { vendor, clock, provider, ...setting } = await createSetting();
  const cookies = await setting.signIn(0);
  const sessions = await setting.start();
  const ask = async () => await sessions.ready(vendor, await setting.recognise(sessions, cookies));
  const answers: RefreshAnswer[] = [
    { kind: "unavailable", retryAfterSeconds: 1, afterUnknown: true },
    { kind: "unavailable", retryAfterSeconds: 1, afterUnknown: true },
  ];
  provider.answer = ({ afterUnknown }) => Promise.resolve(answers.shift() ?? { kind: "refused", afterUnknown });
  assertEquals((await ask()).kind, "unavailable");
  clock.advance(1);
  assertEquals((await ask()).kind, "unavailable");
  clock.advance(1);
  assertEquals(await ask(), { kind: "ended", reason: "refresh_reused" });
  assertEquals(provider.asked.map(({ afterUnknown }) => afterUnknown), [false, true, true]);
});

Deno.test("however many answers are lost, the newest cookies that were shown go on working, and no older copies", async () => {
  const { vendor, clock, ...setting } = await createSetting();
  const sessions = await setting.start();
  const first = await setting.signIn(3600);
  const refresh = async (cookies: Cookies): Promise<Cookies> => {
    const readiness = await sessions.ready(vendor, await setting.recognise(sessions, cookies), { force: true });
    if (readiness.kind !== "ready" || readiness.cookies === null) throw new Error(readiness.kind);
    return readiness.cookies as Cookies;
  };
  const second = await refresh(first);
  await setting.recognise(sessions, second);
  for (let lost = 0; lost < 3; lost++) {
    clock.advance(60);
    await refresh(second);
    assertEquals(await sessions.recognise(vendor, first), { kind: "refused", bad: ["at", "rt"] });
  }
  const newest = await refresh(second);
  assertEquals((await setting.recognise(sessions, newest)).tokens.accessToken, "access-6");
  clock.advance(59);
  assertEquals(
    (await setting.recognise(sessions, second)).tokens.accessToken,
    "access-6",
    "it may have been under way",
  );
  clock.advance(1);
  assertEquals(await sessions.recognise(vendor, second), { kind: "refused", bad: ["at", "rt"] });
});
