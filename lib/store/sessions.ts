/**
 * Sessions of signed-in users. An ended session stays in place until it would have expired: it is its own tombstone, so
 * that no late answer and no old cookie can bring it back, and so that its user can be told why it ended.
 *
 * @module
 */

import { sessionKey, subjectSessionKey } from "./keys.ts";
import type { Records, Stored } from "./records.ts";

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
  /** Claims, ID token and, where they do not fit into cookies, tokens: sealed with the vendor's key. */
  readonly sealed: string;
  /** A short description of the browser, for the user's list of sessions. */
  readonly device: string | null;
  /** When and why it ended; `null` while it lives. */
  readonly ended: { readonly at: number; readonly reason: EndReason } | null;
}

/** Remembers sessions. */
export interface SessionStore {
  /** Saves a new session. */
  create(session: SessionRecord): Promise<void>;
  /** Finds a session, living or ended. */
  find(vendorId: string, sessionId: string): Promise<Stored<SessionRecord> | null>;
  /** Replaces a session unless it changed since it was read. */
  save(session: SessionRecord, version: string): Promise<boolean>;
  /** Ends a session. The first reason stays; ending an ended or unknown session changes nothing. */
  end(vendorId: string, sessionId: string, ended: { readonly at: number; readonly reason: EndReason }): Promise<void>;
  /** Lists the ids of a user's sessions, living and ended. */
  listIds(vendorId: string, subject: string): Promise<readonly string[]>;
}

/** Creates the store. */
export function createSessionStore(records: Records): SessionStore {
  async function find(vendorId: string, sessionId: string): Promise<Stored<SessionRecord> | null> {
    return await records.find<SessionRecord>(sessionKey(vendorId, sessionId));
  }

  async function save(session: SessionRecord, version: string | null): Promise<boolean> {
    const { vendorId, id, subject, expiresAt } = session;
    const key = sessionKey(vendorId, id);
    const index = { key: subjectSessionKey(vendorId, subject, id), value: true, expiresAt };
    return await records.commit({
      checks: [{ key, version }],
      sets: version === null ? [{ key, value: session, expiresAt }, index] : [{ key, value: session, expiresAt }],
    });
  }

  return {
    find,
    save,

    async create(session: SessionRecord): Promise<void> {
      if (!await save(session, null)) throw new RangeError("Cannot create a session: its id is taken");
    },

    async end(vendorId, sessionId, ended): Promise<void> {
      while (true) {
        const stored = await find(vendorId, sessionId);
        if (stored === null || stored.value.ended !== null) return;
        if (await save({ ...stored.value, sealed: "", ended }, stored.version)) return;
      }
    },

    async listIds(vendorId: string, subject: string): Promise<readonly string[]> {
      const found = await records.list(subjectSessionKey(vendorId, subject, "").slice(0, -1), { limit: 1000 });
      return found.map(({ key }) => key.at(-1)!);
    },
  };
}
