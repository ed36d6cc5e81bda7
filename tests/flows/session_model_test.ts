/**
 * Sessions against a model: people sign in, call, refresh and sign out here and elsewhere, the provider signs them out
 * through the back channel, answers come late, old cookies are used again, processes die, and everything that reaches the
 * store or the provider is interleaved at random.
 *
 * Two things must hold whatever happens. After an end no call of that session succeeds (at another process: after the second for
 * which it believes what it has read). And nobody is signed out without a reason that somebody has given.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { readJsonObject } from "../../lib/encoding.ts";
import type { LogEvent } from "../../lib/log.ts";
import { Secret } from "../../lib/secret.ts";
import { createKvRecords } from "../../lib/store/kv/mod.ts";
import { createMemoryRecords, createStores, type Records, type SessionRecord } from "../../lib/store/mod.ts";
import { type Cloakroom, createCloakroom } from "../../routes/cloakroom.ts";
import { type Chance, createChance } from "../support/chance.ts";
import { type CookieJar, createCookieJar } from "../support/cookie_jar.ts";
import { lengthOf } from "../support/full.ts";
import { createMockIdp } from "../support/mock_idp.ts";
import { createScheduler, type Scheduler } from "../support/scheduler.ts";
import { signJwt } from "../support/signing_key.ts";

const APP = "https://app.acme.test";
const RUNS = lengthOf({ short: 120, full: 2000 });
const ACTIONS = 12;

/** Milliseconds for which another process may believe what it has read of a session. */
const BELIEF_MS = 1000;

/** Milliseconds for which superseded cookies go on working. */
const GRACE_MS = 60_000;

/** Milliseconds that a call to the store takes, about: leases live for seconds and have to be renewed in time. */
const STORE_MS = 100;

const now = () => Math.floor(Date.now() / 1000);

interface Session {
  readonly user: string;
  /** `sid` at the provider; known once it has issued the ID token. */
  family: string | null;
  /** Reasons for its end that somebody has given, from the moment when they began to. */
  readonly reasons: Set<string>;
  /** Where and when somebody was told of its end. */
  end: { readonly step: number; readonly owner: string; readonly at: number } | null;
  /** When the browser got cookies of each generation. */
  readonly shown: Map<number, number>;
}

interface Flight {
  readonly what: string;
  readonly owner: string;
  readonly begunAt: number;
  readonly step: number;
  /** Whose cookies it carries, and of which generation they are. */
  readonly session: Session | null;
  readonly generation: number;
  /** Whether both cookies are there. A late answer may set one of them after an end has cleared both. */
  readonly isWhole: boolean;
  readonly browser: Browser | null;
  /** Sessions that a good answer says to have ended. */
  readonly doomed: readonly Session[];
  answer: { readonly status: number; readonly headers: Headers; readonly body: string } | null;
  answeredAt: number;
}

interface Browser {
  readonly user: string;
  readonly jar: CookieJar;
  session: Session | null;
  /** Cookies as they once were. */
  readonly copies: { readonly cookie: string; readonly session: Session }[];
}

for (const [store, runs] of [["memory", RUNS], ["KV", RUNS / 10]] as const) {
  Deno.test(`${runs} random interleavings of the life of sessions agree with the model (${store})`, async () => {
    // The short run is the same every time, from an interleaving that once failed; the full one looks elsewhere.
    const first = Number(
      Deno.env.get("TEST_SEED") ?? lengthOf({ short: 3_947_517_971, full: Math.floor(Math.random() * 2 ** 32) }),
    );
    for (let i = 0; i < runs; i++) {
      const seed = (first + i) >>> 0;
      try {
        await run(seed, store);
      } catch (error) {
        throw new Error(`seed ${seed} (TEST_SEED=${seed} repeats it): ${(error as Error).message}`, { cause: error });
      }
    }
  });
}

async function run(seed: number, store: string): Promise<void> {
  const chance = createChance(seed);
  using time = new FakeTime(1_800_000_000_000);
  const realPerformanceNow = performance.now;
  performance.now = () => Date.now();
  using scheduler = createScheduler(() => Date.now());
  using kv = store === "KV" ? await Deno.openKv(":memory:") : null;
  const records = kv === null ? createMemoryRecords(now) : createKvRecords(kv, { now });
  try {
    const world = await createModelWorld({ chance, time, scheduler, records });
    await world.live();
    await world.settle();
    await world.judge();
  } finally {
    performance.now = realPerformanceNow;
  }
}

interface Tools {
  readonly chance: Chance;
  readonly time: FakeTime;
  readonly scheduler: Scheduler;
  readonly records: Records;
}

async function createModelWorld({ chance, time, scheduler, records }: Tools) {
  const clients = [{ id: "acme-client", secret: null, redirectUris: [`${APP}/auth/acme/callback`] }];
  const idp = await createMockIdp({ clients, now });
  idp.accessTokenSeconds = chance.pick([20, 70, 300]);
  if (chance.below(2) === 0) idp.replaying.add("alice");
  let isFaulty = chance.below(3) === 0;
  const log: LogEvent[] = [];
  const masterKey = new Secret(chance.bytes(32));
  const sessions: Session[] = [];
  const flights: Flight[] = [];
  /** What the provider has issued, by session. */
  const familyOfToken = new Map<string, string>();
  const familyOfNonce = new Map<string, string>();
  /** Tokens that APIs were shown, with the flight that brought them. */
  const presented: string[] = [];
  /** Refreshes that have reached the provider, by process. */
  const refreshing: { readonly owner: string; readonly family: string; readonly at: number }[] = [];
  const browsers: Browser[] = ["alice", chance.pick(["alice", "bob"])].map((user) => ({
    user,
    jar: createCookieJar(now),
    session: null,
    copies: [],
  }));
  const instances = new Map<string, Cloakroom>();
  let step = 0;
  let born = 0;

  idp.makeIdToken = async (claims) => {
    familyOfNonce.set(String(claims.nonce), String(claims.sid));
    return await signJwt(idp.key, {}, claims);
  };
  idp.change.token = (good) => {
    const [, payload] = String(good.id_token).split(".");
    const { sid } = readJsonObject(atob(payload!.replaceAll("-", "+").replaceAll("_", "/")))!;
    for (const token of [good.access_token, good.refresh_token]) familyOfToken.set(String(token), String(sid));
    return Response.json(good);
  };

  /** The network as one instance sees it. */
  function fetchOf(owner: string) {
    return async (input: string, init?: RequestInit): Promise<Response> => {
      const request = new Request(input, init);
      const { host, pathname } = new URL(input);
      if (host === "upstream.test") {
        presented.push(familyOfToken.get(request.headers.get("authorization")!.slice("Bearer ".length))!);
        return Response.json({ family: presented.at(-1) });
      }
      if (pathname !== "/token") return await idp.handle(request);
      const refreshToken = new URLSearchParams(`${init?.body}`).get("refresh_token");
      const fault = isFaulty && refreshToken !== null ? chance.below(10) : 9;
      const family = familyOfToken.get(refreshToken ?? "");
      if (family !== undefined) refreshing.push({ owner, family, at: Date.now() });
      await scheduler.gate(owner, "provider");
      if (fault === 0) return Response.json({ error: "server_error" }, { status: 500 });
      const answer = await idp.handle(request);
      await scheduler.gate(owner, "provider");
      if (fault !== 1 || !answer.ok) return answer;
      await answer.body?.cancel();
      giveReason(sessions.filter((session) => session.family === family), "refresh_reused");
      throw new TypeError("connection reset");
    };
  }

  async function start(owner: string, own: Records): Promise<Cloakroom> {
    return await createCloakroom({
      records: own,
      masterKey,
      fetch: fetchOf(owner),
      random: chance.bytes,
      log: (event) => void log.push(event),
    });
  }

  async function startGuarded(): Promise<string> {
    const owner = `process ${++born}`;
    instances.set(owner, await start(owner, scheduler.guard(owner, records)));
    return owner;
  }

  const front = await start("front", records);
  const isIdleShort = chance.below(5) === 0;
  const limits = isIdleShort ? { sessionIdleSeconds: 900, sessionMaxSeconds: 1800 } : {};
  await front.saveVendor("acme", {
    clientId: clients[0]!.id,
    issuer: idp.issuer,
    publicUrl: APP,
    scopes: ["openid", "offline_access"],
    // Without a cookie domain no list of public suffixes is loaded, which would take its own time.
    cookieScope: "host",
    tokenStore: chance.pick(["cookie", "kv"]),
    upstreams: [{ path: "/api", target: "https://upstream.test" }],
    ...limits,
  });
  await startGuarded();
  await startGuarded();

  function giveReason(to: readonly Session[], reason: string): void {
    for (const session of to) session.reasons.add(reason);
  }

  async function generationOf(cookie: string): Promise<number> {
    const at = /(?:^|; )__Host-at=([^;]+)/.exec(cookie)?.[1];
    const content = at === undefined ? null : await front.keys.open("acme", "at", at);
    return Number(content?.generation ?? 0);
  }

  function send(
    what: string,
    request: Request,
    about: Pick<Flight, "session" | "generation" | "browser"> & { readonly doomed?: readonly Session[] },
  ): Flight {
    const owner = chance.pick([...instances.keys()]);
    const cookie = request.headers.get("cookie") ?? "";
    const flight: Flight = {
      doomed: [],
      isWhole: /(?:^|; )at=/.test(cookie) && cookie.includes("__Host-rt="),
      ...about,
      what,
      owner,
      begunAt: Date.now(),
      step,
      answer: null,
      answeredAt: Infinity,
    };
    flights.push(flight);
    instances.get(owner)!.fetch(request).then(async (response) => {
      const { status, headers } = response;
      flight.answer = { status, headers, body: await response.text() };
      flight.answeredAt = Date.now();
      check(flight);
    }).catch((error) => failures.push(`${what}: ${error.message}`));
    return flight;
  }

  const failures: string[] = [];

  /** What an answer may be, at the moment when it is given. */
  function check(flight: Flight): void {
    const { what, owner, session, generation, isWhole, doomed, begunAt, step: sentAt, answer } = flight;
    learnFamilies();
    const { status, headers, body } = answer!;
    const json = body.startsWith("{") ? JSON.parse(body) : {};
    const said = `${what} at ${owner} answered ${status} ${json.code ?? ""} ${json.reason ?? ""}`;
    if (status === 503) {
      if (headers.get("retry-after") === null) failures.push(`${said}: no Retry-After`);
      return;
    }
    if (status >= 500 || status === 400 || status === 403) failures.push(said);
    if (what === "call" && status === 200 && json.family !== session!.family) {
      failures.push(`${said}: with a token of another session`);
    }
    if (status === 401 && session !== null) {
      if (!isWhole) return;
      const superseded = [...session.shown].filter(([other]) => other > generation).map(([, at]) => at);
      const isStale = superseded.some((at) => at + GRACE_MS <= Date.now());
      const isExplained = json.code === "session_ended" ? isReason(session, json.reason) : isStale;
      if (!isExplained) failures.push(`${said}: generation ${generation}, reasons ${[...session.reasons]}`);
      return;
    }
    if (session?.end != null && session.end.step < sentAt && what !== "logout") {
      const isBelieved = session.end.owner !== owner && begunAt < session.end.at + BELIEF_MS;
      if (!isBelieved) failures.push(`${said}: the session had ended`);
    }
    if (status < 300) {
      for (const one of doomed) one.end ??= { step, owner, at: Date.now() };
    }
  }

  /** The provider signs out everybody who has begun to sign in until then, by whole seconds. */
  function wasSignedOut(user: string, since: number): boolean {
    const second = since - since % 1000;
    return signOuts.some((one) => one.user === user && one.flight.answeredAt >= second);
  }

  const signOuts: { readonly user: string; readonly flight: Flight }[] = [];

  function isReason(session: Session, reason: string): boolean {
    return session.reasons.has(reason) || (isIdleShort && ["idle", "absolute"].includes(reason));
  }

  /** A browser takes an answer; late ones replace what came before, as in real ones. */
  async function deliver(flight: Flight): Promise<void> {
    flights.splice(flights.indexOf(flight), 1);
    const { browser, answer, session } = flight;
    const lines = answer?.headers.getSetCookie() ?? [];
    if (browser === null || lines.length === 0) return;
    const former = browser.jar.header(new URL(APP));
    if (former !== null && browser.session !== null) browser.copies.push({ cookie: former, session: browser.session });
    for (const line of lines) browser.jar.take(new URL(APP), line);
    const header = browser.jar.header(new URL(APP));
    browser.session = header?.includes("__Host-at=") ? session : null;
    if (browser.session === null) return;
    const generation = await generationOf(header!);
    if (!session!.shown.has(generation)) session!.shown.set(generation, Date.now());
  }

  async function deliverAll(browser?: Browser): Promise<void> {
    const done = flights.filter((flight) => flight.answer !== null && (!browser || flight.browser === browser));
    for (const flight of done) await deliver(flight);
  }

  function requestWith(cookie: string, path: string, method = "GET"): Request {
    return new Request(`${APP}${path}`, { method, headers: { cookie, origin: APP } });
  }

  async function signIn(browser: Browser): Promise<void> {
    // A person does not sign in while older answers are still on their way.
    await finish((flight) => flight.browser === browser);
    idp.user = browser.user;
    const cookie = browser.jar.header(new URL(APP)) ?? "";
    const begun = await front.fetch(requestWith(cookie, "/auth/acme/login"));
    for (const line of begun.headers.getSetCookie()) browser.jar.take(new URL(APP), line);
    const address = begun.headers.get("location")!;
    const back = (await idp.handle(new Request(address))).headers.get("location")!;
    const session: Session = {
      user: browser.user,
      family: null,
      reasons: new Set(),
      end: null,
      shown: new Map(),
    };
    sessions.push(session);
    if (wasSignedOut(browser.user, Date.now())) giveReason([session], "back_channel");
    nonces.set(session, new URL(address).searchParams.get("nonce")!);
    const { pathname, search } = new URL(back);
    const own = browser.jar.header(new URL(APP))!;
    send("sign-in", requestWith(own, `${pathname}${search}`), { session, generation: 1, browser });
  }

  const nonces = new Map<Session, string>();

  /** Families become known with the ID token. */
  function learnFamilies(): void {
    for (const session of sessions) session.family ??= familyOfNonce.get(nonces.get(session)!) ?? null;
  }

  async function call(browser: Browser, what: string): Promise<void> {
    const { session } = browser;
    // A page that is being left for the callback makes no calls.
    if (flights.some((flight) => flight.browser === browser && flight.what === "sign-in")) return;
    const cookie = browser.jar.header(new URL(APP));
    if (session === null || cookie === null) return await signIn(browser);
    const generation = await generationOf(cookie);
    const about = { session, generation, browser };
    const ofUser = sessions.filter(({ user }) => user === browser.user);
    switch (what) {
      case "call":
        return void send(what, requestWith(cookie, "/api/x"), about);
      case "userinfo":
        return void send(what, requestWith(cookie, "/auth/acme/userinfo"), about);
      case "refresh":
        return void send(what, requestWith(cookie, "/auth/acme/refresh", "POST"), about);
      case "list":
        return void send(what, requestWith(cookie, "/auth/acme/sessions"), about);
      case "logout":
        giveReason([session], "user");
        return void send(what, requestWith(cookie, "/auth/acme/logout", "POST"), { ...about, doomed: [session] });
      case "end others": {
        const others = ofUser.filter((other) => other !== session);
        giveReason(others, "everywhere");
        const doomed = others.filter(({ shown }) => shown.size > 0);
        return void send(what, requestWith(cookie, "/auth/acme/sessions", "DELETE"), { ...about, doomed });
      }
      case "end all": {
        giveReason(ofUser, "everywhere");
        const doomed = ofUser.filter(({ shown }) => shown.size > 0);
        return void send(what, requestWith(cookie, "/auth/acme/sessions?all=true", "DELETE"), { ...about, doomed });
      }
      case "end one": {
        const other = chance.pick(ofUser.filter(({ shown }) => shown.size > 0));
        const [id] = await createStores(records).sessions.listIdsByIssuerSession("acme", other.family!);
        giveReason([other], "user");
        // One that has ended already is unknown here, which says the same.
        return void send(what, requestWith(cookie, `/auth/acme/sessions/${id}`, "DELETE"), {
          ...about,
          doomed: [other],
        });
      }
    }
  }

  async function signOutByProvider(): Promise<void> {
    learnFamilies();
    const known = sessions.filter(({ family }) => family !== null);
    if (known.length === 0) return;
    const { user, family } = chance.pick(known);
    const named = chance.below(2) === 0 ? { sid: family } : { sub: user };
    const meant = sessions.filter((one) => "sid" in named ? one.family === family : one.user === user);
    giveReason(meant, "back_channel");
    const token = await signJwt(idp.key, { typ: "logout+jwt" }, {
      iss: idp.issuer,
      aud: clients[0]!.id,
      iat: now(),
      exp: now() + 120,
      jti: crypto.randomUUID(),
      events: { "http://schemas.openid.net/event/backchannel-logout": {} },
      ...named,
    });
    const body = new URLSearchParams({ logout_token: token });
    const request = new Request(`${APP}/auth/acme/backchannel-logout`, { method: "POST", body });
    const doomed = meant.filter(({ shown }) => shown.size > 0);
    const flight = send("back channel", request, { session: null, generation: 0, browser: null, doomed });
    if ("sub" in named) signOuts.push({ user, flight });
  }

  async function useCopy(): Promise<void> {
    const { copies } = chance.pick(browsers);
    if (copies.length === 0) return;
    const { cookie, session } = chance.pick(copies);
    send("call", requestWith(cookie, "/api/x"), { session, generation: await generationOf(cookie), browser: null });
  }

  async function killOne(): Promise<void> {
    const owner = chance.pick([...instances.keys()]);
    instances.delete(owner);
    scheduler.kill(owner);
    for (const flight of flights.filter((flight) => flight.owner === owner && flight.answer === null)) {
      flight.answeredAt = Date.now();
      flights.splice(flights.indexOf(flight), 1);
    }
    // What it has asked the provider for may have been given, and then the provider does not give it twice.
    const isRecent = (at: number) => at > Date.now() - GRACE_MS;
    const spent = refreshing.filter((one) => one.owner === owner && isRecent(one.at)).map(({ family }) => family);
    giveReason(sessions.filter(({ family }) => spent.includes(family ?? "")), "refresh_reused");
    await startGuarded();
  }

  async function act(): Promise<void> {
    learnFamilies();
    const dice = chance.below(100);
    if (dice < 60) return await burst(chance.pick(browsers));
    if (dice < 68) return await useCopy();
    if (dice < 74) return await signOutByProvider();
    if (dice < 78) return await killOne();
    if (dice < 86) return void await front.keys.rotate("acme");
    await pass(chance.pick([1000, 2000, 5000, 61_000, 61_000, 310_000]));
  }

  /** A page and its tabs do several things at once. */
  async function burst(browser: Browser): Promise<void> {
    for (let i = chance.below(4); i >= 0; i--) {
      const dice = chance.below(100);
      if (dice < 80) await call(browser, chance.pick(["call", "call", "userinfo", "refresh", "refresh", "list"]));
      else if (dice < 88) await call(browser, chance.pick(["logout", "end others", "end all", "end one"]));
      else if (dice < 94) await useCopy();
      else await signOutByProvider();
    }
  }

  /** Lets time pass. The store answers in time, and nobody's answer takes longer than ten seconds. */
  async function pass(milliseconds: number): Promise<void> {
    const isLong = milliseconds > 10_000;
    if (isLong) await finish(() => true);
    const end = Date.now() + milliseconds;
    while (Date.now() < end) {
      const late = scheduler.waiting.filter(({ what, since }) => isLong || (what === "store" && since < Date.now()));
      for (const one of late) await scheduler.release(one);
      // With nobody under way nothing happens in between.
      await tick(isLong && scheduler.waiting.length === 0 ? end - Date.now() : STORE_MS);
    }
  }

  /** Lets flights come to their end and be delivered. */
  async function finish(which: (flight: Flight) => boolean): Promise<void> {
    for (let turn = 0; flights.some((flight) => which(flight) && flight.answer === null); turn++) {
      assert(turn < 2000, `stuck: ${flights.filter(which).map(({ what, owner }) => `${what} at ${owner}`)}`);
      if (scheduler.waiting.length > 0) await scheduler.release(chance.pick(scheduler.waiting));
      else await tick(STORE_MS);
    }
    for (const flight of flights.filter((flight) => which(flight))) await deliver(flight);
  }

  async function tick(milliseconds: number): Promise<void> {
    time.tick(milliseconds);
    await scheduler.settle();
  }

  async function next(): Promise<void> {
    step++;
    const dice = chance.below(100);
    const done = flights.filter(({ answer }) => answer !== null);
    if (dice < 10 && done.length > 0) await deliver(chance.pick(done));
    else if (dice < 15) await pass(chance.pick([100, 100, 500]));
    else if (scheduler.waiting.length > 0) await scheduler.release(chance.pick(scheduler.waiting));
    assertEquals(failures, []);
  }

  /** Whoever has no reason to be signed out is not; after a fault, within the pause that follows it. */
  async function expectWork(browser: Browser): Promise<void> {
    for (let second = 0; second < 10; second++) {
      if (browser.session === null || browser.session.reasons.size > 0 || isIdleShort) return;
      await call(browser, "call");
      const { length } = presented;
      await finish(() => true);
      if (presented.length > length) return;
      await pass(1000);
    }
    failures.push(`${browser.user} is signed in, and no call succeeds`);
  }

  return {
    async live(): Promise<void> {
      for (const browser of browsers) await signIn(browser);
      if (chance.below(2) === 0) await finish(() => true);
      for (let action = 0; action < ACTIONS; action++) {
        await act();
        for (let i = chance.below(40); i >= 0; i--) await next();
      }
    },

    /** The dust settles: everything under way is answered, and every process has heard of everything. */
    async settle(): Promise<void> {
      await finish(() => true);
      await deliverAll();
      isFaulty = false;
      await pass(10_000);
      await finish(() => true);
      assertEquals(failures, []);
    },

    async judge(): Promise<void> {
      learnFamilies();
      assertEquals(log.filter(({ event }) => /^(?:internal|background|store)/.test(event)), []);
      const stored = new Map(
        (await records.list<SessionRecord>(["session", "acme"])).map(({ value }) => [value.issuerSessionId, value]),
      );
      for (const session of sessions.filter(({ family }) => family !== null)) {
        const record = stored.get(session.family);
        if (record === undefined) continue;
        const { ended } = record;
        if (session.end !== null) assert(ended !== null, "an end was answered that did not happen");
        if (ended !== null) {
          assert(isReason(session, ended.reason), `ended by ${ended.reason}: ${[...session.reasons]}`);
        }
      }
      for (const { copies } of browsers) {
        for (const { cookie, session } of copies) {
          if (session.end !== null) {
            send("call", requestWith(cookie, "/api/x"), { session, generation: 0, browser: null });
          }
        }
      }
      step++;
      await finish(() => true);
      for (const browser of browsers) await expectWork(browser);
      await finish(() => true);
      assertEquals(failures, []);
    },
  };
}
