import { assert, assertEquals, assertFalse, assertNotEquals, assertRejects } from "@std/assert";
import { compactDecrypt } from "@panva/jose";
import { encodeBase64Url } from "../../lib/encoding.ts";
import { seal } from "../../lib/seal/mod.ts";
import { createMemoryRecords, createStores, type Records, StoreUnavailableError } from "../../lib/store/mod.ts";
import { createServiceKeys } from "../../lib/token_handler/service_keys.ts";
import { createVendorKeys, vendorIdOf, type VendorKeys } from "../../lib/token_handler/vendor_keys.ts";
import { importSealKey } from "../../lib/seal/mod.ts";
import { createTestClock, type TestClock } from "../support/clock.ts";

const DAYS_30 = 30 * 86_400;
const MASTER = new Uint8Array(32).fill(1);
const OTHER_MASTER = new Uint8Array(32).fill(2);
const VALUE = { access_token: "a token", sid: "s1" };

interface Setting {
  readonly clock: TestClock;
  readonly records: Records;
  /** Another process on the same store. */
  readonly start: (masterKeys?: readonly Uint8Array<ArrayBuffer>[], records?: Records) => Promise<VendorKeys>;
}

function createSetting(): Setting {
  const clock = createTestClock();
  const shared = createMemoryRecords(clock);
  return {
    clock,
    records: shared,
    async start(masterKeys = [MASTER], records = shared) {
      const serviceKeys = await createServiceKeys(masterKeys);
      return createVendorKeys({ store: createStores(records).vendorKeys, serviceKeys, now: clock });
    },
  };
}

/** The records of a vendor's keys, as they lie in the store. */
async function dump({ records }: Setting, vendorId = "acme") {
  return (await records.list<{ keyId: string; wrapped: string; state: string }>(["vendor_key", vendorId]))
    .map(({ value }) => value);
}

Deno.test("a vendor's value is opened for this vendor and purpose, and for no other", async () => {
  const keys = await createSetting().start();
  const sealed = await keys.seal("acme", "at", VALUE);
  await keys.seal("globex", "at", VALUE);
  assertEquals(await keys.open("acme", "at", sealed), VALUE);
  assertEquals(await keys.open("globex", "at", sealed), null);
  assertEquals(await keys.open("acme", "rt", sealed), null);
  assertEquals(await keys.open("nobody", "at", sealed), null);
  for (const text of ["", "x", "....", `${sealed}x`, sealed.slice(0, -1), ` ${sealed}`]) {
    assertEquals(await keys.open("acme", "at", text), null, text);
  }
});

Deno.test("a value that is no JSON object is not opened", async () => {
  const keys = await createSetting().start();
  const { kid, bytes } = await keys.exportActive("acme");
  const key = await importSealKey(kid, bytes);
  for (const text of ["", "[]", '"text"', "null", '{"a":1,"a":2}']) {
    assertEquals(await keys.open("acme", "at", await seal(text, { key, purpose: "at" })), null, text);
  }
  assertEquals(await keys.open("acme", "at", await seal('{"a":1}', { key, purpose: "at" })), { a: 1 });
});

Deno.test("vendorIdOf() reads the vendor, and nothing from what we cannot have written", async () => {
  const keys = await createSetting().start();
  assertEquals(vendorIdOf(await keys.seal("acme-2_x", "at", VALUE)), "acme-2_x");
  for (const text of ["", ".", "acme.k1", "e30.", `${encodeBase64Url(new Uint8Array(300))}.`]) {
    assertEquals(vendorIdOf(text), null, text);
  }
});

Deno.test("the first use makes a vendor's key, once, however many ask", async () => {
  const setting = createSetting();
  const processes = [await setting.start(), await setting.start(), await setting.start()];
  const sealed = await Promise.all(
    Array.from({ length: 60 }, (_, i) => processes[i % 3]!.seal("acme", "at", { ...VALUE, i })),
  );
  assertEquals((await dump(setting)).length, 1);
  for (const [i, text] of sealed.entries()) {
    assertEquals(await processes[(i + 1) % 3]!.open("acme", "at", text), { ...VALUE, i });
  }
});

Deno.test("a key seals for 30 days, then the next one takes over; both open", async () => {
  const setting = createSetting();
  const { clock } = setting;
  const keys = await setting.start();
  const first = await keys.activeKeyId("acme");
  const old = await keys.seal("acme", "at", VALUE);
  clock.advance(DAYS_30 - 1);
  assertEquals(await keys.activeKeyId("acme"), first);
  clock.advance(1);
  const sealed = await Promise.all(Array.from({ length: 20 }, () => keys.seal("acme", "at", VALUE)));
  const second = await keys.activeKeyId("acme");
  assertNotEquals(second, first);
  assertEquals((await keys.list("acme")).map(({ keyId, state }) => [keyId, state]), [
    [first, "open_only"],
    [second, "active"],
  ]);
  for (const text of [old, ...sealed]) assertEquals(await keys.open("acme", "at", text), VALUE);
  assertEquals(await keys.stateOf("acme", old), "open_only");
  assertEquals(await keys.stateOf("acme", sealed[0]!), "active");
});

Deno.test("what one process seals with a new key, another opens at once", async () => {
  const setting = createSetting();
  const [one, two] = [await setting.start(), await setting.start()];
  const before = await one.seal("acme", "at", VALUE);
  assertEquals(await two.open("acme", "at", before), VALUE);
  await one.rotate("acme");
  const after = await one.seal("acme", "at", VALUE);
  // Nobody may be signed out because the other process has not looked yet.
  assertEquals(await Promise.all([1, 2, 3].map(() => two.open("acme", "at", after))), [VALUE, VALUE, VALUE]);
  assertEquals(await two.stateOf("acme", before), "open_only");
});

Deno.test("another process's new keys are found although somebody makes up key ids all the time", async () => {
  const setting = createSetting();
  let looks = 0;
  const counting: Records = {
    ...setting.records,
    list(prefix, options) {
      looks++;
      return setting.records.list(prefix, options);
    },
  };
  const [keys, other] = [await setting.start([MASTER], counting), await setting.start()];
  const sealed = await keys.seal("acme", "at", VALUE);
  const header = (keyId: string) =>
    new TextEncoder().encode(`{"alg":"dir","enc":"A256GCM","kid":"acme.${keyId}","typ":"at"}`);
  const rest = sealed.slice(sealed.indexOf("."));
  for (let round = 0; round < 5; round++) {
    looks = 0;
    const flood = Array.from({ length: 100 }, (_, i) => encodeBase64Url(header(`made-up-${i}`)) + rest);
    const opened = await Promise.all(flood.map((text) => keys.open("acme", "at", text)));
    assertEquals(opened.filter((value) => value !== null), []);
    assertEquals(looks, 1, "one look serves everybody who has asked");
    await other.rotate("acme");
    assertEquals(await keys.open("acme", "at", await other.seal("acme", "at", VALUE)), VALUE);
  }
  assertEquals(await keys.open("acme", "at", sealed), VALUE);
});

Deno.test("another process learns of a retired key within two seconds", async () => {
  const setting = createSetting();
  const [one, two] = [await setting.start(), await setting.start()];
  const sealed = await one.seal("acme", "at", VALUE);
  assertEquals(await two.open("acme", "at", sealed), VALUE);
  assert(await one.retire("acme", await one.activeKeyId("acme")));
  assertEquals(await one.open("acme", "at", sealed), null);
  assertEquals(await one.stateOf("acme", sealed), "retired");
  setting.clock.advance(2);
  assertEquals(await two.open("acme", "at", sealed), null);
  assertEquals(await two.stateOf("acme", sealed), "retired");
});

Deno.test("retire() takes the key out of the store for good; the next seal makes a new one", async () => {
  const setting = createSetting();
  const keys = await setting.start();
  const keyId = await keys.activeKeyId("acme");
  await keys.retire("acme", keyId);
  assertEquals((await dump(setting)).map(({ state, wrapped }) => [state, wrapped]), [["retired", ""]]);
  const sealed = await keys.seal("acme", "at", VALUE);
  assertEquals(await keys.open("acme", "at", sealed), VALUE);
  assertNotEquals(await keys.activeKeyId("acme"), keyId);
  assertFalse(await keys.retire("acme", "unknown"));
  assertFalse(await keys.retire("globex", await keys.activeKeyId("acme")));
});

Deno.test("rotate() answers a key that exists, also when several rotate at once", async () => {
  const setting = createSetting();
  const processes = [await setting.start(), await setting.start()];
  const made = await Promise.all(Array.from({ length: 10 }, (_, i) => processes[i % 2]!.rotate("acme")));
  const stored = await processes[0]!.list("acme");
  for (const keyId of made) assert(stored.some((key) => key.keyId === keyId), keyId);
  assertEquals(stored.filter(({ state }) => state === "active").length, 1);
  assertEquals(new Set(made).size, 10);
});

Deno.test("list() tells about keys, and never their content", async () => {
  const setting = createSetting();
  const keys = await setting.start();
  assertEquals(await keys.list("acme"), []);
  const keyId = await keys.rotate("acme");
  assertEquals(await keys.list("acme"), [
    { vendorId: "acme", keyId, state: "active", createdAt: setting.clock(), lastUsedAt: null },
  ]);
});

Deno.test("the last use of a key is noted, once an hour", async () => {
  const setting = createSetting();
  const { clock } = setting;
  const keys = await setting.start();
  const lastUse = async () => (await keys.list("acme"))[0]!.lastUsedAt;
  const sealed = await keys.seal("acme", "at", VALUE);
  await keys.open("acme", "at", `${sealed.slice(0, -1)}${sealed.endsWith("A") ? "Q" : "A"}`);
  assertEquals(await lastUse(), null, "a spoilt value is no use");
  const begin = clock();
  await keys.open("acme", "at", sealed);
  assertEquals(await lastUse(), begin);
  clock.advance(3599);
  await keys.open("acme", "at", sealed);
  assertEquals(await lastUse(), begin);
  clock.advance(1);
  await keys.open("acme", "at", sealed);
  assertEquals(await lastUse(), begin + 3600);
});

Deno.test("the store holds keys wrapped: no form of their bytes lies in it", async () => {
  const setting = createSetting();
  const keys = await setting.start();
  const { bytes, kid } = await keys.exportActive("acme");
  const { plaintext } = await compactDecrypt(await keys.seal("acme", "at", VALUE), bytes);
  assertEquals(JSON.parse(new TextDecoder().decode(plaintext)), VALUE, "these are the bytes");

  const stored = JSON.stringify(await setting.records.list(["vendor_key", "acme"]));
  assert(stored.includes(kid.split(".")[1]!), "this is the record");
  const forms = [encodeBase64Url(bytes), bytes.toBase64(), bytes.toHex(), [...bytes].join(","), String(bytes)];
  for (const form of forms) {
    for (const piece of [form, form.slice(0, 16), form.slice(-16)]) assertFalse(stored.includes(piece));
  }
});

Deno.test("exportActive() gives the key under the id that sealed values name", async () => {
  const keys = await createSetting().start();
  const { kid } = await keys.exportActive("acme");
  const { protectedHeader } = await compactDecrypt(
    await keys.seal("acme", "at", VALUE),
    (await keys.exportActive("acme")).bytes,
  );
  assertEquals(protectedHeader.kid, kid);
  assertEquals(kid, `acme.${await keys.activeKeyId("acme")}`);
});

Deno.test("keys wrapped with an unknown service key stop everything and say so", async () => {
  const setting = createSetting();
  const sealed = await (await setting.start([MASTER])).seal("acme", "at", VALUE);
  const { keyId } = (await dump(setting))[0]!;
  const strange = await setting.start([OTHER_MASTER]);
  for (const call of [() => strange.open("acme", "at", sealed), () => strange.seal("acme", "at", VALUE)]) {
    const error = await assertRejects(call, Error);
    assertEquals(
      error.message,
      `Cannot unwrap key "${keyId}" of vendor "acme": it was wrapped with another service key`,
    );
  }
});

Deno.test("a wrapped key is worth nothing under another vendor's or another key's name", async () => {
  const setting = createSetting();
  const keys = await setting.start();
  await keys.seal("acme", "at", VALUE);
  const [record] = await dump(setting);
  const moves = [["globex", record!.keyId], ["acme", "other"]] as const;
  for (const [vendorId, keyId] of moves) {
    const moved = { ...record, vendorId, keyId };
    await setting.records.commit({ sets: [{ key: ["vendor_key", vendorId, keyId], value: moved }] });
    await assertRejects(async () => (await setting.start()).seal(vendorId, "at", VALUE), Error, "Cannot unwrap key");
  }
});

Deno.test("a new service key in front takes every key over when it is next used", async () => {
  const setting = createSetting();
  const before = await setting.start([MASTER]);
  const sealed = await before.seal("acme", "at", VALUE);
  const { wrapped } = (await dump(setting))[0]!;

  const during = await setting.start([OTHER_MASTER, MASTER]);
  assertEquals(await during.open("acme", "at", sealed), VALUE);
  const [rewrapped] = await dump(setting);
  assertNotEquals(rewrapped!.wrapped, wrapped);

  const afterwards = await setting.start([OTHER_MASTER]);
  assertEquals(await afterwards.open("acme", "at", sealed), VALUE);
  assertEquals((await dump(setting))[0], rewrapped, "once is enough");
});

Deno.test("a store that is away is told as such to everybody who waits", async () => {
  const setting = createSetting();
  const sealed = await (await setting.start()).seal("acme", "at", VALUE);
  let isAway = true;
  const unreliable: Records = {
    ...setting.records,
    async list(prefix, options) {
      await Promise.resolve();
      if (isAway) throw new StoreUnavailableError("list records");
      return await setting.records.list(prefix, options);
    },
  };
  const keys = await setting.start([MASTER], unreliable);
  const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => keys.open("acme", "at", sealed)));
  for (const outcome of outcomes) {
    assert(outcome.status === "rejected" && outcome.reason instanceof StoreUnavailableError);
  }
  isAway = false;
  assertEquals(await keys.open("acme", "at", sealed), VALUE);
});

Deno.test("removeAll() makes everything worthless that was sealed for a vendor", async () => {
  const setting = createSetting();
  const keys = await setting.start();
  const sealed = await keys.seal("acme", "at", VALUE);
  const other = await keys.seal("globex", "at", VALUE);
  await keys.removeAll("acme");
  assertEquals(await keys.open("acme", "at", sealed), null);
  assertEquals(await keys.stateOf("acme", sealed), null);
  assertEquals(await keys.open("globex", "at", other), VALUE);
  await keys.seal("acme", "at", VALUE);
  assertEquals(await keys.open("acme", "at", sealed), null);
});

Deno.test("createServiceKeys() wants master keys of 32 bytes", async () => {
  await assertRejects(() => createServiceKeys([]), RangeError, "expected at least one master key");
  await assertRejects(() => createServiceKeys([MASTER, new Uint8Array(31)]), RangeError, "expected 32 bytes, got 31");
});

Deno.test("service keys open what any of them sealed, under its purpose", async () => {
  const former = await createServiceKeys([MASTER]);
  const both = await createServiceKeys([OTHER_MASTER, MASTER]);
  const sealed = await former.seal("client_secret", VALUE);
  assert(former.isCurrent(sealed));
  assertFalse(both.isCurrent(sealed));
  assertFalse(both.isCurrent("anything"));
  assertEquals(await both.open("client_secret", sealed), VALUE);
  assertEquals(await both.open("vendor_key", sealed), null);
  assertEquals(await former.open("client_secret", await both.seal("client_secret", VALUE)), null);
  assertFalse(sealed.includes(encodeBase64Url(MASTER.subarray(0, 6))), "the id tells nothing of the key");
});

Deno.test("a vendor called service cannot open what the service key sealed", async () => {
  const setting = createSetting();
  const keys = await setting.start();
  const wrapped = await (await createServiceKeys([MASTER])).seal("at", VALUE);
  await keys.seal("service", "at", VALUE);
  assertEquals(await keys.open("service", "at", wrapped), null);
});
