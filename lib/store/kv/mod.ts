/**
 * Records on Deno KV: a SQLite file on one machine, Deno Deploy's database, or a `denokv` server over KV Connect.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createKvRecords } from "@cloakroom/token-handler/store/kv";
 *
 * using kv = await Deno.openKv(":memory:");
 * const records = createKvRecords(kv);
 * await records.commit({ sets: [{ key: ["vendor", "acme"], value: { name: "Acme" } }] });
 * assertEquals((await records.find<{ name: string }>(["vendor", "acme"]))?.value, { name: "Acme" });
 * ```
 *
 * A KV file shared by several workers or processes answers "database is locked" now and then, and a commit that threw or
 * timed out may have been applied all the same. Every call therefore has a deadline and a bounded, jittered retry;
 * a commit leaves its own mark in what it writes, and looks for that mark before it tries again.
 *
 * @module
 */

import { type Clock, systemClock } from "../../clock.ts";
import { drawToken, type Random, systemRandom } from "../../random.ts";
import { systemWait, type Wait, within } from "../../waiting.ts";
import {
  type Commit,
  type ListOptions,
  type RecordKey,
  type Records,
  type Stored,
  StoreUnavailableError,
} from "../records.ts";

export type { Clock } from "../../clock.ts";
export type { Random } from "../../random.ts";
export type { Wait } from "../../waiting.ts";

/** The part of `Deno.Kv` that is used, so that other runtimes can offer it too. */
export interface KvLike {
  /** Reads one entry. */
  get(key: readonly string[]): Promise<KvEntryLike>;
  /** Lists entries in the order of their keys. */
  list(
    selector: { prefix: readonly string[] } | { prefix: readonly string[]; start: readonly string[] },
    options?: { limit?: number },
  ): AsyncIterable<KvEntryLike>;
  /** Begins a transaction. */
  atomic(): KvAtomicLike;
}

/** An entry as KV answers it. */
export interface KvEntryLike {
  /** Its key. */
  readonly key: readonly unknown[];
  /** Its value; `null` where there is none. */
  readonly value: unknown;
  /** Its version; `null` where there is none. */
  readonly versionstamp: string | null;
}

/** A transaction as KV offers it. */
export interface KvAtomicLike {
  /** Adds versions that must be current. */
  check(...checks: { key: readonly string[]; versionstamp: string | null }[]): KvAtomicLike;
  /** Adds a write. */
  set(key: readonly string[], value: unknown, options?: { expireIn?: number }): KvAtomicLike;
  /** Adds a deletion. */
  delete(key: readonly string[]): KvAtomicLike;
  /** Applies all of it, or nothing. */
  commit(): Promise<{ ok: boolean }>;
}

/** How calls to the database are bounded. */
export interface KvRecordsOptions {
  /** The clock that decides what has expired. */
  readonly now?: Clock;
  /** Where the marks of commits come from. */
  readonly random?: Random;
  /** Milliseconds after which a call is given up; 2,000 by default. */
  readonly deadlineMs?: number;
  /** Waits before the next attempt. Tests pass one that does not wait. */
  readonly wait?: Wait;
}

/** What stands in the database: the value, its end, and the commit that wrote it. */
interface Envelope {
  readonly value: unknown;
  readonly expiresAt: number | null;
  readonly commit: string;
}

/** Attempts before a call is given up, whatever the deadline says. */
const MAX_ATTEMPTS = 40;

/**
 * Creates a store on an open KV database. Closing the database remains the caller's business.
 *
 * @param kv The database, for example from `Deno.openKv()`.
 * @param options Limits and dependencies.
 * @returns The store.
 */
export function createKvRecords(kv: KvLike, options: KvRecordsOptions = {}): Records {
  const { now = systemClock, random = systemRandom, deadlineMs = 2000, wait = systemWait } = options;

  /** Runs a call until it succeeds; `settle` may find out that a failed attempt succeeded after all. */
  async function persist<T>(operation: string, call: () => Promise<T>, settle?: () => Promise<T | null>): Promise<T> {
    let isOver = false;
    const attempts = async (): Promise<{ readonly answer: T }> => {
      for (let attempt = 0; attempt < MAX_ATTEMPTS && !isOver; attempt++) {
        try {
          if (attempt > 0 && settle !== undefined) {
            const settled = await settle();
            if (settled !== null) return { answer: settled };
          }
          return { answer: await call() };
        } catch (error) {
          if (!isTransient(error)) throw error;
          await wait(Math.min(100, 2 ** attempt) * (0.5 + random(1)[0]! / 256));
        }
      }
      throw new StoreUnavailableError(operation);
    };
    const outcome = await within(deadlineMs, attempts());
    isOver = true;
    if (outcome === null) throw new StoreUnavailableError(operation);
    return outcome.answer;
  }

  function readEntry<T>(entry: KvEntryLike): Stored<T> | null {
    if (entry.versionstamp === null) return null;
    const { value, expiresAt } = entry.value as Envelope;
    if (expiresAt !== null && expiresAt <= now()) return null;
    return { key: entry.key as RecordKey, value: value as T, version: entry.versionstamp };
  }

  return {
    async find<T>(key: RecordKey): Promise<Stored<T> | null> {
      return readEntry<T>(await persist("read a record", () => kv.get(key)));
    },

    async list<T>(prefix: RecordKey, { limit = 100, after }: ListOptions = {}): Promise<readonly Stored<T>[]> {
      const selector = after === undefined ? { prefix } : { prefix, start: [...prefix, `${after}\u0000`] };
      return await persist("list records", async () => {
        const found: Stored<T>[] = [];
        for await (const entry of kv.list(selector)) {
          const record = entry.key.length === prefix.length + 1 ? readEntry<T>(entry) : null;
          if (record !== null) found.push(record);
          if (found.length === limit) break;
        }
        return found;
      });
    },

    async commit({ checks = [], sets = [], deletes = [] }: Commit): Promise<boolean> {
      const mark = drawToken(random, 12);
      const written = sets[0]?.key;
      /** Tells whether an earlier attempt was applied although its answer got lost. */
      const settle = async () => {
        if (written === undefined) return null;
        const entry = await kv.get(written);
        return (entry.value as Envelope | null)?.commit === mark ? true : null;
      };
      const call = async () => {
        const versions = await Promise.all(checks.map(({ key, version }) => version ?? findStaleVersion(key)));
        const transaction = kv.atomic();
        for (const [i, { key }] of checks.entries()) transaction.check({ key, versionstamp: versions[i]! });
        for (const { key, value, expiresAt } of sets) {
          const envelope: Envelope = { value, expiresAt: expiresAt ?? null, commit: mark };
          if (expiresAt === undefined) transaction.set(key, envelope);
          else transaction.set(key, envelope, { expireIn: Math.max(1, expiresAt - now()) * 1000 });
        }
        for (const key of deletes) transaction.delete(key);
        return (await transaction.commit()).ok || (await settle()) === true;
      };
      return await persist("write records", call, settle);
    },
  };

  /** KV compares what is stored, so a record that counts as absent because it has expired is named by its version. */
  async function findStaleVersion(key: RecordKey): Promise<string | null> {
    const entry = await kv.get(key);
    return readEntry(entry) === null ? entry.versionstamp : null;
  }
}

/** Messages of the SQLite and KV Connect back ends that pass by themselves. KV has no codes for them. */
const TRANSIENT_REGEXP = /locked|busy|timed? ?out|connection|network|unavailable|fetch/i;

function isTransient(error: unknown): boolean {
  return error instanceof Error && TRANSIENT_REGEXP.test(error.message);
}
