/**
 * Documents of other servers, remembered: key sets and server metadata.
 *
 * One fetch at a time for each address, however many callers wait. A good document outlives an outage of its server. A
 * caller who needs something newer than what is remembered gets one more fetch, and then nobody does for a while, so that
 * a flood of such calls does not become a flood of fetches.
 *
 * @module
 */

import { type Clock, systemClock } from "./clock.ts";

/** What fetching a document came to. Never a rejection: the other side must not be able to cause one. */
export type Load<T, F> =
  | { readonly kind: "loaded"; readonly value: T }
  | { readonly kind: "failed"; readonly reason: F };

/** What is known about a document. */
export interface Remembered<T, F> {
  /** The newest good version; `null` where there is none that may still be used. */
  readonly value: T | null;
  /** Why the latest attempt failed; `null` if it went well. */
  readonly failure: F | null;
}

/** How long things are remembered, in seconds. */
export interface RemoteCacheOptions {
  /** Seconds since 1970. */
  readonly now?: Clock;
  /** How long a document counts as current; 600 by default. */
  readonly maxAgeSeconds?: number;
  /** How long a document is used at most while its server fails; 86,400 by default. */
  readonly staleSeconds?: number;
  /** Pause between attempts while there is a document; 30 by default. */
  readonly cooldownSeconds?: number;
  /** Pause between attempts while there is none; 3 by default. */
  readonly retrySeconds?: number;
  /** How many addresses are remembered; the one used longest ago goes first. 1,000 by default. */
  readonly maxEntries?: number;
}

/** Remembers documents by address. */
export interface RemoteCache<T, F> {
  /**
   * Finds a document, fetching it where that is due.
   *
   * @param url Its address.
   * @param isEnough Whether a remembered version serves the caller.
   * @returns What is known afterwards.
   */
  find(url: string, isEnough?: (value: T) => boolean): Promise<Remembered<T, F>>;
}

interface Entry<T, F> {
  value: T | null;
  failure: F | null;
  loadedAt: number;
  triedAt: number;
  pending: Promise<void> | null;
}

/**
 * Creates a cache.
 *
 * @param load Fetches one document.
 * @param options How long things are remembered.
 * @returns An empty cache.
 */
export function createRemoteCache<T, F>(
  load: (url: string) => Promise<Load<T, F>>,
  options: RemoteCacheOptions = {},
): RemoteCache<T, F> {
  const { now = systemClock, maxAgeSeconds = 600, staleSeconds = 86_400 } = options;
  const { cooldownSeconds = 30, retrySeconds = 3, maxEntries = 1000 } = options;
  const entries = new Map<string, Entry<T, F>>();

  /** Whether fewer seconds have passed. A clock that was set back has passed everything. */
  function isWithin(seconds: number, since: number): boolean {
    const elapsed = now() - since;
    return elapsed >= 0 && elapsed < seconds;
  }

  function take(url: string): Entry<T, F> {
    const entry = entries.get(url) ??
      { value: null, failure: null, loadedAt: -Infinity, triedAt: -Infinity, pending: null };
    entries.delete(url);
    entries.set(url, entry);
    if (entries.size > maxEntries) entries.delete(entries.keys().next().value!);
    return entry;
  }

  async function refresh(url: string, entry: Entry<T, F>): Promise<void> {
    entry.triedAt = now();
    try {
      const outcome = await load(url);
      if (outcome.kind === "loaded") {
        entry.value = outcome.value;
        entry.loadedAt = entry.triedAt;
        entry.failure = null;
      } else {
        entry.failure = outcome.reason;
      }
    } finally {
      entry.pending = null;
    }
  }

  return {
    async find(url, isEnough = () => true) {
      const entry = take(url);
      const serves = entry.value !== null && isWithin(maxAgeSeconds, entry.loadedAt) && isEnough(entry.value);
      if (!serves) {
        const pause = entry.value === null ? retrySeconds : cooldownSeconds;
        if (entry.pending === null && !isWithin(pause, entry.triedAt)) entry.pending = refresh(url, entry);
        await entry.pending;
      }
      const { value, failure } = entry;
      return { value: isWithin(staleSeconds, entry.loadedAt) ? value : null, failure };
    },
  };
}
