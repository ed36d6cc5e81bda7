/**
 * Sessions over store and seals: begun at the callback, recognised by the two cookies, refreshed on the way, ended for
 * good.
 *
 * @module
 */

import { type Clock, systemClock } from "../clock.ts";
import { type BoundedCache, createBoundedCache } from "../bounded_cache.ts";
import { encodeUtf8, type JsonObject, readUtf8 } from "../encoding.ts";
import { drawToken, type Random, systemRandom } from "../random.ts";
import type { EndedName, EndReason, KeyState, LeaseStore, SessionRecord, SessionStore, Stored } from "../store/mod.ts";
import { systemWait, type Wait, within } from "../waiting.ts";
import type { RefreshCalls } from "./refresh.ts";
import { createRefreshTurn, type WorkDone } from "./refresh_turn.ts";
import { decideCookies, decideFreshness, decideSession, type Presented } from "./session.ts";
import { openContent, sealContent, type SessionContent } from "./session_content.ts";
import { createSessionReader, type SessionSnapshot } from "./session_reader.ts";
import {
  type AccessTicket,
  readAccessTicket,
  readRefreshTicket,
  type RefreshTicket,
  writeAccessTicket,
  writeRefreshTicket,
} from "./tickets.ts";
import type { TokenPair } from "./tokens.ts";
import type { VendorKeys } from "./vendor_keys.ts";
import type { Vendor } from "./vendors.ts";

/** Largest sealed value that goes into a cookie: with the longest name it stays below 3,800 bytes. */
export const MAX_COOKIE_VALUE = 3780;

/** Seconds that former cookies go on working after the browser has shown newer ones, for requests that were under way. */
const GRACE_SECONDS = 60;

/** Milliseconds that a caller waits for a refresh. The refresh itself goes on. */
const PATIENCE_MS = 5000;

/** How often new tokens are offered to a store that is away: with its own deadline for a minute, about. */
const MAX_SAVE_ATTEMPTS = 30;
const SAVE_AGAIN_MS = 100;

/** Seconds without a new try after a failure that will pass: one to three by chance, so that nobody comes in step. */
const COOL_SECONDS = 1;
const COOL_SPREAD = 3;

/** Longest wish of a token service (`Retry-After`) that is honoured. */
const MAX_COOL_SECONDS = 30;

/** Bytes that opened cookies and sessions may take in memory. */
const CACHE_BYTES = 64 * 1024 * 1024;

/** Seconds for which the end of a user's sessions is remembered: longer than the end of a sign-in can take. */
const MARK_SECONDS = 900;

/** Sessions that are looked at or ended at once. */
const BATCH_LENGTH = 100;

/** Values for the two cookies. */
export interface CookieValues {
  /** For `at`. */
  readonly at: string;
  /** For `__Host-rt`; `null` where the present one stays, because it is a handle only. */
  readonly rt: string | null;
}

/** A session that lives. */
export interface LiveSession {
  /** Its record, as it was read. */
  readonly record: SessionRecord;
  /** The record's version. */
  readonly version: string;
  /** The sealed part of the record, opened. */
  readonly content: SessionContent;
  /** The tokens to use: without an access token where the browser no longer brings it. */
  readonly tokens: Partial<TokenPair>;
  /** Which cookies are to be replaced because of an older generation, an older key, or because `at` is missing. */
  readonly renew: "none" | "at" | "both";
}

/** What a request's cookies turn out to be. */
export type Recognition =
  | { readonly kind: "anonymous" }
  | { readonly kind: "refused"; readonly bad: readonly ("at" | "rt")[] }
  | { readonly kind: "ended"; readonly reason: EndReason }
  | { readonly kind: "alone"; readonly session: LiveSession }
  | { readonly kind: "alive"; readonly session: LiveSession };

/** Tokens ready for a call. */
export type Readiness =
  | {
    readonly kind: "ready";
    readonly accessToken: string;
    readonly expiresAt: number;
    /** New cookies to set on the answer; `null` where the present ones will do. */
    readonly cookies: CookieValues | null;
  }
  | { readonly kind: "ended"; readonly reason: EndReason }
  | { readonly kind: "unavailable"; readonly retryAfterSeconds: number };

/** What looking after a session finds. */
export type Attendance =
  | { readonly kind: "ended"; readonly reason: EndReason }
  | {
    readonly kind: "alive";
    /** The session as it is now; without tokens where only the browser holds the newest. */
    readonly session: LiveSession;
  };

/** A user who has just signed in. */
export interface SignIn {
  /** Their tokens. */
  readonly tokens: TokenPair;
  /** Claims about them, `sub` among these. */
  readonly claims: JsonObject;
  /** The ID token. */
  readonly idToken: string | null;
  /** What the tokens were granted. */
  readonly scope: string;
  /** The API that they were asked for. */
  readonly audience: string | null;
  /** Text of the page. */
  readonly appState: string | null;
  /** Short description of the browser. */
  readonly device: string | null;
  /** When the callback arrived: what the token service ended since then includes this sign-in. */
  readonly begunAt: number;
}

/** Begins, recognises, refreshes and ends sessions. */
export interface Sessions {
  /** Begins a session; `null` if the token service ended it while it began. */
  start(vendor: Vendor, signIn: SignIn): Promise<CookieValues | null>;
  /** Says what the cookies of a request are worth. `touch: false` does not count as activity. */
  recognise(
    vendor: Vendor,
    cookies: { readonly at: string | null; readonly rt: string | null },
    options?: { readonly touch?: boolean },
  ): Promise<Recognition>;
  /** Makes sure that the session's access token lives, refreshing it where it is about to end or `force` says so. */
  ready(vendor: Vendor, session: LiveSession, options?: { readonly force?: boolean }): Promise<Readiness>;
  /**
   * Looks after a session on behalf of an open stream: whether it lives, and whether its token does, which is refreshed
   * where only this stream still needs it. It does not count as activity.
   */
  attend(vendor: Vendor, session: LiveSession): Promise<Attendance>;
  /** Takes out the page's text, once. */
  takeAppState(session: LiveSession): Promise<string | null>;
  /** Lists the living sessions of a user. */
  list(vendor: Vendor, subject: string): Promise<readonly SessionRecord[]>;
  /** Ends a session for good. Answers whether it lived until now. */
  end(vendorId: string, sessionId: string, reason: EndReason): Promise<boolean>;
  /** Ends the sessions that the token service names, those included that are just beginning. Answers how many. */
  endNamed(
    vendorId: string,
    named: EndedName,
    reason: EndReason,
    options: {
      /** Whether the token service has signed it; what anybody can say must leave nothing in the store. */
      readonly isProven: boolean;
    },
  ): Promise<number>;
}

/** What sessions are made of. */
export interface SessionsOptions {
  /** Where they lie. */
  readonly store: SessionStore;
  /** Who may refresh them now. */
  readonly leases: LeaseStore;
  /** What seals them. */
  readonly keys: VendorKeys;
  /** Calls to the vendor's token service. */
  readonly calls: RefreshCalls;
  /** Told of every session that ends here. */
  readonly onEnded?: (vendorId: string, sessionId: string) => void;
  /** Takes work that goes on after the answer. */
  readonly background?: (work: Promise<unknown>) => void;
  /** Time; the system's by default. */
  readonly now?: Clock;
  /** Randomness; the system's by default. */
  readonly random?: Random;
  /** Waits between two looks for another process's result. */
  readonly wait?: Wait;
  /** Milliseconds that a caller waits for a refresh; 5,000 by default. */
  readonly patienceMs?: number;
  /** Bytes that opened cookies and sessions may take in memory; 64 MiB by default. */
  readonly cacheBytes?: number;
}

/** What is known of a living session before the cookies are looked at. */
type KnownSession = Pick<LiveSession, "record" | "version" | "content">;

/** A ticket, and the vendor it was sealed for. */
interface Owned<Ticket> {
  readonly vendorId: string;
  readonly ticket: Ticket;
}

/** Values for both cookies. */
type NewCookies = { readonly [Name in keyof CookieValues]: string };

/** A refresh that is under way. */
interface Refreshing {
  /** What comes of it. */
  readonly running: Promise<Readiness>;
  /** Settled once it turns out that somebody else is at it. */
  readonly taken: Promise<void>;
}

/** How one of the two cookies is read and remembered. */
interface CookieKind<Ticket> {
  readonly opened: BoundedCache<Owned<Ticket>>;
  readonly read: (content: JsonObject) => Ticket | null;
}

/** A sealed cookie value, opened. */
interface Opened<Ticket> {
  readonly presented: Presented<Ticket>;
  readonly keyState: KeyState | null;
}

/**
 * Creates the sessions.
 *
 * @param options Store, seals and dependencies.
 * @returns The sessions.
 */
export function createSessions(options: SessionsOptions): Sessions {
  const { leases, keys, calls, onEnded = () => {}, background = () => {}, patienceMs = PATIENCE_MS } = options;
  const { now = systemClock, random = systemRandom, wait = systemWait, cacheBytes = CACHE_BYTES } = options;
  const reader = createSessionReader(options.store, keys, cacheBytes / 2);
  const { store } = reader;
  const openedAt = createBoundedCache<Owned<AccessTicket>>(cacheBytes / 4);
  const openedRt = createBoundedCache<Owned<RefreshTicket>>(cacheBytes / 4);
  const takeTurn = createRefreshTurn({ leases, now, random, wait });
  const refreshes = new Map<string, Promise<Readiness>>();

  /** Opens a cookie, or remembers what was in it: a sealed text never changes its meaning, only its key's state does. */
  async function openCookie<Ticket>(
    vendorId: string,
    sealed: { readonly purpose: string; readonly text: string | null },
    { opened, read }: CookieKind<Ticket>,
  ): Promise<Opened<Ticket>> {
    const { purpose, text } = sealed;
    if (text === null) return { presented: { kind: "absent" }, keyState: null };
    const keyState = await keys.stateOf(vendorId, text);
    const known = opened.get(text);
    if (known !== undefined && known.vendorId === vendorId && keyState !== null && keyState !== "retired") {
      return { presented: { kind: "good", ticket: known.ticket }, keyState };
    }
    const content = await keys.open(vendorId, purpose, text);
    const ticket = content === null ? null : read(content);
    if (ticket === null) return { presented: { kind: "bad" }, keyState };
    opened.set(copyOf(text), { vendorId, ticket }, 4 * text.length);
    return { presented: { kind: "good", ticket }, keyState };
  }

  /** Decides how a new pair travels: in the cookies, or, where it is too large or the vendor wants it so, not at all. */
  async function sealNewPair(
    vendor: Vendor,
    session: { readonly id: string; readonly generation: number },
    pair: TokenPair,
  ): Promise<{ readonly cookies: NewCookies; readonly isKept: boolean }> {
    if (vendor.tokenStore === "cookie") {
      const cookies = await sealPair(vendor, session, { pair, isKept: false });
      if (cookies.at.length <= MAX_COOKIE_VALUE && cookies.rt.length <= MAX_COOKIE_VALUE) {
        return { cookies, isKept: false };
      }
    }
    return { cookies: await sealPair(vendor, session, { pair, isKept: true }), isKept: true };
  }

  /** Seals the cookies of a pair: with the tokens, or as handles where the record keeps them. */
  async function sealPair(
    vendor: Vendor,
    { id: sessionId, generation }: { readonly id: string; readonly generation: number },
    { pair, isKept }: { readonly pair: TokenPair; readonly isKept: boolean },
  ): Promise<NewCookies> {
    const { accessToken, expiresAt, refreshToken } = pair;
    const ticket = { sessionId, generation };
    const at: AccessTicket = { ...ticket, accessToken: isKept ? null : accessToken, expiresAt };
    const rt: RefreshTicket = { ...ticket, refreshToken: isKept ? null : refreshToken };
    return {
      at: await keys.seal(vendor.id, "at", writeAccessTicket(at)),
      rt: await keys.seal(vendor.id, "rt", writeRefreshTicket(rt)),
    };
  }

  async function end(vendorId: string, sessionId: string, reason: EndReason): Promise<boolean> {
    const isEnded = await store.end(vendorId, sessionId, { at: now(), reason });
    onEnded(vendorId, sessionId);
    return isEnded;
  }

  /** Says whether a session lives, and ends it where its time has come. */
  async function judge(
    vendor: Vendor,
    snapshot: SessionSnapshot | null,
  ): Promise<
    | { readonly kind: "ended"; readonly reason: EndReason }
    | { readonly kind: "alive"; readonly live: KnownSession; readonly touch: boolean }
  > {
    if (snapshot === null) return { kind: "ended", reason: "absolute" };
    const { stored: { value: record, version }, content } = snapshot;
    const outcome = decideSession(record, { now: now(), idleSeconds: vendor.sessionIdleSeconds });
    if (outcome.kind === "over") await end(vendor.id, record.id, outcome.reason);
    if (outcome.kind !== "alive") return { kind: "ended", reason: outcome.reason };
    if (content !== null) return { kind: "alive", live: { record, version, content }, touch: outcome.touch };
    await end(vendor.id, record.id, "key_retired");
    return { kind: "ended", reason: "key_retired" };
  }

  /**
   * Writes down what a recognised request showed: activity, receipt of the newest tokens, a newer key. Somebody else's
   * write in between is as good; the next request will do it.
   */
  async function note(
    live: KnownSession,
    notes: { readonly touch: boolean; readonly change: Partial<SessionContent>; readonly reseal: boolean },
  ): Promise<KnownSession> {
    const { record, version } = live;
    const { touch, change } = notes;
    const reseal = notes.reseal || Object.keys(change).length > 0;
    if (!touch && !reseal) return live;
    const content = { ...live.content, ...change };
    const sealed = reseal ? await sealContent(keys, record, content) : record.sealed;
    const noted = { ...record, lastSeenAt: touch ? now() : record.lastSeenAt, sealed };
    if (!await store.save(noted, version)) return live;
    const stored = await store.find(record.vendorId, record.id);
    // What others wrote after it, a new generation or the end, does not go with the tokens of this request.
    return stored?.value.sealed === sealed ? { record: stored.value, version: stored.version, content } : live;
  }

  /** The generation that follows, as far as somebody has made it; `null` while the session is still at this one. */
  async function findSuccessor(vendor: Vendor, session: LiveSession): Promise<Readiness | null> {
    const judged = await judge(vendor, await reader.findNow(vendor.id, session.record.id));
    if (judged.kind === "ended") return judged;
    const { record, content: { tokens: pair, isKept } } = judged.live;
    if (record.generation === session.record.generation || pair === null) return null;
    const cookies = await sealPair(vendor, record, { pair, isKept });
    return readyWith(pair, isKept === session.content.isKept ? renewedBy(cookies, isKept) : cookies);
  }

  async function refresh(
    vendor: Vendor,
    session: LiveSession,
    { refreshToken, onTaken }: { readonly refreshToken: string; readonly onTaken: () => void },
  ): Promise<Readiness> {
    const { id: sessionId, generation } = session.record;
    const outcome = await takeTurn<Readiness>({ vendorId: vendor.id, sessionId, generation }, {
      look: () => findSuccessor(vendor, session),
      work: (afterUnknown) => callOnce(vendor, session, { refreshToken, afterUnknown }),
      onTaken,
    });
    return outcome.kind === "done"
      ? outcome.result
      : { kind: "unavailable", retryAfterSeconds: outcome.retryAfterSeconds };
  }

  /** The one call of this generation. */
  async function callOnce(
    vendor: Vendor,
    session: LiveSession,
    { refreshToken, afterUnknown }: { readonly refreshToken: string; readonly afterUnknown: boolean },
  ): Promise<WorkDone<Readiness>> {
    const { record } = session;
    const answer = await calls.refresh({ vendor, refreshToken, subject: record.subject, afterUnknown });
    if (answer.kind === "unavailable") {
      const chance = COOL_SECONDS + Math.floor(random(1)[0]! / 256 * COOL_SPREAD);
      const seconds = Math.min(MAX_COOL_SECONDS, answer.retryAfterSeconds ?? chance);
      const result = { kind: "unavailable", retryAfterSeconds: Math.max(1, seconds) } as const;
      return { result, pause: { seconds, isUnknown: answer.afterUnknown } };
    }
    if (answer.kind === "refused") {
      const reason = answer.afterUnknown ? "refresh_reused" : "refresh_refused";
      // A session that ended meanwhile keeps its own reason, and one that another process has refreshed goes on.
      const other = await findSuccessor(vendor, session);
      if (other !== null) return { result: other };
      await end(vendor.id, record.id, reason);
      return { result: { kind: "ended", reason } };
    }
    return { result: await insist(() => saveGeneration(vendor, session, answer)) };
  }

  /** Tokens that have just been issued exist nowhere else, so a store that is away is asked again for a while. */
  async function insist<T>(call: () => Promise<T>): Promise<T> {
    for (let attempt = 1;; attempt++) {
      try {
        return await call();
      } catch (error) {
        const isAway = error instanceof Error && "code" in error && error.code === "store_unavailable";
        if (!isAway || attempt === MAX_SAVE_ATTEMPTS) throw error;
        await wait(SAVE_AGAIN_MS);
      }
    }
  }

  /**
   * Keeps the new tokens until the browser shows that it got them. An answer revives nothing: where the session ended
   * meanwhile, the new refresh token is revoked. Nor does it replace a generation that another process has made in its
   * place: where the provider answered twice, both answers are good.
   */
  async function saveGeneration(
    vendor: Vendor,
    session: LiveSession,
    answer: { readonly tokens: TokenPair; readonly idToken: string | null; readonly scope: string | null },
  ): Promise<Readiness> {
    const { tokens, idToken, scope } = answer;
    const next = { ...session.record, generation: session.record.generation + 1, refreshedAt: now() };
    const { cookies, isKept } = await sealNewPair(vendor, next, tokens);
    let stored: Stored<SessionRecord> | null = { key: [], value: session.record, version: session.version };
    let content: SessionContent | null = session.content;
    while (stored !== null && stored.value.ended === null && content !== null) {
      if (stored.value.generation >= next.generation) {
        return await findSuccessor(vendor, session) ?? { kind: "unavailable", retryAfterSeconds: 1 };
      }
      const renewed = { idToken: idToken ?? content.idToken, scope: scope ?? content.scope, tokens, isKept };
      const sealed = await sealContent(keys, next, { ...content, ...renewed });
      const { generation, refreshedAt } = next;
      if (await store.save({ ...stored.value, generation, refreshedAt, sealed }, stored.version)) {
        return readyWith(tokens, isKept === session.content.isKept ? renewedBy(cookies, isKept) : cookies);
      }
      stored = await store.find(vendor.id, next.id);
      content = stored === null ? null : await openContent(keys, next, stored.value.sealed);
    }
    if (tokens.refreshToken !== null) background(calls.revoke(vendor, tokens.refreshToken));
    return { kind: "ended", reason: stored?.value.ended?.reason ?? "absolute" };
  }

  /** Everybody in this process who wants the same generation waits for the same promise. */
  function joinRefresh(vendor: Vendor, session: LiveSession, refreshToken: string): Refreshing {
    const { id, generation } = session.record;
    const name = `${vendor.id} ${id} ${generation}`;
    const joined = refreshes.get(name);
    if (joined !== undefined) return { running: joined, taken: Promise.resolve() };
    const { promise: taken, resolve: onTaken } = Promise.withResolvers<void>();
    const running = refresh(vendor, session, { refreshToken, onTaken }).finally(() => refreshes.delete(name));
    refreshes.set(name, running);
    // Callers may have stopped waiting when it fails; those who still wait see the failure all the same.
    background(running.catch(() => {}));
    return { running, taken };
  }

  return {
    end,

    async start(vendor: Vendor, signIn: SignIn): Promise<CookieValues | null> {
      const { tokens, claims, idToken, scope, audience, appState, device, begunAt } = signIn;
      const id = drawToken(random);
      const { cookies, isKept } = await sealNewPair(vendor, { id, generation: 1 }, tokens);
      const name = { vendorId: vendor.id, id };
      const shown = { generation: 1, at: now() };
      const content = { claims, idToken, scope, audience, appState, tokens: isKept ? tokens : null, isKept, shown };
      const subject = String(claims.sub);
      const issuerSessionId = typeof claims.sid === "string" ? claims.sid : null;
      await store.create({
        ...name,
        subject,
        issuerSessionId,
        createdAt: now(),
        lastSeenAt: now(),
        expiresAt: now() + vendor.sessionMaxSeconds,
        generation: 1,
        refreshedAt: now(),
        sealed: await sealContent(keys, name, content),
        device,
        ended: null,
      });
      // Looked at after the session exists: a logout from the token service either finds it, or is found here.
      const marks = await Promise.all([
        store.findMark(vendor.id, { by: "sub", value: subject }),
        issuerSessionId === null ? null : store.findMark(vendor.id, { by: "sid", value: issuerSessionId }),
      ]);
      if (!marks.some((mark) => mark !== null && mark.at >= begunAt)) return cookies;
      await end(vendor.id, id, "back_channel");
      return null;
    },

    async recognise(vendor, cookies, { touch = true } = {}): Promise<Recognition> {
      const at = await openCookie(vendor.id, { purpose: "at", text: cookies.at }, {
        opened: openedAt,
        read: readAccessTicket,
      });
      const rt = await openCookie(vendor.id, { purpose: "rt", text: cookies.rt }, {
        opened: openedRt,
        read: readRefreshTicket,
      });
      if (rt.keyState === "retired") return { kind: "ended", reason: "key_retired" };
      const outcome = decideCookies({ at: at.presented, rt: rt.presented });
      if (outcome.kind === "anonymous" || outcome.kind === "refused") return outcome;
      const tickets = outcome.kind === "alone" ? { at: outcome.at, rt: null } : outcome;
      const { sessionId } = tickets.rt ?? tickets.at!;
      let judged = await judge(vendor, await reader.find(vendor.id, sessionId));
      if (judged.kind === "ended") return judged;
      let tokens = tokensOf(judged.live, { ...tickets, now: now() });
      if (tokens === null) {
        // What is remembered here may be older than what the browser got from another process.
        judged = await judge(vendor, await reader.findNow(vendor.id, sessionId));
        if (judged.kind === "ended") return judged;
        tokens = tokensOf(judged.live, { ...tickets, now: now() });
      }
      const { live } = judged;
      if (outcome.kind === "alone") {
        // What it is worth, and how long, is what is sealed in it, not what the session has got since.
        if (outcome.at.generation < live.content.shown.generation - 1) return { kind: "refused", bad: ["at"] };
        return { kind: "alone", session: { ...live, tokens: { expiresAt: outcome.at.expiresAt }, renew: "none" } };
      }
      if (tokens === null) return { kind: "refused", bad: ["at", "rt"] };
      const { generation } = live.record;
      const { isKept } = live.content;
      const isNewest = outcome.at?.generation === generation && (isKept || outcome.rt.generation === generation);
      const isOldKey = at.keyState === "open_only" || rt.keyState === "open_only";
      const reseal = await keys.stateOf(vendor.id, live.record.sealed) === "open_only";
      const change = isNewest ? receiptOf(live, now()) : {};
      const noted = await note(live, { touch: judged.touch && touch, change, reseal });
      const renewal = isKept && rt.keyState !== "open_only" ? "at" : "both";
      return { kind: "alive", session: { ...noted, tokens, renew: isNewest && !isOldKey ? "none" : renewal } };
    },

    async ready(vendor, session, { force = false } = {}): Promise<Readiness> {
      const { accessToken, expiresAt, refreshToken = null } = session.tokens;
      const isUsable = accessToken !== undefined && expiresAt !== undefined;
      const freshness = isUsable ? decideFreshness(expiresAt, now()) : "dead";
      // Without a refresh token nothing can be forced: what lives goes on living.
      const isForced = force && refreshToken !== null;
      const present = async (): Promise<Readiness | null> => {
        if (!isUsable || freshness === "dead" || isForced) return null;
        if (session.renew === "none") return { kind: "ready", accessToken, expiresAt, cookies: null };
        const pair = { accessToken, expiresAt, refreshToken };
        const cookies = await sealPair(vendor, session.record, { pair, isKept: session.content.isKept });
        return readyWith(pair, renewedBy(cookies, session.renew === "at"));
      };
      if (freshness === "fresh" && !isForced) return (await present())!;
      if (refreshToken === null) {
        const usable = await present();
        if (usable !== null) return usable;
        await end(vendor.id, session.record.id, "absolute");
        return { kind: "ended", reason: "absolute" };
      }
      const { running, taken } = joinRefresh(vendor, session, refreshToken);
      // While somebody else is at it, here or in another process, life that is left is enough.
      const isTaken = await within(patienceMs, Promise.race([taken.then(() => true), running.then(() => false)]));
      const usable = isTaken === true ? await present() : null;
      if (usable !== null) return usable;
      const done = isTaken === null ? null : await within(patienceMs, running);
      const outcome = done ?? { kind: "unavailable" as const, retryAfterSeconds: 1 };
      return outcome.kind === "unavailable" ? await present() ?? outcome : outcome;
    },

    async attend(vendor, session): Promise<Attendance> {
      const judged = await judge(vendor, await reader.find(vendor.id, session.record.id));
      if (judged.kind === "ended") return judged;
      const { live } = judged;
      const tokens = live.record.generation === session.record.generation ? session.tokens : live.content.tokens ?? {};
      const found: Attendance = { kind: "alive", session: { ...live, tokens, renew: "none" } };
      if (tokens.expiresAt === undefined || decideFreshness(tokens.expiresAt, now()) !== "dead") return found;
      const readiness = await this.ready(vendor, found.session);
      return readiness.kind === "ended" ? readiness : found;
    },

    async takeAppState({ record, version, content }: LiveSession): Promise<string | null> {
      if (content.appState === null) return null;
      const sealed = await sealContent(keys, record, { ...content, appState: null });
      return await store.save({ ...record, sealed }, version) ? content.appState : null;
    },

    async list(vendor: Vendor, subject: string): Promise<readonly SessionRecord[]> {
      const ids = await store.listIds(vendor.id, subject);
      const found = await inBatches(ids, (id) => store.find(vendor.id, id));
      const isAlive = (record: SessionRecord) =>
        decideSession(record, { now: now(), idleSeconds: vendor.sessionIdleSeconds }).kind === "alive";
      return found.flatMap((stored) => stored !== null && isAlive(stored.value) ? [stored.value] : []);
    },

    async endNamed(vendorId, named, reason, { isProven }): Promise<number> {
      if (isProven) await store.mark(vendorId, named, { at: now(), expiresAt: now() + MARK_SECONDS });
      const { by, value } = named;
      const ids = await (by === "sub" ? store.listIds(vendorId, value) : store.listIdsByIssuerSession(vendorId, value));
      return (await inBatches(ids, (id) => end(vendorId, id, reason))).filter(Boolean).length;
    },
  };
}

/**
 * The tokens of a request: from the record where it has newer ones, else from the tickets; `null` if the tickets are of a
 * generation whose tokens are gone, such as an old copy of the cookies, or of one that the store never made.
 */
function tokensOf(
  { record, content }: KnownSession,
  { at, rt, now }: { readonly at: AccessTicket | null; readonly rt: RefreshTicket | null; readonly now: number },
): Partial<TokenPair> | null {
  const { generation } = record;
  if ((at?.generation ?? 0) > generation || (rt?.generation ?? 0) > generation) return null;
  // However many answers got lost, the browser has the newest cookies that it has shown: older ones are nobody's any more.
  const { shown } = content;
  const isOldCopy = rt !== null && rt.refreshToken !== null && rt.generation < shown.generation;
  if (isOldCopy && shown.at + GRACE_SECONDS <= now) return null;
  if (content.tokens !== null) return content.tokens;
  if (content.isKept || (rt !== null && rt.generation < generation)) return null;
  const isCurrent = at?.generation === generation && at.accessToken !== null;
  return {
    ...(isCurrent ? { accessToken: at.accessToken!, expiresAt: at.expiresAt } : {}),
    refreshToken: rt?.refreshToken ?? null,
  };
}

function readyWith({ accessToken, expiresAt }: TokenPair, cookies: CookieValues): Readiness {
  return { kind: "ready", accessToken, expiresAt, cookies };
}

/** What a browser needs of new cookies: where both are handles, the one that names the session can stay. */
function renewedBy(cookies: NewCookies, isKept: boolean): CookieValues {
  return isKept ? { ...cookies, rt: null } : cookies;
}

/** What it means that a browser shows the newest cookies: for a while the tokens stay for requests that bring older ones. */
function receiptOf({ record: { generation }, content }: KnownSession, now: number): Partial<SessionContent> {
  const { shown, tokens, isKept } = content;
  if (shown.generation < generation) return { shown: { generation, at: now } };
  return tokens !== null && !isKept && shown.at + GRACE_SECONDS <= now ? { tokens: null } : {};
}

/** Works through a list without asking the store for all of it at once. */
async function inBatches<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  for (let begin = 0; begin < items.length; begin += BATCH_LENGTH) {
    results.push(...await Promise.all(items.slice(begin, begin + BATCH_LENGTH).map(work)));
  }
  return results;
}

/** A copy that does not keep the whole header alive which the text was cut from. */
function copyOf(text: string): string {
  return readUtf8(encodeUtf8(text))!;
}
