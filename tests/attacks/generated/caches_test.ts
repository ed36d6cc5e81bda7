/**
 * Neighbours of the cache cases: whatever has to do with cookies is kept by nobody, whatever an address looks like.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { sendRequest } from "../../support/raw_http.ts";
import { createStage, type Person } from "../stage.ts";
import { ACME, withWorld, type World } from "../world.ts";

const HOST = "api.acme.test";

/** Addresses of our own, with whatever comes of them. */
const OWN_TARGETS: readonly (readonly [method: string, target: string])[] = [
  ...["login", "login?returnTo=//evil.test", "callback", "callback?error=x&state=y", "userinfo", "userinfo?touch=false"]
    .map((path) => ["GET", `/auth/acme/${path}`] as const),
  ...[
    "sessions",
    "logout",
    "logout?sid=x",
    "frontchannel-logout",
    "frontchannel-logout?iss=x&sid=y",
    "refresh",
    "nothing",
  ]
    .map((path) => ["GET", `/auth/acme/${path}`] as const),
  ...["refresh", "callback", "backchannel-logout"].map((path) => ["POST", `/auth/acme/${path}`] as const),
  ...["/auth/userinfo", "/auth/sessions", "/auth/auth/acme/userinfo", "/auth", "/auth/nobody/login"]
    .map((path) => ["GET", path] as const),
  ...["/healthz", "/readyz", "/management/vendors/acme/token-handler", "/nowhere"]
    .map((path) => ["GET", path] as const),
  ...["/auth/acme/userinfo", "/auth/acme/login"].flatMap((path) => [["HEAD", path], ["OPTIONS", path]] as const),
];

Deno.test("nothing that we say ourselves is kept, whoever asks and however", async () => {
  await withWorld(async (world) => {
    const stage = createStage(world);
    const people = [null, await stage.signedIn("alice"), await stage.begun("mallory")];
    for (const person of people) {
      // Somewhere on the way alice's session ends: from there on, her cookies are cleared.
      for (const [method, target] of OWN_TARGETS) {
        for (const headers of [[], NAVIGATION, [["If-None-Match", "*"]], [["Range", "bytes=0-1"]]] as const) {
          const answer = await call(world, person, { method, target, headers });
          const control = answer.headers.get("cache-control");
          assertEquals(control, "no-store", `${method} ${target}: ${answer.status} with ${control}`);
          assert(![206, 304].includes(answer.status), `${answer.status}`);
        }
      }
    }
  });
});

const NAVIGATION = [["Accept", "text/html"], ["Sec-Fetch-Mode", "navigate"], [
  "Sec-Fetch-Site",
  "same-origin",
]] as const;

/** What somebody hangs on an address, so that a cache takes it for a file. */
const SUFFIXES = [
  "/x.css",
  "/.css",
  ".css",
  ".js",
  ";x.css",
  ";.js",
  "%2fx.css",
  "%5cx.css",
  "%3bx.css",
  "%3fx.css",
  "%23.css",
]
  .concat([
    "%00.css",
    "%0a.css",
    "%20.css",
    "%2ecss",
    "//x.css",
    "/..%2fx.css",
    "/%2e%2e/x.css",
    "/../x.css",
    "~.css",
    "&.css",
  ]);

Deno.test("no address beside a session's is that session's", async () => {
  await withWorld(async (world) => {
    const alice = await createStage(world).signedIn("alice");
    for (const path of ["/auth/acme/userinfo", "/auth/userinfo", "/auth/acme/sessions"]) {
      for (const suffix of SUFFIXES) {
        const { status, body } = await call(world, alice, { target: `${path}${suffix}` });
        assert([400, 404, 405].includes(status) && !body.includes("alice"), `${path}${suffix}: ${status}`);
      }
      for (const query of ["?x.css", "?/x.css", "?a=/x.js"]) {
        const { headers, status } = await call(world, alice, { target: `${path}${query}` });
        assertEquals([status, headers.get("cache-control")], [200, "no-store"]);
      }
    }
  });
});

/** What an upstream says about caches. */
const UPSTREAM_SAYS = [
  "public, max-age=600",
  "max-age=600",
  "s-maxage=600",
  "immutable",
  "private, max-age=5",
  "",
  null,
];

Deno.test("an answer that sets our cookies is kept by nobody, whatever the upstream says", async () => {
  await withWorld(async (world) => {
    for (const says of UPSTREAM_SAYS) {
      for (const status of [200, 304, 404, 500]) {
        const stage = createStage(world);
        const alice = await stage.signedIn("alice");
        world.clock.advance(3601);
        const headers = { etag: '"x"', ...says === null ? {} : { "cache-control": says } };
        const body = status === 304 ? null : "whole";
        world.upstream.reply = () => new Response(body, { status, headers });
        const answer = await call(world, alice, {});
        assertEquals([answer.status, answer.headers.get("cache-control")], [status, "no-store"], `${says}`);
        assert(answer.headers.getSetCookie().length > 0);
        // With a token but without cookies it is the upstream's word, or for one person.
        for (const line of answer.headers.getSetCookie()) alice.browser.jar.take(new URL(ACME.publicUrl), line);
        const again = await call(world, alice, {});
        assertEquals(
          [again.headers.get("cache-control"), again.headers.getSetCookie()],
          [says ?? "private", []],
          `${says}`,
        );
      }
    }
  });
});

Deno.test("nobody gets an upstream's answer by knowing its tag, its date or its range", async () => {
  await withWorld(async (world) => {
    const conditions: readonly (readonly [string, string])[] = [
      ...["*", '"x"', 'W/"x"', '"x", "y"'].flatMap((tag) =>
        ["If-None-Match", "If-Match", "If-Range"].map((name) => [name, tag] as const)
      ),
      ["If-Modified-Since", "Sat, 21 Nov 2026 00:00:00 GMT"],
      ["If-Unmodified-Since", "Sat, 21 Nov 2026 00:00:00 GMT"],
      ["Range", "bytes=0-"],
      ["Cache-Control", "only-if-cached"],
    ];
    for (const header of conditions) {
      for (const target of ["/api/x", "/private", "/auth/acme/userinfo"]) {
        assertEquals((await call(world, null, { target, headers: [header] })).status, 401, `${target} with ${header}`);
      }
    }
    assertEquals(world.upstream.calls.length, 0);
  });
});

interface Call {
  readonly method?: string;
  readonly target?: string;
  readonly headers?: readonly (readonly [string, string])[];
}

async function call(world: World, person: Person | null, { method = "GET", target = "/api/x", headers = [] }: Call) {
  const cookie = person?.browser.jar.header(new URL(ACME.publicUrl)) ?? null;
  const all = cookie === null ? headers : [["Cookie", cookie] as const, ...headers];
  return await sendRequest(world.app.port, { method, host: HOST, target, headers: all });
}
