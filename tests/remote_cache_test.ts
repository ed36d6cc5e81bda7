import { assertEquals, assertRejects } from "@std/assert";
import { createRemoteCache, type Load, type RemoteCacheOptions } from "../lib/remote_cache.ts";

/** A cache over a server whose answers the test decides, with a clock that the test turns. */
function createFixture(options: RemoteCacheOptions = {}) {
  const server = { now: 1_000_000, answer: "v1" as string | null, loads: [] as string[] };
  async function load(url: string): Promise<Load<string, string>> {
    server.loads.push(url);
    const { answer } = server;
    await Promise.resolve();
    return answer === null ? { kind: "failed", reason: "down" } : { kind: "loaded", value: answer };
  }
  return { server, cache: createRemoteCache(load, { now: () => server.now, ...options }) };
}

Deno.test("a document is fetched once by any number of callers, and remembered", async () => {
  const { server, cache } = createFixture();
  const found = await Promise.all(Array.from({ length: 100 }, () => cache.find("a")));
  assertEquals(new Set(found.map(({ value }) => value)), new Set(["v1"]));
  server.now += 599;
  await cache.find("a");
  assertEquals(server.loads, ["a"]);
  server.answer = "v2";
  server.now += 1;
  assertEquals(await cache.find("a"), { value: "v2", failure: null });
  assertEquals(server.loads, ["a", "a"]);
});

Deno.test("each address has its own document", async () => {
  const { server, cache } = createFixture();
  await Promise.all([cache.find("a"), cache.find("b")]);
  assertEquals(server.loads, ["a", "b"]);
});

Deno.test("a caller for whom it is not enough gets one more fetch in 30 seconds", async () => {
  const { server, cache } = createFixture();
  const isEnough = (value: string) => value === "v2";
  assertEquals(await cache.find("a", isEnough), { value: "v1", failure: null });
  server.answer = "v2";
  server.now += 29;
  await Promise.all(Array.from({ length: 100 }, () => cache.find("a", isEnough)));
  assertEquals(server.loads.length, 1);
  server.now += 1;
  const found = await Promise.all(Array.from({ length: 100 }, () => cache.find("a", isEnough)));
  assertEquals(found.every(({ value }) => value === "v2"), true);
  assertEquals(server.loads.length, 2);
});

Deno.test("a document outlives an outage by a day, with one attempt in 30 seconds", async () => {
  const { server, cache } = createFixture();
  await cache.find("a");
  server.answer = null;
  server.now += 600;
  assertEquals(await cache.find("a"), { value: "v1", failure: "down" });
  server.now += 29;
  assertEquals(await cache.find("a"), { value: "v1", failure: "down" });
  assertEquals(server.loads.length, 2);
  server.now = 1_000_000 + 86_399;
  assertEquals(await cache.find("a"), { value: "v1", failure: "down" });
  server.now = 1_000_000 + 86_400;
  assertEquals(await cache.find("a"), { value: null, failure: "down" });
  server.answer = "v2";
  server.now += 30;
  assertEquals(await cache.find("a"), { value: "v2", failure: null });
});

Deno.test("where there is no document yet, attempts are 3 seconds apart", async () => {
  const { server, cache } = createFixture();
  server.answer = null;
  assertEquals(await cache.find("a"), { value: null, failure: "down" });
  server.answer = "v1";
  server.now += 2;
  assertEquals(await cache.find("a"), { value: null, failure: "down" });
  server.now += 1;
  assertEquals(await cache.find("a"), { value: "v1", failure: null });
  assertEquals(server.loads.length, 2);
});

Deno.test("a clock that was set back by an hour stops nothing", async () => {
  const { server, cache } = createFixture();
  await cache.find("a");
  server.now -= 3600;
  server.answer = "v2";
  assertEquals(await cache.find("a"), { value: "v2", failure: null });
  assertEquals(await cache.find("a", () => false), { value: "v2", failure: null });
  assertEquals(server.loads.length, 2);
});

Deno.test("the address used longest ago is forgotten first", async () => {
  const { server, cache } = createFixture({ maxEntries: 2 });
  for (const url of ["a", "b", "a", "c", "a", "b"]) await cache.find(url);
  assertEquals(server.loads, ["a", "b", "c", "b"]);
});

Deno.test("a late answer for a forgotten address does not overwrite a newer one", async () => {
  const answers = new Map([["old", Promise.withResolvers<void>()], ["new", Promise.withResolvers<void>()]]);
  const order = ["old", "other", "new"];
  const cache = createRemoteCache<string, string>(async () => {
    const value = order.shift()!;
    await answers.get(value)?.promise;
    return { kind: "loaded", value };
  }, { now: () => 0, maxEntries: 1 });
  const first = cache.find("a");
  await cache.find("b");
  const second = cache.find("a");
  answers.get("new")!.resolve();
  assertEquals((await second).value, "new");
  answers.get("old")!.resolve();
  assertEquals((await first).value, "old");
  assertEquals((await cache.find("a")).value, "new");
});

Deno.test("a loader that throws fails its callers, and the next one may try again", async () => {
  let isBroken = true;
  let now = 0;
  const cache = createRemoteCache<string, string>(() => {
    if (isBroken) return Promise.reject(new Error("broken"));
    return Promise.resolve({ kind: "loaded", value: "v1" });
  }, { now: () => now });
  await assertRejects(() => cache.find("a"), Error, "broken");
  isBroken = false;
  now += 3;
  assertEquals((await cache.find("a")).value, "v1");
});
