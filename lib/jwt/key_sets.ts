/**
 * Key sets at their addresses, fetched and remembered.
 *
 * Rules: one fetch at a time for each address; at most one in 30 seconds for tokens whose key is not there, however many
 * come; known keys serve for a day while the address fails; no redirects, no large or slow answers; and an address that
 * a token names is never fetched, only those in the caller's hands.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import { type Fetch, sendForJson } from "../outbound.ts";
import { createRemoteCache, type Load } from "../remote_cache.ts";
import { findKey, hasKeyFor, isExposed, type KeyQuery, type KeySelection, type KeySet, readKeySet } from "./key_set.ts";

/** Why keys could not be had. `status`: not 200. `key_set`: not a key set. `exposed`: it publishes keys that are secret. */
export type KeySetFault = "unreachable" | "timeout" | "too_large" | "redirected" | "status" | "key_set" | "exposed";

/** What looking for a key leads to. */
export type KeyLookup =
  | KeySelection
  /** The set could not be fetched, so nobody can say whether the token is good. */
  | { readonly kind: "unavailable"; readonly reason: KeySetFault };

/** Key sets by address. */
export interface KeySets {
  /**
   * Finds the key that a token may have been signed with.
   *
   * @param jwksUri Address of the set, from the issuer's metadata.
   * @param query Which key the token names.
   * @returns The key, or why there is none.
   */
  find(jwksUri: string, query: KeyQuery): Promise<KeyLookup>;
}

/** How key sets are fetched and remembered. */
export interface KeySetsOptions {
  /** Sends the requests. */
  readonly fetch: Fetch;
  /** Seconds since 1970. */
  readonly now?: Clock;
  /** Milliseconds until a set must have arrived; 5,000 by default. */
  readonly timeoutMs?: number;
  /** Largest document in bytes; 512 KiB by default. */
  readonly maxBytes?: number;
  /** Pause between fetches on behalf of unknown keys; 30 by default. */
  readonly cooldownSeconds?: number;
  /** How long a set counts as current; 600 by default. */
  readonly maxAgeSeconds?: number;
  /** How long known keys serve while their address fails; 86,400 by default. */
  readonly staleSeconds?: number;
  /** How many sets are remembered; 1,000 by default. */
  readonly maxSets?: number;
}

/**
 * Creates an empty collection of key sets; one for the whole process is right.
 *
 * @param options How they are fetched and remembered.
 * @returns The collection.
 */
export function createKeySets(options: KeySetsOptions): KeySets {
  const { fetch, timeoutMs = 5000, maxBytes = 524_288, maxSets = 1000, ...times } = options;

  async function load(url: string): Promise<Load<KeySet, KeySetFault>> {
    const init = { headers: { accept: "application/json, application/jwk-set+json" } };
    const answer = await sendForJson(fetch, { url, init }, { timeoutMs, maxBytes });
    if (answer.kind === "failed") return answer;
    if (answer.status !== 200) return { kind: "failed", reason: "status" };
    if (answer.json === null) return { kind: "failed", reason: "key_set" };
    const value = readKeySet(answer.json);
    if (value !== null) return { kind: "loaded", value };
    return { kind: "failed", reason: isExposed(answer.json) ? "exposed" : "key_set" };
  }

  const cache = createRemoteCache(load, { ...times, maxEntries: maxSets });

  return {
    async find(jwksUri, query) {
      const { value, failure } = await cache.find(jwksUri, (set) => hasKeyFor(set, query));
      const selection = value === null ? { kind: "unknown" } as const : await findKey(value, query);
      // A key may be unknown only because the fetch that would have brought it failed.
      return selection.kind === "unknown" && failure !== null ? { kind: "unavailable", reason: failure } : selection;
    },
  };
}
