/**
 * The harness itself: nothing is skipped, nothing unknown passes, and every judge can say no.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type JsonObject, readBase64Url } from "../../lib/encoding.ts";
import { type AttackRequest, GROUPS, readCases } from "./cases.ts";
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
  // These have tests of their own in `browser_test.ts` and `process_test.ts`.
  for (const { request, id } of apart) {
    assert(READINGS[id]?.apart || ["browser", "h2", "signal", "tcp"].includes(request.kind), id);
  }
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
const TOKEN_REPLY = { kind: "idp", flow: "login", endpoint: "token" };
const REFRESH_REPLY = { ...TOKEN_REPLY, flow: "refresh" };
const DEAD = { status: 400, json: { error: "invalid_grant" } };
const CALL = { kind: "race", n: 2, processes: 1, each: { ...LOGIN, path: "{api}", as: "alice-expired" } };
const REFRESH = { kind: "race", n: 2, each: "refresh" };
const BOB = { sub: "bob", aud: "globex-client" };

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
    "call of a race": [{ kind: "race", n: 1, each: "dance" }, { status: [200] }],
    "fault of a race": [{ kind: "race", n: 1, each: "refresh", fault: "flood" }, { status: [200] }],
    "call of processes": [{ ...CALL, processes: 2, each: LOGIN }, { status: [200] }],
    "event of a load": [{ kind: "load", rps: 100, during: "an eclipse" }, { status: [302] }],
    "what holds afterwards": [REFRESH, { status: [200], after: "all is well" }],
    "member of a reply": [{ ...TOKEN_REPLY, reply: { colour: "green" } }, { status: [502] }],
    "fault of a connection": [{ ...TOKEN_REPLY, reply: { connect: "knot" } }, { status: [502] }],
    "state of other sessions": [{ ...ID_TOKEN, where: "logout_token" }, { status: [200], sessions: "happy" }],
    "calls of the provider": [LOGIN, { status: [302], idp_calls: "several" }],
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
    "non_200": [CALL, { status: [], non_200: 1 }],
    "logouts": [CALL, { status: [200], logouts: 1 }],
    "winners": [REFRESH, { status: [200], winners: 1 }],
    "token_families": [REFRESH, { status: [200], token_families: 2 }],
    "distinct_new_refresh_tokens": [REFRESH, { status: [200], distinct_new_refresh_tokens: 2 }],
    "after: the same token": [REFRESH, { status: [200], after: "same refresh token works when KV is back" }],
    "errors": [{ kind: "load", rps: 1000, during: "rotate signing key" }, { status: [302], errors: 1 }],
    "max_ms_over_token_endpoint": [{ ...CALL, processes: 2 }, { status: [200], max_ms_over_token_endpoint: -1000 }],
    "session kept": [{ ...REFRESH_REPLY, reply: DEAD }, { status: [401], session: "kept" }],
    "session none, though kept": [{ ...REFRESH_REPLY, reply: {} }, { status: [200], session: "none" }],
    "session alice asked first, not asked": [
      {
        ...LOGIN,
        host: "id.test",
        path: "{oplogout}",
        as: "op:alice",
        query: { id_token_hint: "{id_token:alice}" },
      },
      { status: [200], session: "alice asked first" },
    ],
    "session alice asked first, nobody there": [
      { ...LOGIN, host: "id.test", path: "{oplogout}" },
      { status: [200], session: "alice asked first" },
    ],
    "sessions alice": [
      { ...ID_TOKEN, where: "logout_token" },
      { status: [200], sessions: "alice still logged in" },
    ],
    "sessions globex": [
      { ...ID_TOKEN, where: "logout_token", endpoint: "/auth/globex/backchannel-logout", claims: BOB },
      { status: [200], sessions: "globex untouched" },
    ],
    "set_cookie: session renewed": [{ ...REFRESH_REPLY, reply: DEAD }, { set_cookie: "session renewed" }],
    "client_header_has": [SESSION, { status: [401], client_header_has: ["cache-control: public"] }],
    "client_header_has, missing": [SESSION, { status: [401], client_header_has: ["x-nothing: 1"] }],
    "alert": [{ ...REFRESH_REPLY, reply: DEAD }, { status: [401], alert: true }],
    "no alert": [{ ...REFRESH_REPLY, reply: { json: {} } }, { status: [503], alert: false }],
    "id_token_claims_used": [{ ...REFRESH_REPLY, id_token_key: "idp" }, { status: [200], id_token_claims_used: true }],
    "stored_scope": [{ ...REFRESH_REPLY, patch: { scope: "openid email" } }, { status: [200], stored_scope: "openid" }],
    "rss_growth_mib_max": [LOGIN, { status: [302], rss_growth_mib_max: -1000 }],
    "within_s": [LOGIN, { status: [302], within_s: 0 }],
    "idp_calls revoked": [LOGIN, { status: [302], idp_calls: "refresh token revoked at the IdP" }],
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
