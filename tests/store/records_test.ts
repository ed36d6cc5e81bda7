import { assert, assertEquals, assertFalse, assertNotEquals } from "@std/assert";
import { createMemoryRecords, type RecordKey, type Records } from "../../lib/store/mod.ts";
import { createTestClock } from "../support/clock.ts";
import { race, testOnEveryBackend } from "./backends.ts";

const KEY = ["session", "acme", "s1"];

async function put(records: Records, key: RecordKey, value: unknown, expiresAt?: number): Promise<string> {
  assert(await records.commit({ sets: [{ key, value, ...(expiresAt === undefined ? {} : { expiresAt }) }] }));
  return (await records.find(key))!.version;
}

async function namesBelow(records: Records, prefix: RecordKey, options?: { limit?: number; after?: string }) {
  return (await records.list(prefix, options)).map(({ key }) => key.at(-1));
}

testOnEveryBackend("find() answers null where nothing was written", async ({ records: [records] }) => {
  assertEquals(await records.find(KEY), null);
});

testOnEveryBackend("find() gives back what was written, by the other way in too", async ({ records }) => {
  const values: readonly unknown[] = [
    { nested: { list: [1, "two", null, { three: 3 }] }, empty: {} },
    "text with ünicode 🍪 and \u0000",
    "",
    0,
    false,
    null,
    [],
    9_007_199_254_740_991,
  ];
  for (const value of values) {
    await put(records[0], KEY, value);
    assertEquals((await records[1].find(KEY))?.value, value);
    assertEquals((await records[1].find(KEY))?.key, KEY);
  }
});

testOnEveryBackend("find() gives copies: changing one changes nothing", async ({ records: [records] }) => {
  const given = { list: ["a"] };
  await put(records, KEY, given);
  given.list.push("b");
  (await records.find<{ list: string[] }>(KEY))!.value.list.push("c");
  (await records.list<{ list: string[] }>(KEY.slice(0, -1)))[0]!.value.list.push("d");
  assertEquals((await records.find(KEY))?.value, { list: ["a"] });
});

testOnEveryBackend("every write changes the version, also one of the same value", async ({ records: [records] }) => {
  const versions = [await put(records, KEY, "a"), await put(records, KEY, "a"), await put(records, KEY, "b")];
  assertEquals(new Set(versions).size, 3);
});

testOnEveryBackend("keys are lists of parts, never texts put together", async ({ records: [records] }) => {
  const keys = [
    ["a", "b/c"],
    ["a/b", "c"],
    ["a", "b", "c"],
    ["a", "b\u0000c"],
    ["a\u0000b", "c"],
    ["a", ""],
    ["a"],
    [
      "",
      "a",
    ],
    ['a"', "b"],
    ["a", '"b'],
    ["ä", "b"],
    ["__proto__", "b"],
  ];
  for (const [i, key] of keys.entries()) await put(records, key, i);
  for (const [i, key] of keys.entries()) assertEquals((await records.find(key))?.value, i);
});

testOnEveryBackend("a record is gone at the second at which it expires, not before", async (backend) => {
  const { records: [records], clock } = backend;
  await put(records, KEY, "short", clock() + 60);
  await put(records, ["session", "acme", "s2"], "for ever");
  clock.advance(59);
  assertEquals((await records.find(KEY))?.value, "short");
  assertEquals(await namesBelow(records, ["session", "acme"]), ["s1", "s2"]);
  clock.advance(1);
  assertEquals(await records.find(KEY), null);
  assertEquals(await namesBelow(records, ["session", "acme"]), ["s2"]);
});

testOnEveryBackend("an expired record counts as absent in a check", async ({ records: [records], clock }) => {
  await put(records, KEY, "old", clock() + 60);
  const anew = { checks: [{ key: KEY, version: null }], sets: [{ key: KEY, value: "new", expiresAt: clock() + 120 }] };
  assertFalse(await records.commit(anew));
  clock.advance(60);
  assert(await records.commit(anew));
  assertFalse(await records.commit(anew));
  assertEquals((await records.find(KEY))?.value, "new");
});

testOnEveryBackend("a write without an end takes the end away", async ({ records: [records], clock }) => {
  await put(records, KEY, "old", clock() + 60);
  await put(records, KEY, "new");
  clock.advance(1_000_000);
  assertEquals((await records.find(KEY))?.value, "new");
});

testOnEveryBackend("commit() writes and deletes all or nothing", async ({ records: [records] }) => {
  const other = ["session", "acme", "s2"];
  const third = ["session", "acme", "s3"];
  const version = await put(records, KEY, "one");
  await put(records, other, "two");
  const change = (checked: string | null) => ({
    checks: [{ key: KEY, version: checked }, { key: third, version: null }],
    sets: [{ key: KEY, value: "changed" }, { key: third, value: "three" }],
    deletes: [other],
  });
  const rows: readonly (readonly [what: string, checked: string | null])[] = [
    ["an older version", "00000000000000000001"],
    ["no record", null],
  ];
  for (const [what, checked] of rows) {
    assertFalse(await records.commit(change(checked)), what);
    assertEquals(await namesBelow(records, ["session", "acme"]), ["s1", "s2"], what);
    assertEquals((await records.find(KEY))?.value, "one", what);
  }
  assert(await records.commit(change(version)));
  assertEquals(await namesBelow(records, ["session", "acme"]), ["s1", "s3"]);
  assertEquals((await records.find(KEY))?.value, "changed");
  assertFalse(await records.commit(change(version)));
});

testOnEveryBackend("commit() refuses where only the last of several checks fails", async ({ records: [records] }) => {
  const version = await put(records, KEY, "one");
  const other = ["session", "acme", "s2"];
  await put(records, other, "two");
  const checks = [{ key: KEY, version }, { key: other, version: null }];
  assertFalse(await records.commit({ checks, sets: [{ key: KEY, value: "changed" }] }));
  assertEquals((await records.find(KEY))?.value, "one");
});

testOnEveryBackend("a version does not outlive its record", async ({ records: [records] }) => {
  const version = await put(records, KEY, "one");
  assert(await records.commit({ deletes: [KEY] }));
  const change = { checks: [{ key: KEY, version }], sets: [{ key: KEY, value: "back" }] };
  assertFalse(await records.commit(change));
  await put(records, KEY, "one");
  assertFalse(await records.commit(change));
  assertNotEquals((await records.find(KEY))?.version, version);
});

testOnEveryBackend("deleting what is gone is fine, and so is a commit of nothing", async ({ records: [records] }) => {
  assert(await records.commit({ deletes: [KEY] }));
  assert(await records.commit({}));
  assert(await records.commit({ checks: [{ key: KEY, version: null }] }));
});

testOnEveryBackend("list() answers the records right below a prefix, in order", async ({ records: [records] }) => {
  const keys = [
    ["vendor_key", "acme", "b"],
    ["vendor_key", "acme", "a"],
    ["vendor_key", "acme", "B"],
    ["vendor_key", "acme", "a", "below"],
    ["vendor_key", "acme"],
    ["vendor_key", "acme2", "x"],
    ["vendor_key", "acm", "x"],
    ["vendor_keys", "acme", "x"],
  ];
  for (const key of keys) await put(records, key, key.join("/"));
  const found = await records.list<string>(["vendor_key", "acme"]);
  assertEquals(found.map(({ value }) => value), ["vendor_key/acme/B", "vendor_key/acme/a", "vendor_key/acme/b"]);
  assertEquals(found[0]!.key, ["vendor_key", "acme", "B"]);
  assertEquals(found[0]!.version, (await records.find(["vendor_key", "acme", "B"]))!.version);
});

testOnEveryBackend("list() pages through a prefix without losing or repeating a record", async (backend) => {
  const { records: [records], clock } = backend;
  const names = Array.from({ length: 230 }, (_, i) => `v${String(i).padStart(3, "0")}`);
  // Every tenth has expired: those must not use up a page's room.
  const sets = names.map((name, i) => ({
    key: ["vendor", name],
    value: i,
    ...(i % 10 === 0 ? { expiresAt: clock() + 1 } : {}),
  }));
  for (let i = 0; i < sets.length; i += 50) assert(await records.commit({ sets: sets.slice(i, i + 50) }));
  clock.advance(1);
  const living = names.filter((_, i) => i % 10 !== 0);

  assertEquals((await records.list(["vendor"])).length, 100);
  assertEquals((await namesBelow(records, ["vendor"], { limit: 1000 })).length, living.length);
  const seen: (string | undefined)[] = [];
  let after: string | undefined;
  while (true) {
    const page = await namesBelow(records, ["vendor"], { limit: 64, ...(after === undefined ? {} : { after }) });
    if (page.length === 0) break;
    seen.push(...page);
    after = page.at(-1)!;
  }
  assertEquals(seen, living);
});

testOnEveryBackend("list() goes on behind a name that has been deleted", async ({ records: [records] }) => {
  for (const name of ["a", "b", "b0", "c"]) await put(records, ["vendor", name], true);
  await records.commit({ deletes: [["vendor", "b"]] });
  assertEquals(await namesBelow(records, ["vendor"], { after: "b" }), ["b0", "c"]);
  assertEquals(await namesBelow(records, ["vendor"], { after: "c" }), []);
  assertEquals(await namesBelow(records, ["vendor"], { after: "", limit: 2 }), ["a", "b0"]);
});

testOnEveryBackend("of 50 who create a record at once, exactly one does", async (backend) => {
  const outcomes = await race(backend, 50, (records, i) =>
    records.commit({
      checks: [{ key: KEY, version: null }],
      sets: [{ key: KEY, value: i }],
    }));
  assertEquals(outcomes.filter((won) => won).length, 1);
  assertEquals((await backend.records[0].find(KEY))?.value, outcomes.indexOf(true));
});

testOnEveryBackend("of 50 who replace an expired record at once, exactly one does", async (backend) => {
  const { records: [records], clock } = backend;
  await put(records, KEY, "old", clock() + 1);
  clock.advance(1);
  const outcomes = await race(backend, 50, (records, i) =>
    records.commit({
      checks: [{ key: KEY, version: null }],
      sets: [{ key: KEY, value: i, expiresAt: clock() + 60 }],
    }));
  assertEquals(outcomes.filter((won) => won).length, 1);
});

testOnEveryBackend("no change gets lost when 50 count at once", async (backend) => {
  await put(backend.records[0], KEY, 0);
  await race(backend, 50, async (records) => {
    while (true) {
      const { value, version } = (await records.find<number>(KEY))!;
      if (await records.commit({ checks: [{ key: KEY, version }], sets: [{ key: KEY, value: value + 1 }] })) return;
    }
  });
  assertEquals((await backend.records[1].find(KEY))?.value, 50);
});

Deno.test("memory sweeps expired records away in the long run", async () => {
  const clock = createTestClock();
  const records = createMemoryRecords(clock);
  await put(records, KEY, "short", clock() + 1);
  await put(records, ["session", "acme", "s2"], "for ever");
  clock.advance(1);
  for (let i = 0; i < 1100; i++) await records.commit({ sets: [{ key: ["once", "x"], value: i }] });
  // Only a clock that is set back can show the difference.
  clock.advance(-1);
  assertEquals(await records.find(KEY), null);
  assertEquals((await records.find(["session", "acme", "s2"]))?.value, "for ever");
});
