import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { createMemoryRecords, createStores, type LeaseStore, StoreUnavailableError } from "../../lib/store/mod.ts";
import { createRefreshTurn, type RefreshWork } from "../../lib/token_handler/refresh_turn.ts";
import { systemRandom } from "../../lib/random.ts";
import { createTestClock } from "../support/clock.ts";

const TARGET = { vendorId: "acme", sessionId: "s1", generation: 1 };

function createSetting() {
  const clock = createTestClock();
  const { leases } = createStores(createMemoryRecords(clock));
  const waits: number[] = [];
  let afterWait = () => {};
  return {
    clock,
    leases,
    waits,
    onWait(action: () => void) {
      afterWait = action;
    },
    /** One process more. */
    start(own: LeaseStore = leases) {
      return createRefreshTurn({
        leases: own,
        now: clock,
        random: systemRandom,
        async wait(milliseconds) {
          waits.push(milliseconds);
          afterWait();
          await Promise.resolve();
        },
      });
    },
  };
}

/** Work that answers a text, and the text that a look finds once it is there. */
function workOf(text: string, done: { result: string | null } = { result: null }) {
  const calls: boolean[] = [];
  const work: RefreshWork<string> = {
    look: () => Promise.resolve(done.result),
    work(afterUnknown) {
      calls.push(afterUnknown);
      return Promise.resolve({ result: done.result = text });
    },
  };
  return { calls, work };
}

Deno.test("whoever comes first works; whoever comes later finds what came of it", async () => {
  const { start, waits } = createSetting();
  const done = { result: null };
  const [one, two] = [workOf("one", done), workOf("two", done)];
  const outcomes = await Promise.all([start()(TARGET, one.work), start()(TARGET, two.work)]);
  assertEquals(outcomes, [{ kind: "done", result: "one" }, { kind: "done", result: "one" }]);
  assertEquals([one.calls, two.calls], [[false], []]);
  assert(waits.every((wait) => wait === 50));
});

Deno.test("a result that came between the first look and the lease is taken, not made again", async () => {
  const { start, leases } = createSetting();
  const own = workOf("mine");
  let looks = 0;
  const outcome = await start()(TARGET, {
    ...own.work,
    look: () => Promise.resolve(looks++ === 0 ? null : "another's"),
  });
  assertEquals(outcome, { kind: "done", result: "another's" });
  assertEquals(own.calls, []);
  assertEquals((await leases.claim({ ...TARGET, owner: "b" }, { now: 0, until: 1 })).kind, "held", "it was given back");
});

Deno.test("a caller gives up after 5 s, longer than a lease lives, and is told so once it begins to wait", async () => {
  const { start, leases, clock, waits } = createSetting();
  await leases.claim({ ...TARGET, owner: "somebody" }, { now: clock(), until: clock() + 4 });
  let taken = 0;
  const own = { ...workOf("mine").work, onTaken: () => void taken++ };
  assertEquals(await start()(TARGET, own), { kind: "later", retryAfterSeconds: 1 });
  assertEquals(waits.length * 50, 5000);
  assert(taken > 0);
});

Deno.test("a process that died is replaced as soon as its lease has run out, and its successor knows", async () => {
  const { start, leases, clock, waits, onWait } = createSetting();
  await leases.claim({ ...TARGET, owner: "the dead" }, { now: clock(), until: clock() + 4 });
  onWait(() => waits.length % 20 === 0 && clock.advance(1));
  const own = workOf("mine");
  assertEquals(await start()(TARGET, own.work), { kind: "done", result: "mine" });
  assertEquals(waits.length * 50, 4000);
  assertEquals(own.calls, [true]);
});

Deno.test("after a failure that will pass nobody tries again for a while, and then knows what was unknown", async () => {
  const { start, clock, waits } = createSetting();
  const failing: RefreshWork<string> = {
    look: () => Promise.resolve(null),
    work: () => Promise.resolve({ result: "failed", pause: { seconds: 3, isUnknown: true } }),
  };
  assertEquals(await start()(TARGET, failing), { kind: "done", result: "failed" });
  const own = workOf("mine");
  assertEquals(await start()(TARGET, own.work), { kind: "later", retryAfterSeconds: 3 });
  clock.advance(2);
  assertEquals(await start()(TARGET, own.work), { kind: "later", retryAfterSeconds: 1 });
  clock.advance(1);
  assertEquals(await start()(TARGET, own.work), { kind: "done", result: "mine" });
  assertEquals([own.calls, waits], [[true], []]);
});

Deno.test("the lease lives as long as the work, and no longer", async () => {
  using time = new FakeTime();
  const { start, leases, clock } = createSetting();
  const working = Promise.withResolvers<{ result: string }>();
  const turn = start()(TARGET, { look: () => Promise.resolve(null), work: () => working.promise });
  for (let second = 0; second < 40; second++) {
    await time.tickAsync(1000);
    await time.runMicrotasks();
    clock.advance(1);
    const claim = await leases.claim({ ...TARGET, owner: "other" }, { now: clock(), until: clock() + 4 });
    assertEquals(claim.kind, "taken", `after ${second} s`);
  }
  working.resolve({ result: "done" });
  assertEquals(await turn, { kind: "done", result: "done" });
  await time.tickAsync(5000);
  assertEquals((await leases.claim({ ...TARGET, owner: "other" }, { now: clock(), until: clock() + 4 })).kind, "held");
});

Deno.test("a failure of the work is told, and the lease is given back", async () => {
  const { start } = createSetting();
  const failing = { look: () => Promise.resolve(null), work: () => Promise.reject(new RangeError("no")) };
  await assertRejects(() => start()(TARGET, failing), RangeError, "no");
  assertEquals(await start()(TARGET, workOf("next").work), { kind: "done", result: "next" });
});

Deno.test("a result is told although the lease could not be given back or renewed", async () => {
  using time = new FakeTime();
  const { start, leases } = createSetting();
  const away = () => Promise.reject(new StoreUnavailableError("write records"));
  const working = Promise.withResolvers<{ result: string }>();
  const work = { look: () => Promise.resolve(null), work: () => working.promise };
  const turn = start({ ...leases, release: away, renew: away })(TARGET, work);
  await time.tickAsync(3000);
  working.resolve({ result: "mine" });
  assertEquals(await turn, { kind: "done", result: "mine" });
});
