/**
 * Neighbours of the logout cases: logout tokens with each claim in every wrong type, requests in every wrong form, and
 * copies of cookies after the end. The rules: what is not a logout token for this vendor ends nothing, what has ended
 * stays ended, and nobody is led to an address that nobody registered.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { sendRequest } from "../../support/raw_http.ts";
import { signJwt } from "../../support/signing_key.ts";
import type { AttackRequest } from "../cases.ts";
import { PATHS } from "../names.ts";
import { run } from "../run.ts";
import { createStage, sessionOf } from "../stage.ts";
import { ACME, withWorld, type World } from "../world.ts";

const EVENT = "http://schemas.openid.net/event/backchannel-logout";

/** Claims that spoil a logout token; `null` leaves one out. */
const CLAIMS: readonly object[] = [
  ...["", "https://idp.test", "https://IDP.test/", "http://idp.test/", "https://idp-b.test/", 1, [], [
    "https://idp.test/",
  ]]
    .map((iss) => ({ iss })),
  ...["", "other", "globex-client", "acme-client ", "ACME-CLIENT", 1, {}, [], ["other"], [["acme-client"]], null]
    .map((aud) => ({ aud })),
  ...["", 1, true, {}, [], ["alice"]].map((sub) => ({ sub })),
  ...["", 1, true, {}, []].flatMap((sid) => [{ sid }, { sid, sub: null }]),
  ...["", "n", 0, false, {}, []].map((nonce) => ({ nonce })),
  ...["", 1, true, {}, [], "x".repeat(256)].map((jti) => ({ jti })),
  ...["now-601", "now+86400", "", true, {}, 1e300, -1, null].map((iat) => ({ iat })),
  ...["now-301", "", true, {}, [], -1, null].map((exp) => ({ exp })),
  ...["", 1, [], [EVENT], {}, { [EVENT]: "x" }, { [EVENT]: null }, { [EVENT]: true }, { [EVENT]: [] }, null, EVENT]
    .map((events) => ({ events })),
  { events: { [EVENT.toUpperCase()]: {} } },
  { events: { [`${EVENT}/`]: {} } },
  { nbf: "now+3600" },
];

const HEADERS: readonly object[] = [
  ...["at+jwt", "id_token", "dpop+jwt", "secevent+jwt", "application/at+jwt", "", 1, {}, []].map((typ) => ({ typ })),
  { crit: ["x"], x: 1 },
  { b64: false, crit: ["b64"] },
];

Deno.test("nothing but a logout token of this provider for this client ends sessions", async () => {
  await withWorld(async (world) => {
    const good = { kind: "token", where: "logout_token", header: {}, claims: {}, key: "idp" };
    const bad: readonly AttackRequest[] = [
      ...CLAIMS.map((claims) => ({ ...good, claims })),
      ...HEADERS.map((header) => ({ ...good, header })),
      ...["attacker", "attacker-duplicate-kid", "hmac:client-secret", "idp-enc-key"].map((key) => ({ ...good, key })),
    ];
    const expect = {
      status: [400],
      sessions: "alice still logged in",
      client_header_has: ["cache-control: no-store"],
      no_stack_trace: true,
      idp_calls: 0,
    };
    await runAll(world, bad, expect);
  });
});

Deno.test("a logout token in another form than the standard's ends nothing", async () => {
  await withWorld(async (world) => {
    const alice = await createStage(world).signedIn("alice");
    const token = await signLogoutToken(world);
    const good = `logout_token=${token}`;
    const form = "application/x-www-form-urlencoded";
    const asked: readonly (readonly [method: string, query: string, type: string | null, body: string])[] = [
      ...["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"].map((method) => [method, `?${good}`, null, ""] as const),
      ...["PUT", "PATCH", "DELETE"].map((method) => [method, "", form, good] as const),
      ["POST", `?${good}`, form, ""],
      ["POST", `?${good}`, null, ""],
      ...[null, "text/plain", "application/json", "multipart/form-data; boundary=x", `${form}x`, "application/jwt"]
        .map((type) => ["POST", "", type, good] as const),
      ["POST", "", "application/json", JSON.stringify({ logout_token: token })],
      ["POST", "", "application/jwt", token],
      ["POST", "", form, ""],
      ["POST", "", form, token],
      ["POST", "", form, "logout_token="],
      ["POST", "", form, `${good}&${good}`],
      ["POST", "", form, `${good}&logout_token=`],
      ["POST", "", form, `Logout_Token=${token}`],
      ["POST", "", form, `logout_token[]=${token}`],
      ["POST", "", form, `logout_token=${token}%00`],
      ["POST", "", form, `logout_token=%20${token}`],
      ["POST", "", form, `logout_token=${token}.${token}`],
      ["POST", "", form, `${good}&x=${"x".repeat(33_000)}`],
    ];
    for (const [method, query, type, body] of asked) {
      const headers = type === null ? [] : [["Content-Type", type]] as const;
      const target = `${PATHS.bclogout}${query}`;
      const { status } = await sendRequest(world.app.port, { method, host: "api.acme.test", target, headers, body });
      assert([204, 400, 404, 405, 413, 415].includes(status), `${method} ${query.slice(0, 20)} ${type}: ${status}`);
      assertEquals(await sessionOf(alice), "alice", `${method} ${query.slice(0, 20)} ${type} ${body.slice(0, 20)}`);
    }
    const headers = [["Content-Type", form]] as const;
    const sent = { method: "POST", host: "api.acme.test", target: PATHS.bclogout!, headers, body: good };
    assertEquals((await sendRequest(world.app.port, { ...sent, host: "api.globex.test" })).status, 404);
    assertEquals(await sessionOf(alice), "alice");
    assertEquals((await sendRequest(world.app.port, sent)).status, 200);
    assertEquals(await sessionOf(alice), "none");
  });
});

Deno.test("front-channel logout ends what the provider's session began, and nothing by another name", async () => {
  await withWorld(async (world) => {
    const stage = createStage(world);
    const [alice, bob] = [await stage.signedIn("alice"), await stage.signedIn("globex:bob")];
    const [sid, other] = [world.idp.sessions.get("alice")!, world.idp.sessions.get("bob")!];
    const iss = world.idp.issuer;
    const pairs: readonly (readonly [string, string])[][] = [
      [],
      [["iss", iss]],
      [["sid", sid]],
      [["iss", iss], ["sid", ""]],
      [["iss", iss], ["sid", other]],
      [["iss", iss], ["sid", sid.toUpperCase()]],
      [["iss", iss], ["sid", `${sid} `]],
      [["iss", iss], ["sid", sid], ["sid", sid]],
      [["iss", iss], ["iss", iss], ["sid", sid]],
      ...["https://idp.test", "https://idp-b.test/", "", "http://idp.test/"].map((issuer) =>
        [["iss", issuer], ["sid", sid]] as const
      ),
      [["iss", iss], ["sub", "alice"]],
      [["ISS", iss], ["SID", sid]],
    ].map((list) => list.map(([name, value]) => [name!, value!] as const));
    for (const list of pairs) {
      const target = `${PATHS.fclogout}?${new URLSearchParams(list.map(([name, value]) => [name, value]))}`;
      const { status } = await sendRequest(world.app.port, { host: "api.acme.test", target });
      assert(status === 200 || status === 400, `${target}: ${status}`);
      assertEquals([await sessionOf(alice), await sessionOf(bob)], ["alice", "bob"], target);
    }
    for (const method of ["POST", "PUT", "DELETE"]) {
      const target = `${PATHS.fclogout}?${new URLSearchParams({ iss, sid })}`;
      const { status } = await sendRequest(world.app.port, { method, host: "api.acme.test", target, body: "" });
      assertEquals([status >= 400 && status < 500, await sessionOf(alice)], [true, "alice"], method);
    }
  });
});

Deno.test("copies of the cookies are worth nothing after any kind of end, wherever they are shown", async () => {
  const ends: Readonly<Record<string, (world: World, cookie: string) => Promise<unknown>>> = {
    "logout": (world, cookie) => call(world, "POST", PATHS.logout!, cookie),
    "everywhere": (world, cookie) => call(world, "DELETE", "/auth/acme/sessions?all=true", cookie),
    "back channel": async (world) => {
      const headers = [["Content-Type", "application/x-www-form-urlencoded"]] as const;
      const body = `logout_token=${await signLogoutToken(world)}`;
      return await sendRequest(world.app.port, {
        method: "POST",
        host: "api.acme.test",
        target: PATHS.bclogout!,
        headers,
        body,
      });
    },
    "front channel": (world) => {
      const query = new URLSearchParams({ iss: world.idp.issuer, sid: world.idp.sessions.get("alice")! });
      return call(world, "GET", `${PATHS.fclogout}?${query}`, "");
    },
    "a dead refresh token": async (world, cookie) => {
      world.idp.change.token = () => Response.json({ error: "invalid_grant" }, { status: 400 });
      await call(world, "POST", "/auth/acme/refresh", cookie);
      delete world.idp.change.token;
    },
  };
  for (const [how, end] of Object.entries(ends)) {
    await withWorld(async (world) => {
      const { browser } = await createStage(world).signedIn("alice");
      const held = browser.jar.sent(new URL(ACME.publicUrl)).map(({ name, value }) => `${name}=${value}`);
      const copies = [held.join("; "), ...held.filter((pair) => !pair.startsWith("signed_in"))];
      await end(world, copies[0]!);
      await world.cloakroom.settle();
      const upstreamCalls = world.upstream.calls.length;
      const tokenCalls = world.idp.calls.token;
      for (const cookie of copies) {
        for (const [method, path] of SHOWN) {
          assertEquals((await call(world, method, path, cookie)).status, 401, `${how}: ${method} ${path}`);
        }
      }
      assertEquals([world.upstream.calls.length, world.idp.calls.token], [upstreamCalls, tokenCalls], how);
    });
  }
});

/** Where copies are shown. */
const SHOWN = [
  ["GET", "/api/x"],
  ["POST", "/api/x"],
  ["GET", PATHS.session!],
  ["POST", "/auth/acme/refresh"],
  ["GET", "/auth/acme/sessions"],
  ["DELETE", "/auth/acme/sessions?all=true"],
] as const;

async function call(world: World, method: string, target: string, cookie: string) {
  const headers = [["Sec-Fetch-Site", "same-origin"], ["Origin", ACME.publicUrl], ["Cookie", cookie]] as const;
  return await sendRequest(world.app.port, { method, host: "api.acme.test", target, headers, body: "" });
}

Deno.test("our token service signs nobody out unasked, and leads to registered addresses only", async () => {
  await withWorld(async (world) => {
    const page = { kind: "http", method: "GET", host: "id.test", path: "{oplogout}", as: "op:alice" };
    const home = "https://client.test/";
    const hints = ["{id_token:mallory}", "{id_token:alice}x", "x", "a.b.c", "..", "", "null"];
    await runAll(
      world,
      hints.map((id_token_hint) => ({ ...page, query: { id_token_hint, post_logout_redirect_uri: home } })),
      { status: [200, 400] },
    );
    const addresses = [
      ...[
        "https://evil.test/",
        "//evil.test/",
        "https://client.test",
        "https://client.test/x",
        "https://client.test//",
      ],
      ...[
        "https://client.test/?",
        "https://client.test/#",
        "https://CLIENT.test/",
        "http://client.test/",
        " https://client.test/",
      ],
      ...["https://client.test@evil.test/", "https://client.test.evil.test/", "https://evil.test\\@client.test/"],
      ...[
        "javascript:alert(1)",
        "data:text/html,x",
        "/",
        "https://client.test/\r\nX: y",
        "https://client.test/%2e%2e",
      ],
    ];
    await runAll(
      world,
      addresses.map((post_logout_redirect_uri) => ({
        ...page,
        query: { id_token_hint: "{id_token:alice}", post_logout_redirect_uri },
      })),
      { status: [400], never_host: ["evil.test"] },
    );
  });
});

async function signLogoutToken({ idp, clock }: World): Promise<string> {
  const claims = {
    iss: idp.issuer,
    sub: "alice",
    aud: ACME.clientId,
    jti: crypto.randomUUID(),
    events: { [EVENT]: {} },
  };
  return await signJwt(idp.key, { typ: "logout+jwt" }, { ...claims, iat: clock(), exp: clock() + 120 });
}

async function runAll(world: World, requests: readonly AttackRequest[], expect: AttackExpectation): Promise<void> {
  const faults: string[] = [];
  for (const request of requests) {
    const what = JSON.stringify(request);
    const found = await run(world, { group: "logout", id: "generated", what, request, expect });
    if (found.length > 0) faults.push(`${what}: ${found.join("; ")}`);
  }
  assertEquals(faults, []);
}

type AttackExpectation = Readonly<Record<string, unknown>>;
