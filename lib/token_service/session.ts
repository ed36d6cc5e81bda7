/**
 * Browser sessions of the token service: who signed in at it, so that the next application need not ask again.
 *
 * The cookie holds a random handle, the store its hash. The `sid` that ID tokens carry is another value: whoever reads a
 * token learns nothing that a browser could be made to send.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import { hashOf } from "../encoding.ts";
import { drawToken, type Random } from "../random.ts";
import type { Records } from "../store/records.ts";
import { listAll } from "./list_all.ts";
import { sessionKey, sessionOfUserKey } from "./record_keys.ts";

/** One browser in which somebody is signed in. */
export interface BrowserSession {
  /** How ID tokens and logout tokens name it. */
  readonly sid: string;
  /** The user. */
  readonly sub: string;
  /** When the password was last checked, in seconds since 1970. */
  readonly authTime: number;
  /** When it ends, in seconds since 1970. */
  readonly expiresAt: number;
}

/** Remembers browser sessions. The handle is what the cookie holds. */
export interface BrowserSessionStore {
  /** Begins a session and answers its handle. */
  create(sub: string): Promise<{ readonly handle: string; readonly session: BrowserSession }>;
  /** Finds a living session; `null` where there is none. */
  find(handle: string): Promise<BrowserSession | null>;
  /** Ends a session; ending what is gone is fine. */
  end(handle: string): Promise<void>;
  /** Ends every session of a user. */
  endAll(sub: string): Promise<void>;
}

/** Creates the store. */
export function createBrowserSessionStore(options: {
  readonly records: Records;
  readonly random: Random;
  readonly now: Clock;
  readonly lifeSeconds: number;
}): BrowserSessionStore {
  const { records, random, now, lifeSeconds } = options;

  async function endHash(hash: string): Promise<void> {
    const stored = await records.find<BrowserSession>(sessionKey(hash));
    if (stored !== null) {
      await records.commit({ deletes: [stored.key, sessionOfUserKey(stored.value.sub, hash)] });
    }
  }

  return {
    async create(sub: string): Promise<{ readonly handle: string; readonly session: BrowserSession }> {
      const handle = drawToken(random);
      const hash = await hashOf(handle);
      const expiresAt = now() + lifeSeconds;
      const session: BrowserSession = { sid: drawToken(random, 16), sub, authTime: now(), expiresAt };
      await records.commit({
        sets: [
          { key: sessionKey(hash), value: session, expiresAt },
          { key: sessionOfUserKey(sub, hash), value: true, expiresAt },
        ],
      });
      return { handle, session };
    },

    async find(handle: string): Promise<BrowserSession | null> {
      return (await records.find<BrowserSession>(sessionKey(await hashOf(handle))))?.value ?? null;
    },

    async end(handle: string): Promise<void> {
      await endHash(await hashOf(handle));
    },

    async endAll(sub: string): Promise<void> {
      for await (const { key } of listAll(records, sessionOfUserKey(sub, "").slice(0, -1))) await endHash(key.at(-1)!);
    },
  };
}
