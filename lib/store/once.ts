/**
 * Marks of values that may be used once: login states, logout token ids, client assertions.
 *
 * @module
 */

import { onceKey } from "./keys.ts";
import type { Records } from "./records.ts";

/** Remembers what has been used. */
export interface OnceStore {
  /**
   * Marks a value as used.
   *
   * @param purpose What kind of value it is, so that kinds never meet.
   * @param digest The value, or a digest of it where it is secret.
   * @param expiresAt When the value itself expires and the mark may go (seconds since 1970).
   * @returns `true` for the first caller, `false` for everybody after.
   */
  consume(purpose: string, digest: string, expiresAt: number): Promise<boolean>;
  /** Tells whether a value was marked as used, for what may be done twice at once but not again later. */
  isConsumed(purpose: string, digest: string): Promise<boolean>;
}

/** Creates the store: one atomic check a mark, never a read followed by a write. */
export function createOnceStore(records: Records): OnceStore {
  return {
    async consume(purpose: string, digest: string, expiresAt: number): Promise<boolean> {
      const key = onceKey(purpose, digest);
      return await records.commit({
        checks: [{ key, version: null }],
        sets: [{ key, value: true, expiresAt }],
      });
    },

    async isConsumed(purpose: string, digest: string): Promise<boolean> {
      return await records.find(onceKey(purpose, digest)) !== null;
    },
  };
}
