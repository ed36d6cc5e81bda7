import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { StoreUnavailableError } from "../../lib/store/mod.ts";
import { createKvRecords, type KvAtomicLike, type KvLike, type KvRecordsOptions } from "../../lib/store/kv/mod.ts";
import { createTestClock } from "../support/clock.ts";

const KEY = ["session", "acme", "s1"];
const CREATE = { checks: [{ key: KEY, version: null }], sets: [{ key: KEY, value: "first" }] };

/** What goes wrong with a call to the database. Faults are used up one by one, calls beyond them succeed. */
type Fault =
  | { readonly kind: "throws"; readonly error: Error }
  /** The call takes effect, its answer is lost. */
  | { readonly kind: "throws_afterwards"; readonly error: Error }
  | { readonly kind: "never_answers" };

interface FaultyKv extends KvLike {
  /** How many calls of each kind there were. */
  readonly calls: { get: number; list: number; commit: number };
}

const locked: Fault = { kind: "throws", error: new Error("database is locked") };
const lost: Fault = { kind: "throws_afterwards", error: new Error("error sending request: connection closed") };
const silent: Fault = { kind: "never_answers" };

/** A real database whose calls fail as told. */
function spoil(kv: Deno.Kv, faults: { readonly get?: Fault[]; readonly list?: Fault[]; readonly commit?: Fault[] }) {
  const calls = { get: 0, list: 0, commit: 0 };

  async function suffer<T>(kind: keyof typeof calls, call: () => Promise<T>): Promise<T> {
    calls[kind]++;
    const fault = faults[kind]?.shift();
    if (fault?.kind === "throws") throw fault.error;
    if (fault?.kind === "never_answers") return await new Promise<never>(() => {});
    const answer = await call();
    if (fault?.kind === "throws_afterwards") throw fault.error;
    return answer;
  }

  function atomic(): KvAtomicLike {
    const real = kv.atomic();
    const spoilt: KvAtomicLike = {
      check: (...checks) => (real.check(...checks), spoilt),
      set: (key, value, options) => (real.set(key, value, options), spoilt),
      delete: (key) => (real.delete(key), spoilt),
      commit: () => suffer("commit", () => real.commit()),
    };
    return spoilt;
  }

  const faulty: FaultyKv = {
    calls,
    atomic,
    get: (key) => suffer("get", () => kv.get(key)),
    list: async function* (selector, options) {
      // A list fails in its middle: what came before must not come twice.
      let place = 0;
      for await (const entry of kv.list(selector, options)) {
        if (place++ === 1) await suffer("list", () => Promise.resolve());
        yield entry;
      }
    },
  };
  return faulty;
}

async function withKv(
  faults: Parameters<typeof spoil>[1],
  test: (
    tools: {
      readonly kv: FaultyKv;
      readonly real: Deno.Kv;
      readonly waits: number[];
      readonly create: (options?: KvRecordsOptions) => ReturnType<typeof createKvRecords>;
    },
  ) => Promise<void>,
) {
  using real = await Deno.openKv(":memory:");
  const kv = spoil(real, faults);
  const waits: number[] = [];
  const wait = (milliseconds: number) => {
    waits.push(milliseconds);
    return Promise.resolve();
  };
  const now = createTestClock();
  await test({ kv, real, waits, create: (options = {}) => createKvRecords(kv, { now, wait, ...options }) });
}

Deno.test("a locked database is asked again, after waits that grow and differ", async () => {
  await withKv({ commit: Array(12).fill(locked), get: Array(12).fill(locked) }, async ({ kv, waits, create }) => {
    const records = create();
    assert(await records.commit(CREATE));
    assertEquals((await records.find(KEY))?.value, "first");
    assertEquals(kv.calls.commit, 13);
    assertEquals(waits.length, 24);
    assert(waits.every((wait, i) => wait > 0 && wait <= 150 && (i % 12 < 9 || wait >= 50)), `${waits}`);
    assert(new Set(waits).size > 12);
  });
});

Deno.test("list() begins anew where the database was locked in its middle", async () => {
  await withKv({ list: Array(3).fill(locked) }, async ({ create }) => {
    const records = create();
    await records.commit({ sets: ["a", "b", "c"].map((name) => ({ key: ["vendor", name], value: name })) });
    assertEquals((await records.list(["vendor"])).map(({ value }) => value), ["a", "b", "c"]);
  });
});

Deno.test("a commit whose answer is lost counts once: its own mark is found", async () => {
  await withKv({ commit: [lost] }, async ({ kv, create }) => {
    const records = create();
    assert(await records.commit(CREATE), "the record is there, and it is ours");
    assertEquals(kv.calls.commit, 1);
    assertFalse(await records.commit(CREATE), "a second commit is another one");
  });
});

Deno.test("a commit that is answered with a conflict of its own making has happened", async () => {
  // The answer is lost, and so is that of the look for the mark: only the repetition shows the conflict.
  await withKv({ commit: [lost] }, async ({ kv, create }) => {
    const first = create();
    const get = kv.get;
    let isSpoilt = true;
    kv.get = async (key) => {
      const entry = await get(key);
      // The first look after the failure sees the state before it, as a lagging replica would show it.
      if (isSpoilt && kv.calls.commit === 1) {
        isSpoilt = false;
        return { key, value: null, versionstamp: null };
      }
      return entry;
    };
    assert(await first.commit(CREATE));
    assertEquals(kv.calls.commit, 2);
  });
});

Deno.test("a commit that lost against another one is not taken for applied", async () => {
  await withKv({ commit: [locked] }, async ({ real, create }) => {
    const records = create({
      wait: async () => void await createKvRecords(real).commit({ sets: [{ key: KEY, value: "somebody else" }] }),
    });
    assertFalse(await records.commit(CREATE));
    assertEquals((await records.find(KEY))?.value, "somebody else");
  });
});

Deno.test("a change of a record that others change is applied once, although its answer is lost", async () => {
  await withKv({ commit: [lost, locked, lost] }, async ({ create }) => {
    const records = create();
    await records.commit({ sets: [{ key: KEY, value: 0 }] });
    const { version } = (await records.find(KEY))!;
    assert(await records.commit({ checks: [{ key: KEY, version }], sets: [{ key: KEY, value: 1 }] }));
    assertEquals((await records.find(KEY))?.value, 1);
  });
});

Deno.test("a call that never answers is given up at the deadline, whichever it is", async (t) => {
  const rows = {
    find: [{ get: [silent] }, (records) => records.find(KEY)],
    list: [{ list: [silent] }, (records) => records.list(["vendor"])],
    commit: [{ commit: [silent] }, (records) => records.commit({ sets: [{ key: KEY, value: 1 }] })],
    "commit with a check": [{ get: [silent] }, (records) => records.commit(CREATE)],
    "commit whose look for the mark hangs": [
      { commit: [lost], get: [silent] },
      (records) => records.commit({ sets: [{ key: KEY, value: 1 }] }),
    ],
  } satisfies Record<
    string,
    [Parameters<typeof spoil>[1], (records: ReturnType<typeof createKvRecords>) => Promise<unknown>]
  >;
  for (const [what, [faults, call]] of Object.entries(rows)) {
    await t.step(what, async () => {
      await withKv(faults, async ({ real, create }) => {
        await createKvRecords(real).commit({
          sets: ["a", "b"].map((name) => ({ key: ["vendor", name], value: name })),
        });
        const error = await assertRejects(() => call(create({ deadlineMs: 5 })), StoreUnavailableError);
        assertEquals(error.code, "store_unavailable");
        assertEquals(error.name, "StoreUnavailableError");
      });
    });
  }
});

Deno.test("a commit as a whole keeps the deadline, however many calls it takes", async () => {
  using time = new FakeTime();
  await withKv({}, async ({ kv, create }) => {
    const { get, atomic } = kv;
    kv.get = async (key) => {
      await time.tickAsync(30);
      return await get(key);
    };
    kv.atomic = () => {
      const real = atomic();
      const { commit } = real;
      real.commit = async () => {
        await time.tickAsync(30);
        return await commit();
      };
      return real;
    };
    await assertRejects(() => create({ deadlineMs: 45 }).commit(CREATE), StoreUnavailableError);
  });
});

Deno.test("a database that stays locked is given up before the deadline too", async () => {
  await withKv({ get: Array(100).fill(locked) }, async ({ kv, create }) => {
    const error = await assertRejects(() => create({ deadlineMs: 60_000 }).find(KEY), StoreUnavailableError);
    assertEquals(error.message, "Cannot read a record: the store did not answer in time");
    assertEquals(kv.calls.get, 40);
  });
});

Deno.test("after the deadline nothing is tried any more", async () => {
  await withKv({ commit: Array(100).fill(locked) }, async ({ kv, create }) => {
    let release = () => {};
    const waiting = new Promise<void>((resolve) => release = resolve);
    const commit = create({ deadlineMs: 5, wait: () => waiting }).commit(CREATE);
    await assertRejects(() => commit, StoreUnavailableError);
    release();
    await waiting;
    await Promise.resolve();
    assertEquals(kv.calls.commit, 1);
  });
});

Deno.test("what will not pass by itself is not tried again, and keeps its own error", async () => {
  const closed: Fault = { kind: "throws", error: new TypeError("Value too large (max 65536 bytes)") };
  await withKv({ commit: [closed], get: [closed], list: [closed] }, async ({ kv, waits, create }) => {
    const records = create();
    await assertRejects(() => records.find(KEY), TypeError, "too large");
    await assertRejects(() => records.commit({ sets: [{ key: KEY, value: 1 }] }), TypeError, "too large");
    assertEquals(kv.calls.commit, 1);
    assertEquals(waits, []);
  });
});

Deno.test("KV is told when a record may be cleaned away", async () => {
  const told: (number | undefined)[] = [];
  await withKv({}, async ({ kv, create }) => {
    const atomic = kv.atomic;
    kv.atomic = () => {
      const real = atomic();
      const set = real.set;
      real.set = (key, value, options) => {
        told.push(options?.expireIn);
        return set(key, value, options);
      };
      return real;
    };
    const now = createTestClock();
    const records = create({ now });
    await records.commit({
      sets: [
        { key: KEY, value: 1, expiresAt: now() + 600 },
        { key: ["vendor", "acme"], value: 1 },
        { key: ["once", "a"], value: 1, expiresAt: now() - 5 },
      ],
    });
  });
  assertEquals(told, [600_000, undefined, 1000]);
});
