import { assertEquals } from "@std/assert";
import { createMemoryRecords } from "../../lib/store/memory/mod.ts";
import { type AttemptSubject, createAttemptLimiter, decideWait, networkOf } from "../../lib/token_service/attempts.ts";

const ACCOUNT: AttemptSubject = { kind: "account", id: "ada", free: 3 };
const ADDRESS: AttemptSubject = { kind: "address", id: "192.0.2.1", free: 5 };

function createLimiter() {
  let time = 1000;
  const now = () => time;
  return { limiter: createAttemptLimiter({ records: createMemoryRecords(now), now }), pass: (s: number) => time += s };
}

Deno.test("take() lets the free attempts through, then demands a wait that doubles", async () => {
  const { limiter, pass } = createLimiter();
  assertEquals([await limiter.take([ACCOUNT]), await limiter.take([ACCOUNT]), await limiter.take([ACCOUNT])], [
    0,
    0,
    0,
  ]);
  assertEquals([await limiter.take([ACCOUNT]), await limiter.findWait([ACCOUNT])], [30, 30]);
  pass(30);
  assertEquals([await limiter.take([ACCOUNT]), await limiter.take([ACCOUNT])], [0, 60]);
  pass(59);
  assertEquals(await limiter.take([ACCOUNT]), 1);
});

Deno.test("take() counts per subject: another account and another kind are not concerned", async () => {
  const { limiter } = createLimiter();
  for (let i = 0; i < 3; i++) await limiter.take([ACCOUNT]);
  assertEquals(await limiter.take([{ ...ACCOUNT, id: "bo" }]), 0);
  assertEquals(await limiter.take([{ ...ACCOUNT, kind: "client" }]), 0);
  assertEquals(await limiter.take([ACCOUNT, ADDRESS]), 30);
  assertEquals(await limiter.findWait([ADDRESS]), 0);
});

Deno.test("take() lets no more than the free attempts through when a hundred come at once", async () => {
  const { limiter } = createLimiter();
  const waits = await Promise.all(Array.from({ length: 100 }, () => limiter.take([ACCOUNT, ADDRESS])));
  assertEquals(waits.filter((wait) => wait === 0).length, 3);
});

Deno.test("forgive() clears the account and gives the address its one attempt back", async () => {
  const { limiter } = createLimiter();
  for (let i = 0; i < 2; i++) await limiter.take([ACCOUNT, ADDRESS]);
  await limiter.forgive([ACCOUNT, ADDRESS], "account");
  for (let i = 0; i < 2; i++) assertEquals(await limiter.take([ACCOUNT, ADDRESS]), 0);
  await limiter.forgive([ACCOUNT, ADDRESS], "account");
  // The address has 2 of its 5 free attempts left over from 4 takes and 2 pardons.
  for (let i = 0; i < 3; i++) assertEquals(await limiter.take([{ ...ACCOUNT, id: `${i}` }, ADDRESS]), 0, `${i}`);
  assertEquals(await limiter.take([{ ...ACCOUNT, id: "last" }, ADDRESS]), 30);
});

Deno.test("attempts are forgotten an hour after the last one", async () => {
  const { limiter, pass } = createLimiter();
  for (let i = 0; i < 3; i++) await limiter.take([ACCOUNT]);
  pass(3600);
  for (let i = 0; i < 3; i++) assertEquals(await limiter.take([ACCOUNT]), 0);
});

Deno.test("decideWait() never passes a quarter of an hour", () => {
  assertEquals([0, 1, 4, 5, 6, 1000].map(decideWait), [30, 60, 480, 900, 900, 900]);
});

Deno.test("networkOf() takes an IPv6 household for one address, and IPv4 in both spellings for the same", () => {
  const rows: readonly (readonly [string, string])[] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8:0001:2::1", "2001:db8:1:2"],
    ["2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2"],
    ["2001:db8::1", "2001:db8:0:0"],
    ["::1", "0:0:0:0"],
  ];
  for (const [address, network] of rows) assertEquals(networkOf(address), network, address);
});
