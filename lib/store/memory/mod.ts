/**
 * Records in memory: for tests, for the demo, and as the plainest statement of what a store must do.
 *
 * @module
 */

import { type Clock, systemClock } from "../../clock.ts";
import type { Commit, ListOptions, RecordKey, Records, Stored } from "../records.ts";

interface Slot {
  readonly key: RecordKey;
  readonly value: unknown;
  readonly version: string;
  readonly expiresAt: number;
}

/** How many commits pass between two sweeps of expired records. */
const SWEEP_EVERY = 1024;

/**
 * Creates an empty store in memory. Its content is lost with the process.
 *
 * @param now The clock that decides what has expired.
 * @returns The store.
 */
export function createMemoryRecords(now: Clock = systemClock): Records {
  const slots = new Map<string, Slot>();
  let commits = 0;

  function live(key: RecordKey): Slot | null {
    const slot = slots.get(nameOf(key));
    return slot !== undefined && slot.expiresAt > now() ? slot : null;
  }

  function sweep(): void {
    for (const [name, slot] of slots) {
      if (slot.expiresAt <= now()) slots.delete(name);
    }
  }

  return {
    find<T>(key: RecordKey): Promise<Stored<T> | null> {
      const slot = live(key);
      return Promise.resolve(slot === null ? null : readSlot<T>(slot));
    },

    list<T>(prefix: RecordKey, options: ListOptions = {}): Promise<readonly Stored<T>[]> {
      const { limit = 100, after } = options;
      const found: Slot[] = [];
      for (const slot of slots.values()) {
        const last = slot.key[prefix.length];
        const below = slot.key.length === prefix.length + 1 && prefix.every((part, i) => slot.key[i] === part);
        if (below && (after === undefined || last! > after) && slot.expiresAt > now()) found.push(slot);
      }
      found.sort((a, b) => a.key.at(-1)! < b.key.at(-1)! ? -1 : 1);
      return Promise.resolve(found.slice(0, limit).map((slot) => readSlot<T>(slot)));
    },

    commit({ checks = [], sets = [], deletes = [] }: Commit): Promise<boolean> {
      if (checks.some(({ key, version }) => (live(key)?.version ?? null) !== version)) return Promise.resolve(false);
      commits++;
      for (const { key, value, expiresAt = Infinity } of sets) {
        slots.set(nameOf(key), { key: [...key], value: structuredClone(value), version: `${commits}`, expiresAt });
      }
      for (const key of deletes) slots.delete(nameOf(key));
      if (commits % SWEEP_EVERY === 0) sweep();
      return Promise.resolve(true);
    },
  };
}

function nameOf(key: RecordKey): string {
  return JSON.stringify(key);
}

function readSlot<T>(slot: Slot): Stored<T> {
  return { key: slot.key, value: structuredClone(slot.value) as T, version: slot.version };
}
