import { assert, assertEquals, assertFalse } from "@std/assert";
import { createStores, type Records } from "../../lib/store/mod.ts";
import { race, testOnEveryBackend } from "./backends.ts";

const target = { vendorId: "acme", sessionId: "s1", generation: 1 };
const one = { ...target, owner: "one" };
const two = { ...target, owner: "two" };

const HELD = { kind: "held", afterUnknown: false } as const;
const TAKEN = { kind: "taken" } as const;

testOnEveryBackend("a lease has one holder, whichever way is asked", async ({ records, clock }) => {
  const [mine, yours] = records.map((records) => createStores(records).leases);
  const times = { now: clock(), until: clock() + 4 };
  assertEquals(await mine!.claim(one, times), HELD);
  assertEquals(await yours!.claim(two, times), TAKEN);
  assertEquals(await mine!.claim(one, times), HELD, "who holds it may ask again");
  assertEquals(await yours!.claim({ ...two, sessionId: "s2" }, times), HELD);
  assertEquals(await yours!.claim({ ...two, vendorId: "globex" }, times), HELD);
  await mine!.release(one);
  assertEquals(await yours!.claim(two, times), HELD);
});

testOnEveryBackend("of 20 who claim a lease at once, exactly one holds it", async (backend) => {
  const times = { now: backend.clock(), until: backend.clock() + 4 };
  const claims = await race(backend, 20, (records, i) => {
    return createStores(records).leases.claim({ ...target, owner: `owner-${i}` }, times);
  });
  assertEquals(claims.filter(({ kind }) => kind === "held"), [HELD]);
  assertEquals(claims.filter(({ kind }) => kind === "taken").length, 19);
});

testOnEveryBackend("a lease that ran out tells the next holder of an unfinished call", async (backend) => {
  const { records: [records], clock } = backend;
  const { leases } = createStores(records);
  await leases.claim(one, { now: clock(), until: clock() + 4 });
  clock.advance(3);
  assertEquals(await leases.claim(two, { now: clock(), until: clock() + 4 }), TAKEN);
  clock.advance(1);
  assertEquals(await leases.claim(two, { now: clock(), until: clock() + 4 }), { kind: "held", afterUnknown: true });
  await leases.release(two);
  assertEquals(await leases.claim(one, { now: clock(), until: clock() + 4 }), HELD, "this one was given back");
});

testOnEveryBackend("an unfinished call with older tokens says nothing about newer ones", async (backend) => {
  const { records: [records], clock } = backend;
  const { leases } = createStores(records);
  await leases.claim(one, { now: clock(), until: clock() + 4 });
  clock.advance(4);
  assertEquals(await leases.claim({ ...two, generation: 2 }, { now: clock(), until: clock() + 4 }), HELD);
});

testOnEveryBackend("a lease is prolonged and given back by its holder alone", async (backend) => {
  const { records: [records], clock } = backend;
  const { leases } = createStores(records);
  assertFalse(await leases.renew(one, clock() + 4), "nobody holds it");
  await leases.claim(one, { now: clock(), until: clock() + 4 });
  assertFalse(await leases.renew(two, clock() + 40));
  await leases.release(two);
  assertEquals(await leases.claim(two, { now: clock(), until: clock() + 4 }), TAKEN);
  assert(await leases.renew(one, clock() + 8));
  clock.advance(7);
  assertEquals(await leases.claim(two, { now: clock(), until: clock() + 4 }), TAKEN);
});

testOnEveryBackend("a lease that cools off is nobody's until its time", async ({ records: [records], clock }) => {
  const { leases } = createStores(records);
  await leases.claim(one, { now: clock(), until: clock() + 4 });
  const until = clock() + 3;
  await leases.release(one, { coolUntil: until, isUnknown: false });
  assertFalse(await leases.renew(one, clock() + 40), "a late renewal changes nothing");
  for (const asking of [one, two]) {
    assertEquals(await leases.claim(asking, { now: clock(), until: clock() + 4 }), { kind: "cooling", until });
  }
  clock.advance(3);
  assertEquals(await leases.claim(two, { now: clock(), until: clock() + 4 }), HELD, "that call had an end");
});

testOnEveryBackend("an unfinished call is forgotten in the long run", async ({ records: [records], clock }) => {
  const { leases } = createStores(records);
  await leases.claim(one, { now: clock(), until: clock() + 4 });
  clock.advance(604);
  assertEquals(await leases.claim(two, { now: clock(), until: clock() + 4 }), HELD);
});

testOnEveryBackend("that a token may have been used up outlives the pauses, until it is settled", async (backend) => {
  const { records: [records], clock } = backend;
  const { leases } = createStores(records);
  const ask = async (owner: typeof one) => await leases.claim(owner, { now: clock(), until: clock() + 4 });
  await ask(one);
  await leases.release(one, { coolUntil: clock() + 1, isUnknown: true });
  clock.advance(1);
  assertEquals(await ask(two), { kind: "held", afterUnknown: true });
  await leases.release(two);
  assertEquals(await ask(one), HELD);
  await leases.release(one, { coolUntil: clock() + 1, isUnknown: true });
  clock.advance(1);
  assertEquals(await ask({ ...two, generation: 2 }), HELD, "the next generation has a token of its own");
});

testOnEveryBackend(
  "a lease is given back although a renewal comes in between",
  async ({ records: [records], clock }) => {
    let meanwhile: (() => Promise<unknown>) | null = null;
    const spoilt: Records = {
      ...records,
      async commit(change) {
        const action = meanwhile;
        meanwhile = null;
        await action?.();
        return await records.commit(change);
      },
    };
    const [leases, other] = [createStores(spoilt).leases, createStores(records).leases];
    for (const pause of [undefined, { coolUntil: clock() + 2, isUnknown: false }]) {
      assertEquals(await leases.claim(one, { now: clock(), until: clock() + 4 }), HELD);
      meanwhile = () => other.renew(one, clock() + 40);
      await leases.release(one, pause);
      clock.advance(2);
      assertEquals(await leases.claim(two, { now: clock(), until: clock() + 4 }), HELD);
      await leases.release(two);
    }
  },
);
