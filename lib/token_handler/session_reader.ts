/**
 * Sessions as they are read on every request: kept for a second, opened once, forgotten at once when this process changes
 * them.
 *
 * @module
 */

import { createBoundedCache } from "../bounded_cache.ts";
import type { SessionRecord, SessionStore, Stored } from "../store/mod.ts";
import { openContent, type SessionContent } from "./session_content.ts";
import type { VendorKeys } from "./vendor_keys.ts";

/** Milliseconds for which a session is believed: as long as another process's logout may take to arrive here. */
const FRESH_MS = 1000;

/** What an entry takes besides its sealed content, about. */
const ENTRY_BYTES = 1000;

/** A session as it was read. */
export interface SessionSnapshot {
  /** The record. */
  readonly stored: Stored<SessionRecord>;
  /** Its content; `null` if it cannot be opened (any more), or has been emptied by the session's end. */
  readonly content: SessionContent | null;
}

/** Reads sessions. */
export interface SessionReader {
  /** Finds a session, at most a second old. */
  find(vendorId: string, sessionId: string): Promise<SessionSnapshot | null>;
  /** Finds a session as it is now. */
  findNow(vendorId: string, sessionId: string): Promise<SessionSnapshot | null>;
  /** The store, forgetting here whatever is changed through it. */
  readonly store: SessionStore;
}

/** Creates the reader over a store. */
export function createSessionReader(store: SessionStore, keys: VendorKeys, maxBytes: number): SessionReader {
  const cache = createBoundedCache<{ readonly snapshot: SessionSnapshot; readonly readAt: number }>(maxBytes);

  /** Looks that are under way; one whose session changes meanwhile may have seen it as it was before. */
  const looks = new Set<{ readonly name: string; isCurrent: boolean }>();

  function forget(vendorId: string, sessionId: string): void {
    const name = `${vendorId} ${sessionId}`;
    cache.delete(name);
    for (const look of looks) {
      if (look.name === name) look.isCurrent = false;
    }
  }

  async function look(name: string, vendorId: string, sessionId: string): Promise<SessionSnapshot | null> {
    const known = cache.get(name);
    const readAt = performance.now();
    const look = { name, isCurrent: true };
    looks.add(look);
    try {
      const stored = await store.find(vendorId, sessionId);
      if (stored === null) {
        cache.delete(name);
        return null;
      }
      const { sealed } = stored.value;
      const isSame = known?.snapshot.stored.version === stored.version;
      const content = isSame ? known!.snapshot.content : await openContent(keys, stored.value, sealed);
      const snapshot = { stored, content };
      if (look.isCurrent) cache.set(name, { snapshot, readAt }, 2 * sealed.length + ENTRY_BYTES);
      return snapshot;
    } finally {
      looks.delete(look);
    }
  }

  return {
    async find(vendorId: string, sessionId: string): Promise<SessionSnapshot | null> {
      const name = `${vendorId} ${sessionId}`;
      const known = cache.get(name);
      if (known !== undefined && known.readAt + FRESH_MS > performance.now()) return known.snapshot;
      return await look(name, vendorId, sessionId);
    },

    findNow: (vendorId, sessionId) => look(`${vendorId} ${sessionId}`, vendorId, sessionId),

    store: {
      ...store,
      async save(session: SessionRecord, version: string): Promise<boolean> {
        forget(session.vendorId, session.id);
        const saved = await store.save(session, version);
        forget(session.vendorId, session.id);
        return saved;
      },
      async end(vendorId, sessionId, ended): Promise<boolean> {
        const isEnded = await store.end(vendorId, sessionId, ended);
        forget(vendorId, sessionId);
        return isEnded;
      },
    },
  };
}
