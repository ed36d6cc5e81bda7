import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import {
  createStores,
  type Records,
  type SessionRecord,
  StoreUnavailableError,
  type VendorKeyRecord,
  type VendorRecord,
} from "../../lib/store/mod.ts";
import { readVendorSettings } from "../../lib/vendor/mod.ts";
import { race, testOnEveryBackend } from "./backends.ts";

function vendorOf(id: string, hosts: readonly string[] = []): VendorRecord {
  const outcome = readVendorSettings({ clientId: `client-of-${id}`, hosts });
  if (outcome.kind === "refused") throw new Error(JSON.stringify(outcome.faults));
  return { id, settings: outcome.settings, sealedClientSecret: null, createdAt: 1, updatedAt: 1 };
}

function keyOf(keyId: string, createdAt = 1, vendorId = "acme"): VendorKeyRecord {
  return { vendorId, keyId, wrapped: `wrapped ${keyId}`, state: "active", createdAt, lastUsedAt: null };
}

function sessionOf(id: string, expiresAt: number, members: Partial<SessionRecord> = {}): SessionRecord {
  return {
    vendorId: "acme",
    id,
    subject: "ada",
    issuerSessionId: null,
    createdAt: 1,
    lastSeenAt: 1,
    expiresAt,
    generation: 1,
    refreshedAt: 1,
    sealed: "sealed",
    device: null,
    ended: null,
    ...members,
  };
}

testOnEveryBackend("consume() is true once, for whoever comes first by either way", async ({ records, clock }) => {
  const [one, two] = records.map((records) => createStores(records).once);
  const until = clock() + 600;
  assert(await one!.consume("state", "digest", until));
  assertFalse(await one!.consume("state", "digest", until));
  assertFalse(await two!.consume("state", "digest", until));
});

testOnEveryBackend("consume() keeps purposes and values apart", async ({ records: [records], clock }) => {
  const { once } = createStores(records);
  const pairs = [["state", "a"], ["state", "b"], ["logout_token", "a"], ["state", ""], ["", "state"], ["state a", "b"]];
  for (const [purpose, value] of pairs) assert(await once.consume(purpose!, value!, clock() + 600), `${purpose}`);
});

testOnEveryBackend("consume() remembers as long as the value itself lives", async ({ records: [records], clock }) => {
  const { once } = createStores(records);
  await once.consume("state", "digest", clock() + 600);
  clock.advance(599);
  assertFalse(await once.consume("state", "digest", clock() + 600));
  clock.advance(1);
  assert(await once.consume("state", "digest", clock() + 600));
});

testOnEveryBackend("of 50 who consume a value at once, exactly one may use it", async (backend) => {
  const until = backend.clock() + 600;
  const outcomes = await race(backend, 50, (records) => createStores(records).once.consume("state", "digest", until));
  assertEquals(outcomes.filter((won) => won).length, 1);
});

testOnEveryBackend("a vendor is found by its id and by each of its hosts", async ({ records: [records] }) => {
  const { vendors } = createStores(records);
  const acme = vendorOf("acme", ["www.acme.test", "api.acme.test:8443"]);
  assertEquals(await vendors.find("acme"), null);
  assertEquals(await vendors.save(acme, null), { kind: "saved" });
  assertEquals((await vendors.find("acme"))?.value, acme);
  assertEquals(await vendors.findIdByHost("www.acme.test"), "acme");
  assertEquals(await vendors.findIdByHost("api.acme.test:8443"), "acme");
  for (const host of ["api.acme.test", "acme.test", "WWW.acme.test", ""]) {
    assertEquals(await vendors.findIdByHost(host), null, host);
  }
});

testOnEveryBackend("saving a vendor needs the version that was read", async ({ records: [records] }) => {
  const { vendors } = createStores(records);
  await vendors.save(vendorOf("acme"), null);
  const { version } = (await vendors.find("acme"))!;
  assertEquals(await vendors.save(vendorOf("acme"), null), { kind: "conflict" });
  assertEquals(await vendors.save(vendorOf("acme", ["a.test"]), version), { kind: "saved" });
  assertEquals(await vendors.save(vendorOf("acme", ["b.test"]), version), { kind: "conflict" });
  assertEquals(await vendors.findIdByHost("a.test"), "acme");
  assertEquals(await vendors.findIdByHost("b.test"), null);
});

testOnEveryBackend("a host belongs to one vendor until that one lets it go", async ({ records: [records] }) => {
  const { vendors } = createStores(records);
  await vendors.save(vendorOf("acme", ["a.test", "b.test"]), null);
  const taken = await vendors.save(vendorOf("globex", ["c.test", "b.test"]), null);
  assertEquals(taken, { kind: "host_taken", host: "b.test" });
  assertEquals(await vendors.save(vendorOf("globex", ["a.test"]), null), { kind: "host_taken", host: "a.test" });
  assertEquals(await vendors.find("globex"), null);
  assertEquals(await vendors.findIdByHost("c.test"), null);

  await vendors.save(vendorOf("acme", ["a.test"]), (await vendors.find("acme"))!.version);
  assertEquals(await vendors.findIdByHost("b.test"), null);
  assertEquals(await vendors.save(vendorOf("globex", ["c.test", "b.test"]), null), { kind: "saved" });
  assertEquals(await vendors.findIdByHost("b.test"), "globex");

  await vendors.remove("globex");
  assertEquals(await vendors.find("globex"), null);
  assertEquals(await vendors.findIdByHost("b.test"), null);
  assertEquals(await vendors.findIdByHost("a.test"), "acme");
  await vendors.remove("globex");
});

testOnEveryBackend("a host may be named twice by its vendor", async ({ records: [records] }) => {
  const { vendors } = createStores(records);
  assertEquals(await vendors.save(vendorOf("acme", ["a.test", "a.test"]), null), { kind: "saved" });
  assertEquals(await vendors.findIdByHost("a.test"), "acme");
});

testOnEveryBackend("of 20 vendors who claim one host at once, exactly one gets it", async (backend) => {
  const outcomes = await race(
    backend,
    20,
    (records, i) => createStores(records).vendors.save(vendorOf(`v${i}`, [`own${i}.test`, "shared.test"]), null),
  );
  const winners = outcomes.flatMap(({ kind }, i) => kind === "saved" ? [i] : []);
  assertEquals(winners.length, 1);
  const { vendors } = createStores(backend.records[1]);
  assertEquals(await vendors.listIds(), [`v${winners[0]}`]);
  assertEquals(await vendors.findIdByHost("shared.test"), `v${winners[0]}`);
});

testOnEveryBackend("of 20 who create one vendor at once, exactly one does", async (backend) => {
  const outcomes = await race(backend, 20, (records) => createStores(records).vendors.save(vendorOf("acme"), null));
  assertEquals(outcomes.map(({ kind }) => kind).toSorted(), [...Array(19).fill("conflict"), "saved"]);
});

testOnEveryBackend("removing a vendor leaves no host behind that was added meanwhile", async ({ records }) => {
  const [mine, other] = records;
  await createStores(other).vendors.save(vendorOf("acme", ["a.test"]), null);
  // Somebody saves between the look and the removal.
  let isDone = false;
  const slow: Records = {
    ...mine,
    async commit(change) {
      if (!isDone) {
        isDone = true;
        const { vendors } = createStores(other);
        const { version } = (await vendors.find("acme"))!;
        assertEquals(await vendors.save(vendorOf("acme", ["a.test", "late.test"]), version), { kind: "saved" });
      }
      return await mine.commit(change);
    },
  };
  const { vendors } = createStores(slow);
  await vendors.remove("acme");
  assertEquals(await vendors.find("acme"), null);
  assertEquals(await vendors.findIdByHost("late.test"), null);
  assertEquals(await vendors.save(vendorOf("globex", ["late.test"]), null), { kind: "saved" });
});

testOnEveryBackend("vendors are listed in order, a page at a time", async ({ records: [records] }) => {
  const { vendors } = createStores(records);
  for (const id of ["c", "a", "b-1", "b", "d"]) await vendors.save(vendorOf(id, [`${id}.test`]), null);
  assertEquals(await vendors.listIds(), ["a", "b", "b-1", "c", "d"]);
  assertEquals(await vendors.listIds({ limit: 2 }), ["a", "b"]);
  assertEquals(await vendors.listIds({ limit: 2, after: "b" }), ["b-1", "c"]);
});

testOnEveryBackend("activating a key makes the former one open only", async ({ records: [records] }) => {
  const { vendorKeys } = createStores(records);
  const states = async (vendorId: string) =>
    (await vendorKeys.list(vendorId)).map(({ keyId, state }) => `${keyId} ${state}`);
  assertEquals(await vendorKeys.list("acme"), []);
  assert(await vendorKeys.activate(keyOf("z", 1), null));
  assert(await vendorKeys.activate(keyOf("a", 2), "z"));
  assert(await vendorKeys.activate(keyOf("m", 3), "a"));
  assert(await vendorKeys.activate(keyOf("x", 3, "globex"), null));
  assertEquals(await states("acme"), ["z open_only", "a open_only", "m active"]);
  assertEquals(await states("globex"), ["x active"]);
  assertFalse(await vendorKeys.activate(keyOf("a", 4), "m"), "the id is taken");
  assertFalse(await vendorKeys.activate(keyOf("n", 4), "a"), "another key is active");
  assertFalse(await vendorKeys.activate(keyOf("n", 4), null), "there is an active key");
  assertEquals(await states("acme"), ["z open_only", "a open_only", "m active"]);
});

testOnEveryBackend("of 20 who make a vendor's first key at once, exactly one does", async (backend) => {
  const outcomes = await race(
    backend,
    20,
    (records, i) => createStores(records).vendorKeys.activate(keyOf(`k${i}`), null),
  );
  assertEquals(outcomes.filter((won) => won).length, 1);
  const keys = await createStores(backend.records[0]).vendorKeys.list("acme");
  assertEquals(keys.map(({ keyId }) => keyId), [`k${outcomes.indexOf(true)}`]);
});

testOnEveryBackend("of 20 who replace a key at once, exactly one does", async (backend) => {
  const { vendorKeys } = createStores(backend.records[0]);
  await vendorKeys.activate(keyOf("first"), null);
  const outcomes = await race(
    backend,
    20,
    (records, i) => createStores(records).vendorKeys.activate(keyOf(`k${i}`, 2), "first"),
  );
  assertEquals(outcomes.filter((won) => won).length, 1);
  const keys = await vendorKeys.list("acme");
  assertEquals(keys.map(({ keyId, state }) => `${keyId} ${state}`), [
    "first open_only",
    `k${outcomes.indexOf(true)} active`,
  ]);
});

testOnEveryBackend("a retired key stays retired when the next one is made", async ({ records: [records] }) => {
  const { vendorKeys } = createStores(records);
  await vendorKeys.activate(keyOf("one", 1), null);
  const retired = await vendorKeys.change("acme", "one", (key) => ({ ...key, state: "retired", wrapped: "" }));
  assertEquals(retired?.state, "retired");
  assert(await vendorKeys.activate(keyOf("two", 2), null));
  assertEquals((await vendorKeys.list("acme")).map(({ state }) => state), ["retired", "active"]);
});

testOnEveryBackend("change() applies every change, and leaves alone what it is told to", async (backend) => {
  const { vendorKeys } = createStores(backend.records[0]);
  await vendorKeys.activate(keyOf("one"), null);
  await race(
    backend,
    20,
    (records) =>
      createStores(records).vendorKeys.change("acme", "one", (key) => ({ ...key, createdAt: key.createdAt + 1 })),
  );
  assertEquals((await vendorKeys.list("acme"))[0]!.createdAt, 21);
  assertEquals(await vendorKeys.change("acme", "one", () => null), (await vendorKeys.list("acme"))[0]!);
  assertEquals(await vendorKeys.change("acme", "other", (key) => key), null);
  assertEquals(await vendorKeys.change("globex", "one", (key) => key), null);
});

testOnEveryBackend("removing a vendor's keys leaves the others' alone, and a new one can be made", async (backend) => {
  const { vendorKeys } = createStores(backend.records[0]);
  await vendorKeys.activate(keyOf("one", 1), null);
  await vendorKeys.activate(keyOf("two", 2), "one");
  await vendorKeys.activate(keyOf("one", 1, "globex"), null);
  await vendorKeys.removeAll("acme");
  await vendorKeys.removeAll("acme");
  assertEquals(await vendorKeys.list("acme"), []);
  assertEquals((await vendorKeys.list("globex")).length, 1);
  assert(await vendorKeys.activate(keyOf("three", 3), null));
  assertEquals((await vendorKeys.list("acme")).map(({ keyId }) => keyId), ["three"]);
});

testOnEveryBackend("a session is found by vendor and id until it expires", async ({ records: [records], clock }) => {
  const { sessions } = createStores(records);
  const session = sessionOf("s1", clock() + 100);
  await sessions.create(session);
  const { parts: _, ...value } = (await sessions.find("acme", "s1"))!.value;
  assertEquals(value, session);
  assertEquals(await sessions.find("globex", "s1"), null);
  assertEquals(await sessions.find("acme", "s2"), null);
  clock.advance(100);
  assertEquals(await sessions.find("acme", "s1"), null);
  assertEquals(await sessions.listIds("acme", "ada"), []);
});

testOnEveryBackend("a session id is never taken over", async ({ records: [records], clock }) => {
  const { sessions } = createStores(records);
  await sessions.create(sessionOf("s1", clock() + 100));
  const again = () => sessions.create(sessionOf("s1", clock() + 100, { subject: "eve" }));
  const error = await assertRejects(again, RangeError);
  assertEquals(error.message, "Cannot create a session: its id is taken");
  await sessions.end("acme", "s1", { at: clock(), reason: "user" });
  await assertRejects(again, RangeError);
  assertEquals((await sessions.find("acme", "s1"))?.value.subject, "ada");
  assertEquals(await sessions.listIds("acme", "eve"), []);
});

testOnEveryBackend("a session is saved only over the version that was read", async ({ records: [records], clock }) => {
  const { sessions } = createStores(records);
  await sessions.create(sessionOf("s1", clock() + 100));
  const { value, version } = (await sessions.find("acme", "s1"))!;
  assert(await sessions.save({ ...value, generation: 2 }, version));
  assertFalse(await sessions.save({ ...value, generation: 3 }, version));
  assertEquals((await sessions.find("acme", "s1"))?.value.generation, 2);
});

testOnEveryBackend("an ended session is its own tombstone: the first reason stays", async (backend) => {
  const { records: [records], clock } = backend;
  const { sessions } = createStores(records);
  await sessions.create(sessionOf("s1", clock() + 100));
  const { value, version } = (await sessions.find("acme", "s1"))!;
  assert(await sessions.end("acme", "s1", { at: 7, reason: "user" }));
  assertFalse(await sessions.end("acme", "s1", { at: 8, reason: "operator" }));
  assertFalse(await sessions.save({ ...value, generation: 2 }, version), "a late answer revives nothing");
  const ended = (await sessions.find("acme", "s1"))!.value;
  assertEquals(ended.ended, { at: 7, reason: "user" });
  assertEquals(ended.sealed, "", "nothing is kept of what was inside");
  assertFalse(await sessions.end("acme", "s2", { at: 7, reason: "user" }));
  assertEquals(await sessions.find("acme", "s2"), null);
});

testOnEveryBackend("ending wins over 20 who save at once", async (backend) => {
  const { records: [records], clock } = backend;
  const { sessions } = createStores(records);
  await sessions.create(sessionOf("s1", clock() + 100));
  await race(backend, 20, async (records, i) => {
    const { sessions } = createStores(records);
    if (i === 7) return await sessions.end("acme", "s1", { at: 7, reason: "user" });
    const stored = (await sessions.find("acme", "s1"))!;
    if (stored.value.ended !== null) return false;
    return await sessions.save({ ...stored.value, generation: i + 2 }, stored.version);
  });
  assertEquals((await sessions.find("acme", "s1"))?.value.ended?.reason, "user");
});

testOnEveryBackend("sessions are listed by user and by session of the token service", async (backend) => {
  const { records: [records], clock } = backend;
  const { sessions } = createStores(records);
  const until = clock() + 100;
  await sessions.create(sessionOf("s1", until));
  await sessions.create(sessionOf("s2", until, { issuerSessionId: "sid-1" }));
  await sessions.create(sessionOf("s3", until, { subject: "bo", issuerSessionId: "sid-1" }));
  await sessions.create(sessionOf("s4", until, { vendorId: "globex", issuerSessionId: "sid-1" }));
  await sessions.end("acme", "s1", { at: 7, reason: "user" });
  assertEquals(await sessions.listIds("acme", "ada"), ["s2"], "an ended session is its own tombstone, and in no list");
  assertEquals(await sessions.listIds("acme", "bo"), ["s3"]);
  assertEquals(await sessions.listIds("acme", ""), []);
  assertEquals(await sessions.listIdsByIssuerSession("acme", "sid-1"), ["s2", "s3"]);
  assertEquals(await sessions.listIdsByIssuerSession("acme", "sid-2"), []);
});

testOnEveryBackend("a user's sessions are listed to the last, however many there are", async (backend) => {
  const { records: [records], clock } = backend;
  const { sessions } = createStores(records);
  const ids = Array.from({ length: 1001 }, (_, i) => `s${String(i).padStart(4, "0")}`);
  for (let begin = 0; begin < ids.length; begin += 100) {
    await Promise.all(ids.slice(begin, begin + 100).map((id) => sessions.create(sessionOf(id, clock() + 100))));
  }
  assertEquals(await sessions.listIds("acme", "ada"), ids);
});

testOnEveryBackend("a large session comes back whole, and leaves nothing behind", async (backend) => {
  const { records: [records], clock } = backend;
  const { sessions } = createStores(records);
  const sealed = (tag: string, length: number) => "x".repeat(length - 22) + tag.padStart(22, "_");
  await sessions.create(sessionOf("s1", clock() + 100, { sealed: sealed("one", 150_000) }));
  const first = (await sessions.find("acme", "s1"))!;
  assertEquals(first.value.sealed, sealed("one", 150_000));
  assertEquals((await records.list(["session_part", "acme", "s1"])).length, 3);
  assert(await sessions.save({ ...first.value, sealed: sealed("two", 50_000) }, first.version));
  const second = (await sessions.find("acme", "s1"))!;
  assertEquals(second.value.sealed, sealed("two", 50_000));
  assertEquals((await records.list(["session_part", "acme", "s1"])).length, 1);
  await sessions.end("acme", "s1", { at: 7, reason: "user" });
  assertEquals(await records.list(["session_part", "acme", "s1"]), []);
  assertEquals((await sessions.find("acme", "s1"))?.value.sealed, "");
});

testOnEveryBackend("a session of which a part is lost does not keep anybody waiting for ever", async (backend) => {
  const { records: [records], clock } = backend;
  const { sessions } = createStores(records);
  await sessions.create(sessionOf("s1", clock() + 100, { sealed: "x".repeat(100_000) }));
  const [part] = await records.list(["session_part", "acme", "s1"]);
  await records.commit({ deletes: [part!.key] });
  await assertRejects(() => sessions.find("acme", "s1"), StoreUnavailableError);
});

testOnEveryBackend("the end of a user's sessions is noted as long as asked", async ({ records: [records], clock }) => {
  const { sessions } = createStores(records);
  await sessions.mark("acme", { by: "sub", value: "ada" }, { at: 7, expiresAt: clock() + 100 });
  assertEquals(await sessions.findMark("acme", { by: "sub", value: "ada" }), { at: 7 });
  assertEquals(await sessions.findMark("acme", { by: "sid", value: "ada" }), null);
  assertEquals(await sessions.findMark("globex", { by: "sub", value: "ada" }), null);
  clock.advance(100);
  assertEquals(await sessions.findMark("acme", { by: "sub", value: "ada" }), null);
});
