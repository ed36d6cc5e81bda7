/**
 * Sessions over store and seals: begun at the callback, recognised by the two cookies, refreshed on the way, ended for
 * good.
 *
 * @module
 */

import { type Clock, systemClock } from "../clock.ts";
import { isJsonObject, type JsonObject } from "../encoding.ts";
import { drawToken, type Random, systemRandom } from "../random.ts";
import type { EndReason, SessionRecord, SessionStore, Stored } from "../store/mod.ts";
import { decideCookies, decideFreshness, decideSession, type Presented, type PresentedCookies } from "./session.ts";
import {
  type AccessTicket,
  readAccessTicket,
  readRefreshTicket,
  type RefreshTicket,
  writeAccessTicket,
  writeRefreshTicket,
} from "./tickets.ts";
import type { Refresher } from "./refresh.ts";
import type { TokenPair } from "./tokens.ts";
import type { VendorKeys } from "./vendor_keys.ts";
import type { Vendor } from "./vendors.ts";

/** Largest sealed value that goes into a cookie: with the longest name it stays below 3,800 bytes. */
export const MAX_COOKIE_VALUE = 3780;

/** Largest sealed session content; Deno KV takes 64 KiB a value. */
const MAX_SEALED_CONTENT = 60_000;

/** What the session record keeps sealed. */
export interface SessionContent {
  /** Claims about the user. */
  readonly claims: JsonObject;
  /** The newest ID token, for logout; `null` where it would not fit. */
  readonly idToken: string | null;
  /** Text of the page that `userinfo` has not handed back yet. */
  readonly appState: string | null;
  /** The tokens, where they do not travel in the cookies. */
  readonly tokens: TokenPair | null;
}

/** Values for the two cookies. */
export interface CookieValues {
  /** For `at`. */
  readonly at: string;
  /** For `__Host-rt`. */
  readonly rt: string;
}

/** A session that lives. */
export interface LiveSession {
  /** Its record, as it was read. */
  readonly record: SessionRecord;
  /** The record's version. */
  readonly version: string;
  /** The sealed part of the record, opened. */
  readonly content: SessionContent;
  /** The tokens that the request came with; `null` where it came without the access token. */
  readonly tokens: Partial<TokenPair> | null;
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

/** A user who has just signed in. */
export interface SignIn {
  /** Their tokens. */
  readonly tokens: TokenPair;
  /** Claims about them, `sub` among these. */
  readonly claims: JsonObject;
  /** The ID token. */
  readonly idToken: string | null;
  /** Text of the page. */
  readonly appState: string | null;
  /** Short description of the browser. */
  readonly device: string | null;
}

/** Begins, recognises, refreshes and ends sessions. */
export interface Sessions {
  /** Begins a session. Throws `RangeError` if what has to be kept does not fit into a record. */
  start(vendor: Vendor, signIn: SignIn): Promise<CookieValues>;
  /** Says what the cookies of a request are worth. `touch: false` does not count as activity. */
  recognise(
    vendor: Vendor,
    cookies: { readonly at: string | null; readonly rt: string | null },
    options?: { readonly touch?: boolean },
  ): Promise<Recognition>;
  /** Makes sure that the session's access token lives, refreshing it where it is about to end or `force` says so. */
  ready(vendor: Vendor, session: LiveSession, options?: { readonly force?: boolean }): Promise<Readiness>;
  /** Takes out the page's text, once. */
  takeAppState(session: LiveSession): Promise<string | null>;
  /** Ends a session for good. */
  end(vendorId: string, sessionId: string, reason: EndReason): Promise<void>;
}

/** What sessions are made of. */
export interface SessionsOptions {
  /** Where they lie. */
  readonly store: SessionStore;
  /** What seals them. */
  readonly keys: VendorKeys;
  /** Calls the vendor's token service with a refresh token. */
  readonly sendRefresh: Refresher;
  /** Time; the system's by default. */
  readonly now?: Clock;
  /** Randomness; the system's by default. */
  readonly random?: Random;
}

/**
 * Creates the sessions.
 *
 * @param options Store, seals and dependencies.
 * @returns The sessions.
 */
export function createSessions(options: SessionsOptions): Sessions {
  const { store, keys, sendRefresh, now = systemClock, random = systemRandom } = options;
  const refreshes = new Map<string, Promise<Readiness>>();

  async function present<T>(
    vendorId: string,
    sealed: { readonly purpose: string; readonly text: string | null },
    read: (content: JsonObject) => T | null,
  ): Promise<Presented<T>> {
    if (sealed.text === null) return { kind: "absent" };
    const content = await keys.open(vendorId, sealed.purpose, sealed.text);
    const ticket = content === null ? null : read(content);
    return ticket === null ? { kind: "bad" } : { kind: "good", ticket };
  }

  async function sealContent(record: Pick<SessionRecord, "vendorId" | "id">, content: SessionContent): Promise<string> {
    const { claims, idToken, appState, tokens } = content;
    const sealed = await keys.seal(record.vendorId, "session", { sid: record.id, claims, idToken, appState, tokens });
    if (sealed.length <= MAX_SEALED_CONTENT) return sealed;
    if (idToken !== null) return await sealContent(record, { ...content, idToken: null });
    throw new RangeError(`Cannot keep a session: its content needs ${sealed.length} of ${MAX_SEALED_CONTENT} bytes`);
  }

  async function openContent(record: SessionRecord): Promise<SessionContent | null> {
    const content = await keys.open(record.vendorId, "session", record.sealed);
    if (content === null || content.sid !== record.id || !isJsonObject(content.claims)) return null;
    const { claims, idToken, appState, tokens } = content;
    return {
      claims,
      idToken: typeof idToken === "string" ? idToken : null,
      appState: typeof appState === "string" ? appState : null,
      tokens: isJsonObject(tokens) ? tokens as unknown as TokenPair : null,
    };
  }

  /** Seals a pair into cookies; where one of them grows too large, or the vendor wants it so, the record keeps the pair. */
  async function sealPair(
    vendor: Vendor,
    session: { readonly id: string; readonly generation: number },
    pair: TokenPair,
  ): Promise<{ readonly cookies: CookieValues; readonly kept: boolean }> {
    const ticket = { sessionId: session.id, generation: session.generation };
    const at: AccessTicket = { ...ticket, accessToken: pair.accessToken, expiresAt: pair.expiresAt };
    const rt: RefreshTicket = { ...ticket, refreshToken: pair.refreshToken };
    if (vendor.tokenStore === "cookie") {
      const cookies = await sealTickets(vendor.id, at, rt);
      if (cookies.at.length <= MAX_COOKIE_VALUE && cookies.rt.length <= MAX_COOKIE_VALUE) {
        return { cookies, kept: false };
      }
    }
    const handles = await sealTickets(vendor.id, { ...at, accessToken: null }, { ...rt, refreshToken: null });
    return { cookies: handles, kept: true };
  }

  async function sealTickets(vendorId: string, at: AccessTicket, rt: RefreshTicket): Promise<CookieValues> {
    return {
      at: await keys.seal(vendorId, "at", writeAccessTicket(at)),
      rt: await keys.seal(vendorId, "rt", writeRefreshTicket(rt)),
    };
  }

  async function end(vendorId: string, sessionId: string, reason: EndReason): Promise<void> {
    await store.end(vendorId, sessionId, { at: now(), reason });
  }

  async function readSession(
    vendor: Vendor,
    stored: Stored<SessionRecord> | null,
    options: { readonly touch: boolean },
  ): Promise<
    Extract<Recognition, { kind: "anonymous" | "ended" }> | { readonly kind: "read"; readonly session: LiveSession }
  > {
    if (stored === null) return { kind: "ended", reason: "absolute" };
    const { value: record, version } = stored;
    const outcome = decideSession(record, { now: now(), idleSeconds: vendor.sessionIdleSeconds });
    if (outcome.kind === "over") await end(vendor.id, record.id, outcome.reason);
    if (outcome.kind !== "alive") return { kind: "ended", reason: outcome.reason };
    const content = await openContent(record);
    if (content === null) return { kind: "ended", reason: "key_retired" };
    const touched = { ...record, lastSeenAt: now() };
    const isTouched = outcome.touch && options.touch && await store.save(touched, version);
    const fresh = isTouched ? await store.find(vendor.id, record.id) : stored;
    return fresh === null
      ? { kind: "anonymous" }
      : { kind: "read", session: { record: fresh.value, version: fresh.version, content, tokens: null } };
  }

  async function refresh(vendor: Vendor, session: LiveSession): Promise<Readiness> {
    const { record, content, tokens } = session;
    const refreshToken = tokens?.refreshToken ?? null;
    if (refreshToken === null) {
      await end(vendor.id, record.id, "absolute");
      return { kind: "ended", reason: "absolute" };
    }
    const answer = await sendRefresh(vendor, refreshToken, record.subject);
    if (answer.kind === "refused") {
      await end(vendor.id, record.id, "refresh_refused");
      return { kind: "ended", reason: "refresh_refused" };
    }
    if (answer.kind !== "issued") {
      const retryAfterSeconds = answer.kind === "unavailable" ? answer.retryAfterSeconds ?? 5 : 30;
      return { kind: "unavailable", retryAfterSeconds };
    }
    const pair = { ...answer.tokens, refreshToken: answer.tokens.refreshToken ?? refreshToken };
    const generation = record.generation + 1;
    const { cookies, kept } = await sealPair(vendor, { id: record.id, generation }, pair);
    const saved = await saveGeneration(vendor, session, {
      generation,
      content: { ...content, idToken: answer.idToken ?? content.idToken, tokens: kept ? pair : null },
    });
    if (saved !== null) return { kind: "ended", reason: saved };
    return { kind: "ready", accessToken: pair.accessToken, expiresAt: pair.expiresAt, cookies };
  }

  /** Writes the new generation; answers why the session ended if it did so meanwhile: an answer revives nothing. */
  async function saveGeneration(
    vendor: Vendor,
    session: LiveSession,
    next: { readonly generation: number; readonly content: SessionContent },
  ): Promise<EndReason | null> {
    const sealed = await sealContent(session.record, next.content);
    let stored: Stored<SessionRecord> | null = { key: [], value: session.record, version: session.version };
    while (true) {
      const saved = await store.save({ ...stored.value, generation: next.generation, sealed }, stored.version);
      if (saved) return null;
      stored = await store.find(vendor.id, session.record.id);
      if (stored === null) return "absolute";
      if (stored.value.ended !== null) return stored.value.ended.reason;
    }
  }

  return {
    end,

    async start(vendor: Vendor, signIn: SignIn): Promise<CookieValues> {
      const { tokens, claims, idToken, appState, device } = signIn;
      const id = drawToken(random);
      const { cookies, kept } = await sealPair(vendor, { id, generation: 1 }, tokens);
      const place = { vendorId: vendor.id, id };
      await store.create({
        ...place,
        subject: String(claims.sub),
        issuerSessionId: typeof claims.sid === "string" ? claims.sid : null,
        createdAt: now(),
        lastSeenAt: now(),
        expiresAt: now() + vendor.sessionMaxSeconds,
        generation: 1,
        sealed: await sealContent(place, { claims, idToken, appState, tokens: kept ? tokens : null }),
        device,
        ended: null,
      });
      return cookies;
    },

    async recognise(vendor, cookies, { touch = true } = {}): Promise<Recognition> {
      const presented: PresentedCookies = {
        at: await present(vendor.id, { purpose: "at", text: cookies.at }, readAccessTicket),
        rt: await present(vendor.id, { purpose: "rt", text: cookies.rt }, readRefreshTicket),
      };
      const outcome = decideCookies(presented);
      if (outcome.kind === "anonymous" || outcome.kind === "refused") return outcome;
      const sessionId = outcome.kind === "alone" ? outcome.at.sessionId : outcome.sessionId;
      const read = await readSession(vendor, await store.find(vendor.id, sessionId), { touch });
      if (read.kind !== "read") return read;
      const rt = outcome.kind === "named" ? outcome.rt : null;
      const session = { ...read.session, tokens: tokensOf(read.session.content, outcome.at, rt) };
      return { kind: outcome.kind === "alone" ? "alone" : "alive", session };
    },

    async ready(vendor, session, { force = false } = {}): Promise<Readiness> {
      const { accessToken, expiresAt } = session.tokens ?? {};
      const isUsable = accessToken !== undefined && expiresAt !== undefined;
      const freshness = isUsable ? decideFreshness(expiresAt, now()) : "dead";
      const present: Readiness | null = isUsable && freshness !== "dead"
        ? { kind: "ready", accessToken, expiresAt, cookies: null }
        : null;
      const canRefresh = typeof session.tokens?.refreshToken === "string";
      if (present !== null && !force && (freshness === "fresh" || !canRefresh)) return present;
      const name = `${vendor.id} ${session.record.id} ${session.record.generation}`;
      let running = refreshes.get(name);
      if (running === undefined) {
        running = refresh(vendor, session).finally(() => refreshes.delete(name));
        refreshes.set(name, running);
      }
      const outcome = await running;
      return outcome.kind === "unavailable" && present !== null && !force ? present : outcome;
    },

    async takeAppState(session: LiveSession): Promise<string | null> {
      const { record, version, content } = session;
      if (content.appState === null) return null;
      const sealed = await sealContent(record, { ...content, appState: null });
      return await store.save({ ...record, sealed }, version) ? content.appState : null;
    },
  };
}

/** The tokens of a request: from the record where they are kept there, else from the tickets. */
function tokensOf(content: SessionContent, at: AccessTicket | null, rt: RefreshTicket | null): Partial<TokenPair> {
  if (content.tokens !== null) return content.tokens;
  return {
    ...(at?.accessToken == null ? {} : { accessToken: at.accessToken, expiresAt: at.expiresAt }),
    refreshToken: rt?.refreshToken ?? null,
  };
}
