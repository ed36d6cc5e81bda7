/**
 * Neighbours of the CSRF and CORS cases: every origin that is not one of acme's, at every endpoint that does something.
 * The rule: an origin is one of the vendor's, character by character, or it is foreign.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { sendRequest } from "../../support/raw_http.ts";
import { createStage, type Person, sessionOf } from "../stage.ts";
import { ACME, GLOBEX, withWorld, type World } from "../world.ts";

const HOST = "api.acme.test";
const OWN = [ACME.publicUrl, ...ACME.allowedOrigins];

/** Other spellings and look-alikes of an origin. */
const SPELLINGS: readonly ((origin: string) => string)[] = [
  (origin) => origin.replace("https:", "http:"),
  (origin) => origin.replace("https:", "HTTPS:"),
  (origin) => origin.replace("https:", "ftp:"),
  (origin) => origin.replace("https://", ""),
  (origin) => origin.replace("https://", "https:"),
  (origin) => origin.replace("https://", "https:////"),
  (origin) => `${origin}/`,
  (origin) => `${origin}/path`,
  (origin) => `${origin}.`,
  (origin) => `${origin}:443`,
  (origin) => `${origin}:8443`,
  (origin) => `${origin}:`,
  (origin) => `${origin}.evil.test`,
  (origin) => `${origin}evil.test`,
  (origin) => `${origin}@evil.test`,
  (origin) => `${origin}%00.evil.test`,
  (origin) => `${origin}#.evil.test`,
  (origin) => `${origin}?evil.test`,
  (origin) => `${origin}, https://evil.test`,
  (origin) => `https://evil.test, ${origin}`,
  (origin) => `https://evil.test ${origin}`,
  (origin) => `${origin} https://evil.test`,
  (origin) => origin.replace("https://", "https://evil.test@"),
  (origin) => origin.replace("https://", "https://evil."),
  (origin) => origin.replace("https://", "https://evil"),
  (origin) => origin.replace(".acme", "-acme"),
  (origin) => origin.replace(".acme", "xacme"),
  (origin) => origin.replace(".test", ".tests"),
  (origin) => origin.replace(".test", "%2etest"),
  (origin) => origin.replace("acme", "ACME"),
  (origin) => origin.replace("acme", "\u0430cme"),
  (origin) => origin.replace("acme", "xn--cme-7cd"),
];

const FOREIGN = [
  ...OWN.flatMap((origin) => SPELLINGS.map((spell) => spell(origin))),
  ...[
    "null",
    "NULL",
    "undefined",
    "*",
    "https://*.acme.test",
    "https://acme.test",
    "https://other.acme.test",
    "about:blank",
  ],
  ...[
    "https://evil.test",
    GLOBEX.publicUrl,
    ...GLOBEX.allowedOrigins,
    "file://",
    "chrome-extension://abc",
    "app://x",
    "x",
  ],
  ...["https://", "https://[::1]", "http://localhost", "https://192.0.2.1", "data:", "blob:https://www.acme.test"],
];

/** What changes something. */
const CHANGES: readonly (readonly [method: string, target: string])[] = [
  ...["POST", "PUT", "PATCH", "DELETE"].map((method) => [method, "/api/x"] as const),
  ["POST", "/auth/acme/refresh"],
  ["POST", "/auth/acme/logout"],
  ["DELETE", "/auth/acme/sessions"],
  ["DELETE", "/auth/acme/sessions/some-id"],
  ["POST", "/auth/refresh"],
  ["POST", "/auth/logout"],
  ["DELETE", "/auth/sessions?all=true"],
];

/** What only tells something. */
const READS = ["/api/x", "/auth/acme/userinfo", "/auth/userinfo", "/auth/acme/sessions"];

Deno.test("no foreign origin changes anything, whatever else it sends", async () => {
  await withAlice(async (world, alice) => {
    const more = [[], [["X-CSRF", "1"], ["token-handler-version", "1"]], [["Sec-Fetch-Site", "same-origin"]]] as const;
    for (const origin of FOREIGN) {
      for (const [method, target] of CHANGES) {
        for (const headers of more) {
          const answer = await call(world, alice, { method, target, headers: [["Origin", origin], ...headers] });
          assertEquals(answer.status, 403, `${method} ${target} from ${origin}`);
          assertNoCors(answer, origin);
        }
      }
    }
    assertEquals([await sessionOf(alice), world.upstream.calls.length], ["alice", 0]);
  });
});

Deno.test("no foreign origin may read anything, not even a refusal", async () => {
  await withAlice(async (world, alice) => {
    for (const origin of FOREIGN) {
      for (const target of READS) {
        assertNoCors(await call(world, alice, { target, headers: [["Origin", origin]] }), origin);
      }
      for (const target of [...READS, "/auth/acme/refresh", "/nowhere"]) {
        for (const method of ["GET", "DELETE"]) {
          const headers = [["Origin", origin], ["Access-Control-Request-Method", method]] as const;
          const answer = await call(world, null, { method: "OPTIONS", target, headers });
          assert([200, 204, 403, 404].includes(answer.status), `${answer.status}`);
          assertNoCors(answer, origin);
        }
      }
    }
    // Whoever is allowed may, or else nothing would have been shown.
    for (const origin of ACME.allowedOrigins) {
      const { headers, status } = await call(world, alice, {
        target: "/auth/acme/userinfo",
        headers: [["Origin", origin]],
      });
      assertEquals([status, headers.get("access-control-allow-origin")], [200, origin]);
    }
  });
});

Deno.test("a call without an origin changes something only where the browser, or a header, says that it is ours", async () => {
  await withAlice(async (world, alice) => {
    for (const site of ["cross-site", "same-site", "none", "", "Same-Origin", "same-origin, cross-site", "x"]) {
      for (const [method, target] of CHANGES) {
        for (
          const headers of [[], [["X-CSRF", "1"]], [["Sec-Fetch-Mode", "navigate"], ["Accept", "text/html"]]] as const
        ) {
          const all = [["Sec-Fetch-Site", site], ...headers] as const;
          const { status } = await call(world, alice, { method, target, headers: all });
          assertEquals(status, 403, `${method} ${target}, ${site}, ${headers}`);
        }
      }
    }
    for (const value of ["", "0", "true", "2", "1, 1", "11"]) {
      const { status } = await call(world, alice, { method: "POST", headers: [["X-CSRF", value]] });
      assertEquals(status, 403, `X-CSRF: ${value}`);
    }
    assertEquals([await sessionOf(alice), world.upstream.calls.length], ["alice", 0]);
    for (const headers of [[["X-CSRF", "1"]], [["Sec-Fetch-Site", "same-origin"]]] as const) {
      assertEquals((await call(world, alice, { method: "POST", headers })).status, 200);
    }
  });
});

Deno.test("nobody is signed out by an address that somebody else's page leads to", async () => {
  await withAlice(async (world, alice) => {
    const modes = ["navigate", "no-cors", "cors", "websocket", "same-origin", "", "x"];
    const targets = ["/auth/acme/logout", "/auth/logout", "/auth/acme/logout?sid=x", "/auth/acme/logout?returnTo=/"];
    for (const mode of modes) {
      for (const target of [...targets, "/auth/acme/frontchannel-logout?sid=x"]) {
        const headers = [["Sec-Fetch-Site", "cross-site"], ["Sec-Fetch-Mode", mode]] as const;
        const { status } = await call(world, alice, { target, headers });
        assert(status < 500, `${status}`);
        assertEquals(await sessionOf(alice), "alice", `${target}, ${mode}`);
      }
    }
  });
});

Deno.test("no foreign page opens a WebSocket, with whatever spelling of the handshake", async () => {
  await withAlice(async (world, alice) => {
    const handshakes = [["Upgrade", "websocket"], ["upgrade", "WebSocket"], [
      "keep-alive, Upgrade",
      "websocket",
    ]] as const;
    for (const origin of [...FOREIGN, null]) {
      for (const [connection, upgrade] of handshakes) {
        const headers = [
          ...origin === null ? [] : [["Origin", origin] as const],
          ["Connection", connection] as const,
          ["Upgrade", upgrade] as const,
          ["Sec-WebSocket-Version", "13"] as const,
          ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="] as const,
        ];
        assertEquals((await call(world, alice, { target: "/api/ws", headers })).status, 403, `${origin}`);
      }
    }
    assertEquals(world.upstream.calls.length, 0);
  });
});

async function withAlice(run: (world: World, alice: Person) => Promise<void>): Promise<void> {
  await withWorld(async (world) => await run(world, await createStage(world).signedIn("alice")));
}

interface Call {
  readonly method?: string;
  readonly target?: string;
  readonly headers: readonly (readonly [string, string])[];
}

async function call(world: World, person: Person | null, { method = "GET", target = "/api/x", headers }: Call) {
  const cookie = person?.browser.jar.header(new URL(ACME.publicUrl)) ?? null;
  const all = cookie === null ? headers : [["Cookie", cookie] as const, ...headers];
  return await sendRequest(world.app.port, { method, host: HOST, target, headers: all });
}

function assertNoCors({ headers }: { readonly headers: Headers }, origin: string): void {
  const found = [...headers.keys()].filter((name) => name.startsWith("access-control-"));
  assertEquals(found, [], origin);
  assert(headers.get("vary")?.toLowerCase().split(/, */).includes("origin"), `Vary is ${headers.get("vary")}`);
}
