import { assert, assertEquals, assertFalse, assertNotEquals, assertRejects } from "@std/assert";
import { createMemoryRecords, createStores, type Records, StoreUnavailableError } from "../../lib/store/mod.ts";
import { createServiceKeys } from "../../lib/token_handler/service_keys.ts";
import {
  createVendorDirectory,
  type Vendor,
  type VendorDefaults,
  type VendorDirectory,
} from "../../lib/token_handler/vendors.ts";
import { readVendorSettings } from "../../lib/vendor/mod.ts";
import { createTestClock, type TestClock } from "../support/clock.ts";

const MASTER = new Uint8Array(32).fill(1);
const OTHER_MASTER = new Uint8Array(32).fill(2);
const NO_DEFAULTS: VendorDefaults = { issuer: null, upstream: null, publicUrl: null };
const DEFAULTS: VendorDefaults = {
  issuer: "https://id.default.test/",
  upstream: "https://backend.default.test",
  publicUrl: "https://api.default.test",
};
const SECRET = "a-secret-of-the-client";

interface Setting {
  readonly clock: TestClock;
  readonly records: Records;
  /** Another process on the same store. */
  readonly start: (
    options?: { defaults?: VendorDefaults; masterKeys?: readonly Uint8Array<ArrayBuffer>[]; records?: Records },
  ) => Promise<VendorDirectory>;
}

function createSetting(): Setting {
  const clock = createTestClock();
  const shared = createMemoryRecords(clock);
  return {
    clock,
    records: shared,
    async start({ defaults = DEFAULTS, masterKeys = [MASTER], records = shared } = {}) {
      const serviceKeys = await createServiceKeys(masterKeys);
      return createVendorDirectory({ store: createStores(records).vendors, serviceKeys, defaults, now: clock });
    },
  };
}

function changeOf(members: Readonly<Record<string, unknown>> = {}) {
  const reading = readVendorSettings({ clientId: "web-app", ...members });
  if (reading.kind === "refused") throw new Error(JSON.stringify(reading.faults));
  return reading;
}

async function authenticationOf(vendor: Vendor | null) {
  const headers = new Headers();
  const body = new URLSearchParams();
  await vendor!.authenticateClient({ headers, body });
  return { header: headers.get("authorization"), body: body.toString() };
}

Deno.test("a vendor gets the service's defaults for what it does not say itself", async () => {
  const vendors = await createSetting().start();
  await vendors.save("acme", changeOf());
  const acme = (await vendors.find("acme"))!;
  assertEquals([acme.id, acme.clientId, acme.issuer, acme.publicUrl], [
    "acme",
    "web-app",
    DEFAULTS.issuer!,
    DEFAULTS.publicUrl,
  ]);
  assertEquals(acme.upstreams, [{ path: "/", target: DEFAULTS.upstream! }]);

  const own = {
    issuer: "https://id.acme.test/",
    publicUrl: "https://api.acme.test",
    upstreams: [{ path: "/api", target: "https://backend.acme.test" }],
  };
  await vendors.save("acme", changeOf(own));
  const changed = (await vendors.find("acme"))!;
  assertEquals([changed.issuer, changed.publicUrl, changed.upstreams], [own.issuer, own.publicUrl, own.upstreams]);

  await vendors.save("acme", changeOf({ upstreams: [] }));
  assertEquals((await vendors.find("acme"))!.upstreams, [], "an empty list means no upstream");
});

Deno.test("a vendor without an issuer, its own or the service's, is not saved", async () => {
  const vendors = await createSetting().start({ defaults: NO_DEFAULTS });
  assertEquals(await vendors.save("acme", changeOf()), { kind: "issuer_missing" });
  assertEquals(await vendors.read("acme"), null);
  await vendors.save("globex", changeOf({ issuer: "https://id.globex.test/" }));
  const globex = (await vendors.find("globex"))!;
  assertEquals([globex.publicUrl, globex.upstreams], [null, []]);
});

Deno.test("a vendor's client proves itself as the settings say", async () => {
  const vendors = await createSetting().start();
  await vendors.save("public", changeOf());
  await vendors.save("basic", changeOf({ clientSecret: SECRET }));
  await vendors.save("post", changeOf({ clientSecret: SECRET, clientAuthMethod: "client_secret_post" }));
  assertEquals(await authenticationOf(await vendors.find("public")), { header: null, body: "client_id=web-app" });
  assertEquals(await authenticationOf(await vendors.find("basic")), {
    header: `Basic ${btoa(`web-app:${SECRET}`)}`,
    body: "",
  });
  assertEquals(await authenticationOf(await vendors.find("post")), {
    header: null,
    body: `client_id=web-app&client_secret=${SECRET}`,
  });
});

Deno.test("a client secret lies sealed in the store, and shows nowhere", async () => {
  const { records, start } = createSetting();
  const vendors = await start();
  const outcome = await vendors.save("acme", changeOf({ clientSecret: SECRET }));
  const texts = [
    JSON.stringify(await records.list(["vendor"])),
    JSON.stringify(outcome),
    JSON.stringify(await vendors.read("acme")),
    Deno.inspect(await vendors.find("acme"), { depth: 10 }),
  ];
  for (const text of texts) {
    for (const form of [SECRET, btoa(SECRET), SECRET.slice(0, 12)]) assertFalse(text.includes(form));
  }
});

Deno.test("a stored secret stays until there is another one, or none is needed", async () => {
  const vendors = await createSetting().start();
  const secretOf = async () => (await authenticationOf(await vendors.find("acme"))).body;
  const post = { clientAuthMethod: "client_secret_post" };
  assertEquals(await vendors.save("acme", changeOf(post)), { kind: "secret_missing" });
  assertEquals(await vendors.find("acme"), null, "nothing is stored");
  await vendors.save("acme", changeOf({ ...post, clientSecret: SECRET }));
  await vendors.save("acme", changeOf({ ...post, scopes: ["openid"] }));
  assertEquals(await secretOf(), `client_id=web-app&client_secret=${SECRET}`);
  await vendors.save("acme", changeOf({ ...post, clientSecret: "another-secret" }));
  assertEquals(await secretOf(), "client_id=web-app&client_secret=another-secret");
  await vendors.save("acme", changeOf({ scopes: ["openid", "email"] }));
  assertEquals(await secretOf(), "client_id=web-app&client_secret=another-secret", "what is not named stays");
  await vendors.save("acme", changeOf({ clientAuthMethod: "none" }));
  assertEquals(await secretOf(), "client_id=web-app");
  assertEquals(await vendors.save("acme", changeOf(post)), { kind: "secret_missing" });
});

Deno.test("a secret sealed with another service key, or for another vendor, stops everything and says so", async () => {
  const { records, start } = createSetting();
  await (await start()).save("acme", changeOf({ clientSecret: SECRET }));
  const strange = await start({ masterKeys: [OTHER_MASTER] });
  const error = await assertRejects(() => strange.find("acme"), Error);
  assertEquals(
    error.message,
    'Cannot open the client secret of vendor "acme": it was sealed with another service key',
  );
  const [stored] = await records.list<{ id: string }>(["vendor"]);
  await records.commit({ sets: [{ key: ["vendor", "globex"], value: { ...stored!.value, id: "globex" } }] });
  await assertRejects(async () => (await start()).find("globex"), Error, 'the client secret of vendor "globex"');
});

Deno.test("a new service key in front takes secrets over when they are next used", async () => {
  const { records, start } = createSetting();
  await (await start()).save("acme", changeOf({ clientSecret: SECRET }));
  const sealed = async () => (await records.find<{ sealedClientSecret: string }>(["vendor", "acme"]))!.value;
  const before = await sealed();
  await (await start({ masterKeys: [OTHER_MASTER, MASTER] })).find("acme");
  const after = await sealed();
  assertNotEquals(after.sealedClientSecret, before.sealedClientSecret);
  assertEquals({ ...after, sealedClientSecret: "" }, { ...before, sealedClientSecret: "" });
  const { header } = await authenticationOf(await (await start({ masterKeys: [OTHER_MASTER] })).find("acme"));
  assertEquals(header, `Basic ${btoa(`web-app:${SECRET}`)}`);
});

Deno.test("saving tells whether a vendor is new, and when it changed", async () => {
  const { clock, start } = createSetting();
  const vendors = await start();
  const begin = clock();
  const first = await vendors.save("acme", changeOf());
  assert(first.kind === "saved" && first.created);
  clock.advance(10);
  const second = await vendors.save("acme", changeOf());
  assert(second.kind === "saved" && !second.created);
  assertEquals([second.record.createdAt, second.record.updatedAt], [begin, begin + 10]);
  assertNotEquals(second.version, first.version);
  assertEquals((await vendors.read("acme"))?.version, second.version);
});

Deno.test("saving over an expected version needs exactly that one", async () => {
  const vendors = await createSetting().start();
  assertEquals(await vendors.save("acme", changeOf(), { expectedVersion: "1" }), { kind: "version_differs" });
  assertEquals(await vendors.read("acme"), null);
  const first = await vendors.save("acme", changeOf());
  assert(first.kind === "saved");
  assertEquals(await vendors.save("acme", changeOf(), { expectedVersion: "" }), { kind: "version_differs" });
  assertEquals((await vendors.save("acme", changeOf(), { expectedVersion: first.version })).kind, "saved");
  assertEquals(await vendors.save("acme", changeOf(), { expectedVersion: first.version }), { kind: "version_differs" });
});

Deno.test("a dry run finds what would stand in the way, and saves nothing", async () => {
  const vendors = await createSetting().start();
  await vendors.save("acme", changeOf({ hosts: ["api.acme.test"] }));
  const dry = (members: Record<string, unknown>) => vendors.save("globex", changeOf(members), { dryRun: true });
  assertEquals(await dry({ hosts: ["api.globex.test"] }), { kind: "would_save" });
  assertEquals(await dry({ hosts: ["api.globex.test", "api.acme.test"] }), {
    kind: "host_taken",
    host: "api.acme.test",
  });
  assertEquals(await dry({ clientAuthMethod: "client_secret_post" }), { kind: "secret_missing" });
  assertEquals(await vendors.read("globex"), null);
  const own = await vendors.save("acme", changeOf({ hosts: ["api.acme.test"] }), { dryRun: true });
  assertEquals(own, { kind: "would_save" });
});

Deno.test("of several who save at once some are told of a conflict, and none of a success that was none", async () => {
  const vendors = await createSetting().start();
  await vendors.save("acme", changeOf());
  const outcomes = await Promise.all(
    Array.from({ length: 10 }, (_, i) => vendors.save("acme", changeOf({ clientId: `client-${i}` }))),
  );
  const saved = outcomes.flatMap((outcome) => outcome.kind === "saved" ? [outcome.record.settings.clientId] : []);
  assert(saved.length >= 1);
  assert(saved.includes((await vendors.read("acme"))!.record.settings.clientId));
  assert(outcomes.every(({ kind }) => kind === "saved" || kind === "conflict"));
});

Deno.test("a vendor is found by its hosts, or for being the only one and bound to none", async () => {
  const vendors = await createSetting().start({ defaults: { ...DEFAULTS, publicUrl: null } });
  assertEquals(await vendors.findByHost("api.acme.test"), null);
  await vendors.save("acme", changeOf());
  assertEquals((await vendors.findByHost("anything.test"))?.id, "acme");
  await vendors.save("acme", changeOf({ hosts: ["api.acme.test"] }));
  assertEquals((await vendors.findByHost("api.acme.test"))?.id, "acme");
  assertEquals(await vendors.findByHost("anything.test"), null);
  await vendors.save("globex", changeOf({ hosts: ["api.globex.test"] }));
  assertEquals((await vendors.findByHost("api.globex.test"))?.id, "globex");
  await vendors.save("globex", changeOf());
  assertEquals(await vendors.findByHost("api.globex.test"), null, "there are two");
  assertEquals(await vendors.save("globex", changeOf({ hosts: ["api.acme.test"] })), {
    kind: "host_taken",
    host: "api.acme.test",
  });
});

Deno.test("a change counts at once here, and within two seconds in other processes", async () => {
  const { clock, start } = createSetting();
  const [one, two] = [await start(), await start()];
  await one.save("acme", changeOf({ hosts: ["api.acme.test"] }));
  const seen = async (vendors: VendorDirectory) => [
    (await vendors.find("acme"))?.clientId,
    (await vendors.findByHost("api.acme.test"))?.clientId,
  ];
  assertEquals(await seen(two), ["web-app", "web-app"]);
  clock.advance(1);
  assertEquals(await seen(two), ["web-app", "web-app"]);
  await one.save("acme", changeOf({ clientId: "changed", hosts: ["api.acme.test"] }));
  assertEquals(await seen(one), ["changed", "changed"]);
  clock.advance(2);
  assertEquals(await seen(two), ["changed", "changed"]);
  await one.remove("acme");
  assertEquals(await seen(one), [undefined, undefined]);
  clock.advance(2);
  assertEquals(await seen(two), [undefined, undefined]);
});

Deno.test("vendors are not read from the store for every request", async () => {
  const { records, start } = createSetting();
  await (await start()).save("acme", changeOf({ hosts: ["api.acme.test"] }));
  let reads = 0;
  const counting: Records = {
    ...records,
    find(key) {
      reads++;
      return records.find(key);
    },
  };
  const vendors = await start({ records: counting });
  await Promise.all(Array.from({ length: 100 }, () => vendors.find("acme")));
  await Promise.all(Array.from({ length: 100 }, () => vendors.findByHost("api.acme.test")));
  assertEquals(reads, 2);
});

Deno.test("a look that failed is not remembered", async () => {
  const { records, start } = createSetting();
  await (await start()).save("acme", changeOf());
  let isAway = true;
  const unreliable: Records = {
    ...records,
    find: (key) => isAway ? Promise.reject(new StoreUnavailableError("read a record")) : records.find(key),
  };
  const vendors = await start({ records: unreliable, defaults: { ...DEFAULTS, publicUrl: null } });
  await assertRejects(() => vendors.find("acme"), StoreUnavailableError);
  await assertRejects(() => vendors.findByHost("api.acme.test"), StoreUnavailableError);
  isAway = false;
  assertEquals((await vendors.find("acme"))?.id, "acme");
  assertEquals((await vendors.findByHost("api.acme.test"))?.id, "acme");
});

Deno.test("made-up hosts do not fill the memory", async () => {
  const { start } = createSetting();
  const vendors = await start();
  await vendors.save("acme", changeOf({ hosts: ["api.acme.test"] }));
  for (let i = 0; i < 10_050; i++) await vendors.findByHost(`made-up-${i}.test`);
  assertEquals((await vendors.findByHost("api.acme.test"))?.id, "acme");
});
