/**
 * Sessions of signed-in users. An ended session stays in place until it would have expired: it is its own tombstone, so
 * that no late answer and no old cookie can bring it back, and so that its user can be told why it ended.
 *
 * @module
 */

import { hashOf } from "../encoding.ts";
import { endedKey, issuerSessionKey, sessionKey, sessionPartKey, subjectSessionKey } from "./keys.ts";
import { type RecordKey, type Records, type Stored, StoreUnavailableError } from "./records.ts";

/** Why a session ended (contract, section 2.6). */
export type EndReason =
  | "user"
  | "everywhere"
  | "back_channel"
  | "idle"
  | "absolute"
  | "refresh_refused"
  | "refresh_reused"
  | "key_retired"
  | "vendor_removed"
  | "operator";

/** One session of one user at one vendor. */
export interface SessionRecord {
  /** The tenant. */
  readonly vendorId: string;
  /** The session id: 256 random bits, never the same as any id of the token service. */
  readonly id: string;
  /** The user, as the token service names them (`sub`). */
  readonly subject: string;
  /** The session id at the token service (`sid` of the ID token), where it has one. */
  readonly issuerSessionId: string | null;
  /** Sign-in, in seconds since 1970. */
  readonly createdAt: number;
  /** Last activity, kept coarsely to save writes. */
  readonly lastSeenAt: number;
  /** Absolute end, in seconds since 1970. */
  readonly expiresAt: number;
  /** Counts the token pairs of this session: 1 at sign-in, one more with each refresh. */
  readonly generation: number;
  /** When the present generation came, in seconds since 1970. */
  readonly refreshedAt: number;
  /** Claims, ID token and, where they do not fit into cookies, tokens: sealed with the vendor's key. */
  readonly sealed: string;
  /** A short description of the browser, for the user's list of sessions. */
  readonly device: string | null;
  /** When and why it ended; `null` while it lives. */
  readonly ended: { readonly at: number; readonly reason: EndReason } | null;
  /** Names of the records that hold the rest of a large `sealed`; the store's own business. */
  readonly parts?: readonly string[];
}

/** When the token service ended sessions: those that began before are over. */
export interface EndedMark {
  /** Seconds since 1970. */
  readonly at: number;
}

/** Remembers sessions. */
export interface SessionStore {
  /** Saves a new session. */
  create(session: SessionRecord): Promise<void>;
  /** Finds a session, living or ended. */
  find(vendorId: string, sessionId: string): Promise<Stored<SessionRecord> | null>;
  /** Replaces a session unless it changed since it was read. */
  save(session: SessionRecord, version: string): Promise<boolean>;
  /** Ends a session. The first reason stays; answers whether this call ended it. */
  end(
    vendorId: string,
    sessionId: string,
    ended: { readonly at: number; readonly reason: EndReason },
  ): Promise<boolean>;
  /** Lists the ids of a user's sessions that have not been ended. */
  listIds(vendorId: string, subject: string): Promise<readonly string[]>;
  /** Lists the ids of the sessions that began from one session of the token service and have not been ended. */
  listIdsByIssuerSession(vendorId: string, issuerSessionId: string): Promise<readonly string[]>;
  /** Notes that the token service ended what is named, so that a sign-in which is just being finished ends too. */
  mark(vendorId: string, named: EndedName, mark: EndedMark & { readonly expiresAt: number }): Promise<void>;
  /** Reads such a note. */
  findMark(vendorId: string, named: EndedName): Promise<EndedMark | null>;
}

/** What a token service can name when it ends sessions: its own session, or the user. */
export interface EndedName {
  /** `sid` or `sub` of OpenID Connect. */
  readonly by: "sid" | "sub";
  /** Its value. */
  readonly value: string;
}

/** Entries of an index that are read at once. */
const PAGE_LENGTH = 1000;

/** Longest text in one record: Deno KV takes 64 KiB a value. */
const MAX_PART_LENGTH = 48_000;

/** Looks at a session in several parts before it is given up: each time it was saved anew meanwhile. */
const MAX_LOOKS = 20;

/** Creates the store. */
export function createSessionStore(records: Records): SessionStore {
  async function find(vendorId: string, sessionId: string): Promise<Stored<SessionRecord> | null> {
    for (let look = 0; look < MAX_LOOKS; look++) {
      const stored = await records.find<SessionRecord>(sessionKey(vendorId, sessionId));
      const names = stored?.value.parts ?? [];
      if (stored === null || names.length === 0) return stored;
      const parts = await Promise.all(
        names.map((name) => records.find<string>(sessionPartKey(vendorId, sessionId, name))),
      );
      // A missing part means that the session was saved anew while it was read.
      if (parts.includes(null)) continue;
      const sealed = [stored.value.sealed, ...parts.map((part) => part!.value)].join("");
      return { ...stored, value: { ...stored.value, sealed } };
    }
    throw new StoreUnavailableError("read a session");
  }

  async function save(session: SessionRecord, version: string | null): Promise<boolean> {
    const { vendorId, id, subject, issuerSessionId, expiresAt, sealed } = session;
    const key = sessionKey(vendorId, id);
    // The end of a sealed value is its tag, which no two values share.
    const chunks = sealed.match(new RegExp(`.{1,${MAX_PART_LENGTH}}`, "gs")) ?? [""];
    const names = chunks.slice(1).map((_, i) => `${sealed.slice(-22)}.${i}`);
    const value = { ...session, sealed: chunks[0]!, parts: names };
    const former = (session.parts ?? []).filter((name) => !names.includes(name));
    const indexes: RecordKey[] = [
      subjectSessionKey(vendorId, subject, id),
      ...(issuerSessionId === null ? [] : [issuerSessionKey(vendorId, issuerSessionId, id)]),
    ];
    return await records.commit({
      checks: [{ key, version }],
      sets: [
        { key, value, expiresAt },
        ...names.map((name, i) => ({ key: sessionPartKey(vendorId, id, name), value: chunks[i + 1]!, expiresAt })),
        ...(version === null ? indexes.map((index) => ({ key: index, value: true, expiresAt })) : []),
      ],
      deletes: [
        ...former.map((name) => sessionPartKey(vendorId, id, name)),
        // Nobody looks for an ended session by its user any more.
        ...(session.ended === null ? [] : indexes),
      ],
    });
  }

  async function listLastParts(prefix: RecordKey): Promise<readonly string[]> {
    const names: string[] = [];
    while (true) {
      const page = await records.list(prefix, {
        limit: PAGE_LENGTH,
        ...(names.length === 0 ? {} : { after: names.at(-1)! }),
      });
      names.push(...page.map(({ key }) => key.at(-1)!));
      if (page.length < PAGE_LENGTH) return names;
    }
  }

  return {
    find,
    save,

    async create(session: SessionRecord): Promise<void> {
      if (!await save(session, null)) throw new RangeError("Cannot create a session: its id is taken");
    },

    async end(vendorId, sessionId, ended): Promise<boolean> {
      while (true) {
        const stored = await find(vendorId, sessionId);
        if (stored === null || stored.value.ended !== null) return false;
        if (await save({ ...stored.value, sealed: "", ended }, stored.version)) return true;
      }
    },

    async listIds(vendorId: string, subject: string): Promise<readonly string[]> {
      return await listLastParts(subjectSessionKey(vendorId, subject, "").slice(0, -1));
    },

    async listIdsByIssuerSession(vendorId: string, issuerSessionId: string): Promise<readonly string[]> {
      return await listLastParts(issuerSessionKey(vendorId, issuerSessionId, "").slice(0, -1));
    },

    async mark(vendorId, { by, value }, { at, expiresAt }): Promise<void> {
      const key = endedKey(vendorId, by, await hashOf(value));
      await records.commit({ sets: [{ key, value: { at }, expiresAt }] });
    },

    async findMark(vendorId, { by, value }): Promise<EndedMark | null> {
      return (await records.find<EndedMark>(endedKey(vendorId, by, await hashOf(value))))?.value ?? null;
    },
  };
}
