/**
 * The harness itself: nothing is skipped, nothing unknown passes, and every judge can say no.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type JsonObject, readBase64Url } from "../../lib/encoding.ts";
import { type AttackRequest, GROUPS, KINDS_APART, readCases } from "./cases.ts";
import { CONTROLS } from "./controls.ts";
import { READINGS } from "./readings.ts";
import { run, variantsOf } from "./run.ts";
import { signSecp256k1, verifySecp256k1 } from "./secp256k1.ts";
import { ACME, withWorld } from "./world.ts";

const cases = readCases();
const readme = Deno.readTextFileSync(new URL("README.md", import.meta.url));

Deno.test("the copy is whole: 453 cases, each id once", () => {
  assertEquals(cases.length, 453);
  assertEquals(new Set(cases.map(({ id }) => id)).size, 453);
  for (const group of GROUPS) assert(cases.some((attack) => attack.group === group), group);
});

Deno.test("every case of a group that is switched on runs, and every control belongs to such a group", () => {
  const own = cases.filter(({ group }) => GROUPS.includes(group));
  const apart = own.filter((attack) => variantsOf(attack).length === 0);
  // These have a test of their own in `browser_test.ts`.
  assertEquals(apart.map(({ request }) => request.kind).filter((kind) => kind !== "browser"), []);
  for (const { request, group } of apart) assert(KINDS_APART.includes(request.kind), group);
  for (const { group } of CONTROLS) assert(GROUPS.includes(group), group);
});

Deno.test("every case that is read otherwise than it stands exists, and has its reason in README.md", () => {
  for (const id of Object.keys(READINGS)) {
    assert(cases.some((attack) => attack.id === id), id);
    assertStringIncludes(readme, `| ${id} |`);
  }
});

const LOGIN = { kind: "http", method: "GET", host: "api.acme.test", path: "{login}", as: "anon" };
const SESSION = { ...LOGIN, path: "{session}" };
const CALLBACK = { ...LOGIN, path: "{callback}", as: "tx:alice" };
const ID_TOKEN = { kind: "token", where: "id_token", header: {}, claims: {}, key: "idp" };

Deno.test("whatever the harness does not know fails the run", async (t) => {
  const unknown: Readonly<Record<string, readonly [AttackRequest, JsonObject]>> = {
    "kind": [{ kind: "telepathy" }, { status: [302] }],
    "expectation": [LOGIN, { status: [302], karma: "good" }],
    "return target": [LOGIN, { status: [302], return_target: "somewhere" }],
    "rule for cookies": [LOGIN, { status: [302], set_cookie: "eaten" }],
    "placeholder": [{ ...LOGIN, query: { x: "{unicorn}" } }, { status: [302] }],
    "form of a placeholder": [{ ...LOGIN, query: { x: "{repeat-after-me:3:x}" } }, { status: [302] }],
    "change of a cookie": [{ ...SESSION, cookies: [["at", "{c:at:alice,paint=green}"]] }, { status: [401] }],
    "change that changes nothing": [{ ...SESSION, cookies: [["at", "{c:at:alice,truncate=9999}"]] }, { status: [401] }],
    "caller": [{ ...LOGIN, as: "the pope" }, { status: [302] }],
    "member of a request": [{ ...LOGIN, colour: "green" }, { status: [302] }],
    "place of a token": [{ ...ID_TOKEN, where: "pocket" }, { status: [401] }],
    "key of a token": [{ ...ID_TOKEN, key: "skeleton" }, { status: [401] }],
    "secret of a token": [{ ...ID_TOKEN, key: "hmac:guess" }, { status: [401] }],
    "mutation of a token": [{ ...ID_TOKEN, mutate: "fold it" }, { status: [401] }],
    "flow": [{ kind: "idp", flow: "dance", endpoint: "token" }, { status: [302] }],
    "step": [{ kind: "sequence", steps: ["wait and see"] }, { status: [302] }],
    "scan": [{ kind: "scan", where: "everywhere", for: "nothing" }, { status: [] }],
    "way of spoiling a cookie": [{ kind: "cookie", start: "login", cookie: "transaction", mutate: "bake" }, {}],
  };
  await runAll(t, unknown);
});

Deno.test("every judge can say no", async (t) => {
  const answered = { ...CALLBACK, query: { code: "{code}", state: "{state}" } };
  const failed = { ...CALLBACK, query: { error: "access_denied", state: "{state}" } };
  const spoiled = { ...SESSION, cookies: [["at", "{c:at:alice,bitflip=tag:0}"]] };
  const race = { kind: "race", n: 20, each: LOGIN };
  const wrong: Readonly<Record<string, readonly [AttackRequest, JsonObject]>> = {
    "status": [LOGIN, { status: [200] }],
    "body_not": [SESSION, { status: [401], body_not: ["unauthenticated"] }],
    "max_ms": [LOGIN, { status: [302], max_ms: 0 }],
    "return_target default-or-refused": [
      { ...LOGIN, query: { returnTo: "/a" } },
      { status: [302], return_target: "default-or-refused" },
    ],
    "return_target as-given": [
      { ...LOGIN, query: { returnTo: "//evil.test" } },
      { status: [400], return_target: "as-given" },
    ],
    "never_host": [LOGIN, { status: [302], never_host: ["idp.test"] }],
    "never_scheme": [LOGIN, { status: [302], never_scheme: ["https"] }],
    "authorize_params_equal": [LOGIN, { status: [302], authorize_params_equal: { client_id: "other" } }],
    "authorize_params_equal, missing": [LOGIN, { status: [302], authorize_params_equal: { claims: "x" } }],
    "set_cookie: the bad cookie cleared": [
      { ...SESSION, cookies: [["at", "{c:at:alice}"]] },
      { status: [200], set_cookie: "the bad cookie cleared" },
    ],
    "set_cookie: transaction cleared only": [answered, { status: [302], set_cookie: "transaction cleared only" }],
    "set_cookie: transaction cleared only, nothing is": [SESSION, { set_cookie: "transaction cleared only" }],
    "set_cookie: none or own cookies cleared": [LOGIN, { status: [302], set_cookie: "none or own cookies cleared" }],
    "set_cookie: unchanged": [spoiled, { status: [401], set_cookie: "unchanged" }],
    "set_cookie_not": [answered, { status: [302], set_cookie_not: ["at"] }],
    "set_cookie_deletes": [
      { kind: "sequence", steps: ["complete login as alice", "logout"] },
      { status: [302], set_cookie_deletes: ["__Host-at"] },
    ],
    "transaction_cookies_max": [race, { status: [302], transaction_cookies_max: 3 }],
    "total_cookie_bytes_max": [race, { status: [302], total_cookie_bytes_max: 1000 }],
    "session alice": [failed, { status: [302], session: "alice" }],
    "session none": [answered, { status: [302], session: "none" }],
    "idp_calls": [answered, { status: [302], idp_calls: 0 }],
    "upstream_calls": [{ ...ID_TOKEN, where: "access_token" }, { status: [200], upstream_calls: 0 }],
    "outbound_hosts_not": [answered, { status: [302], outbound_hosts_not: ["idp.test"] }],
    "jwks_fetches_max": [ID_TOKEN, { status: [302], jwks_fetches_max: -1 }],
    "distinct": [{ kind: "scan", where: "1000 login redirects", for: "state values" }, { distinct: 999 }],
    "min_bits": [{ kind: "scan", where: "1000 login redirects", for: "state values" }, { min_bits: 257 }],
    "contains_session_id": [
      { kind: "scan", where: "1000 login redirects", for: "state values" },
      { contains_session_id: true },
    ],
  };
  await runAll(t, wrong);
});

/** Runs cases of which each has to fail. */
async function runAll(
  t: Deno.TestContext,
  table: Readonly<Record<string, readonly [AttackRequest, JsonObject]>>,
): Promise<void> {
  await withWorld(async (world) => {
    for (const [what, [request, expect]] of Object.entries(table)) {
      await t.step(what, async () => {
        const faults = await run(world, { group: "callback", id: "made up", what, request, expect });
        assert(faults.length > 0);
      });
    }
  });
}

Deno.test("what always holds is judged always: servers that fail, dial strangers, or show their inside", async () => {
  await withWorld(async (world) => {
    const attack = { group: "callback", id: "made up", what: "", request: LOGIN, expect: { status: [] } };
    assertEquals(await run(world, attack), []);
    await world.cloakroom.saveVendor("acme", {
      clientId: "x",
      issuer: "https://stranger.test/",
      hosts: ["api.acme.test"],
    });
    const faults = (await run(world, attack)).join("; ");
    assertStringIncludes(faults, "answered 503");
    assertStringIncludes(faults, "dialled stranger.test");
    world.upstream.reply = () => new Response("Error: no\n    at run (file:///app/main.ts:1:2)", { status: 200 });
    const bearer = { ...attack, request: { ...ID_TOKEN, where: "access_token" } };
    await world.cloakroom.saveVendor("acme", ACME);
    assertStringIncludes((await run(world, bearer)).join("; "), "shows its inside");
  });
});

Deno.test("the attacker's ES256K signatures are good ones", async () => {
  const signature = readBase64Url(await signSecp256k1("a.b"))!;
  assert(await verifySecp256k1("a.b", signature));
  assert(!await verifySecp256k1("a.c", signature));
  signature[5]! ^= 1;
  assert(!await verifySecp256k1("a.b", signature));
});
