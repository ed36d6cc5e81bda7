/**
 * Limits on guessing: so many failed attempts are free, each further one costs a wait that doubles.
 *
 * There is no permanent lock, which would let a stranger keep people out of their accounts: after the wait the right
 * password works. Attempts are counted before the password is looked at, so a hundred guesses sent at once are not a
 * hundred guesses.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import { hashOf } from "../encoding.ts";
import type { RecordKey, Records } from "../store/records.ts";
import { attemptsKey } from "./record_keys.ts";

/** Whom or what attempts are counted for. */
export interface AttemptSubject {
  /** What kind it is, so that kinds never meet. */
  readonly kind: "account" | "address" | "client";
  /** Which one. */
  readonly id: string;
  /** Failed attempts that cost nothing. */
  readonly free: number;
}

/** Counts attempts. */
export interface AttemptLimiter {
  /** Seconds until another attempt is heard; 0 if it is heard now. */
  findWait(subjects: readonly AttemptSubject[]): Promise<number>;
  /** Counts one attempt against every subject; answers as `findWait`, and counts nothing where there is a wait. */
  take(subjects: readonly AttemptSubject[]): Promise<number>;
  /** Takes one attempt back that turned out right, and forgets all of those of the `cleared` kind. */
  forgive(subjects: readonly AttemptSubject[], cleared: AttemptSubject["kind"]): Promise<void>;
}

interface AttemptsRecord {
  readonly count: number;
  readonly blockedUntil: number;
}

/** The wait that the first attempt past the free ones leads to. */
const FIRST_WAIT_SECONDS = 30;

/** The longest wait. */
const MAX_WAIT_SECONDS = 900;

/** Failed attempts are forgotten so long after the last one. */
const MEMORY_SECONDS = 3600;

/** Attempts that meet at the same moment more often than that are too many in themselves. */
const MAX_CONFLICTS = 100;

/** Creates the limiter. */
export function createAttemptLimiter(
  { records, now }: { readonly records: Records; readonly now: Clock },
): AttemptLimiter {
  async function read(subjects: readonly AttemptSubject[]) {
    return await Promise.all(subjects.map(async (subject) => {
      const key = attemptsKey(await hashOf(JSON.stringify([subject.kind, subject.id])));
      const stored = await records.find<AttemptsRecord>(key);
      return { subject, key, version: stored?.version ?? null, record: stored?.value ?? { count: 0, blockedUntil: 0 } };
    }));
  }

  function waitOf(found: Awaited<ReturnType<typeof read>>): number {
    return Math.max(0, ...found.map(({ record }) => record.blockedUntil - now()));
  }

  /** One conditional write; `null` in place of a record deletes it. */
  async function write(
    found: Awaited<ReturnType<typeof read>>,
    next: (entry: (typeof found)[number]) => AttemptsRecord | null,
  ): Promise<boolean> {
    const sets: { key: RecordKey; value: AttemptsRecord; expiresAt: number }[] = [];
    const deletes: RecordKey[] = [];
    for (const entry of found) {
      const value = next(entry);
      if (value === null) deletes.push(entry.key);
      else sets.push({ key: entry.key, value, expiresAt: now() + MEMORY_SECONDS });
    }
    return await records.commit({ checks: found.map(({ key, version }) => ({ key, version })), sets, deletes });
  }

  return {
    async findWait(subjects: readonly AttemptSubject[]): Promise<number> {
      return waitOf(await read(subjects));
    },

    async take(subjects: readonly AttemptSubject[]): Promise<number> {
      for (let conflicts = 0; conflicts < MAX_CONFLICTS; conflicts++) {
        const found = await read(subjects);
        const wait = waitOf(found);
        if (wait > 0) return wait;
        const taken = await write(found, ({ subject, record }) => {
          const count = record.count + 1;
          return { count, blockedUntil: count < subject.free ? 0 : now() + decideWait(count - subject.free) };
        });
        if (taken) return 0;
      }
      return FIRST_WAIT_SECONDS;
    },

    async forgive(subjects: readonly AttemptSubject[], cleared: AttemptSubject["kind"]): Promise<void> {
      for (let conflicts = 0; conflicts < MAX_CONFLICTS; conflicts++) {
        const forgiven = await write(await read(subjects), ({ subject, record }) => {
          return subject.kind === cleared || record.count <= 1
            ? null
            : { count: record.count - 1, blockedUntil: record.count <= subject.free ? 0 : record.blockedUntil };
        });
        if (forgiven) return;
      }
    },
  };
}

/** The wait after so many attempts beyond the free ones: 30 s, 60 s, 120 s, … up to a quarter of an hour. */
export function decideWait(excess: number): number {
  return Math.min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** Math.min(excess, 10));
}

/**
 * What counts as one address: an IPv4 address, or the /64 of an IPv6 address, of which every household has one whole.
 *
 * @param address The peer's address as text.
 * @returns A name of the network that shares one limit.
 */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const groups = (text: string) => text === "" ? [] : text.split(":");
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill("0");
  return [...left, ...zeros, ...right].slice(0, 4).map((group) => group.toLowerCase().replace(/^0+(?=.)/, "")).join(
    ":",
  );
}
