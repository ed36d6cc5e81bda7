/**
 * The databases that every store is tested on: memory, Deno KV in memory, and a Deno KV file opened twice, as two
 * processes open it.
 *
 * @module
 */

import type { Records } from "../../lib/store/mod.ts";
import { createMemoryRecords } from "../../lib/store/mod.ts";
import { createKvRecords } from "../../lib/store/kv/mod.ts";
import { createTestClock, type TestClock } from "../support/clock.ts";

/** One database, and what a test needs besides. */
export interface Backend {
  /** Two ways in: what goes in by one comes out by the other. */
  readonly records: readonly [Records, Records];
  /** The clock that both go by. */
  readonly clock: TestClock;
}

type Opened = { readonly records: readonly [Records, Records]; readonly close: () => void };

const BACKENDS: Readonly<Record<string, (clock: TestClock) => Promise<Opened>>> = {
  "memory": (now) => {
    const records = createMemoryRecords(now);
    return Promise.resolve({ records: [records, records], close: () => {} });
  },

  "KV in memory": async (now) => {
    const kv = await Deno.openKv(":memory:");
    return { records: [createKvRecords(kv, { now }), createKvRecords(kv, { now })], close: () => kv.close() };
  },

  "KV file, opened twice": async (now) => {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/records.sqlite`;
    // Two cores and a busy machine: the deadline is what the test is not about.
    const options = { now, deadlineMs: 60_000 };
    const [one, two] = [await Deno.openKv(path), await Deno.openKv(path)];
    return {
      records: [createKvRecords(one, options), createKvRecords(two, options)],
      close() {
        one.close();
        two.close();
        Deno.removeSync(folder, { recursive: true });
      },
    };
  },
};

/** Runs a test on every database. */
export function testOnEveryBackend(name: string, test: (backend: Backend) => Promise<void>): void {
  for (const [backend, open] of Object.entries(BACKENDS)) {
    Deno.test(`${name} (${backend})`, async () => {
      const clock = createTestClock();
      const { records, close } = await open(clock);
      try {
        await test({ records, clock });
      } finally {
        close();
      }
    });
  }
}

/** Does something at once as often as asked, by both ways in turn. */
export async function race<T>(
  { records }: Backend,
  times: number,
  each: (records: Records, index: number) => Promise<T>,
): Promise<readonly T[]> {
  return await Promise.all(Array.from({ length: times }, (_, index) => each(records[index % 2]!, index)));
}
