/**
 * Neighbours of the raw cases: every character beside a host, methods, request targets, and every way of framing a body
 * that two servers could read in two ways.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { converse } from "../../support/raw_http.ts";
import { GOODBYE } from "../kinds/http.ts";
import { createStage } from "../stage.ts";
import { ACME, withWorld, type World } from "../world.ts";

const HOST = "api.acme.test";
const LOGIN = "/auth/acme/login";
const REDIRECT_URI = `${ACME.publicUrl}/auth/acme/callback`;

/** What comes back, and what happens behind the product. */
interface Seen {
  readonly statuses: readonly number[];
  readonly isClosed: boolean;
  /** Where the first answer sends the browser back to, if it is a login. */
  readonly redirectUri: string | null;
  /** What the upstream saw. */
  readonly paths: readonly string[];
}

async function ask(world: World, text: string): Promise<Seen> {
  // One character a byte: a host beyond ASCII is not UTF-8 either.
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  const before = world.upstream.calls.length;
  const { answers, isClosed } = await converse(world.app.port, bytes, GOODBYE);
  const location = URL.parse(answers[0]?.headers.get("location") ?? "");
  return {
    statuses: answers.map(({ status }) => status),
    isClosed,
    redirectUri: location?.searchParams.get("redirect_uri") ?? null,
    paths: world.upstream.calls.slice(before).map(({ path }) => path),
  };
}

const CHARACTERS = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code));

/** Beside, inside and instead of a host. */
const HOST_SHAPES: readonly ((character: string) => string)[] = [
  (character) => `${HOST}${character}`,
  (character) => `${character}${HOST}`,
  (character) => `${HOST}${character}evil.test`,
  (character) => `evil.test${character}${HOST}`,
  (character) => `${HOST}:443${character}`,
  (character) => character,
];

Deno.test("no character beside a host makes another host of it, and none is acme's but acme's own", async () => {
  await withWorld(async (world) => {
    let accepted = 0;
    for (const character of CHARACTERS) {
      for (const shape of HOST_SHAPES) {
        const host = shape(character);
        // A bare LF ends the line (the runtime's gap, ht-47): what follows is another header.
        if (host.includes("\n")) continue;
        const { statuses, redirectUri } = await ask(world, `GET ${LOGIN} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
        const [status] = statuses;
        if (status !== 302) {
          assert([400, 404, 421].includes(status!), `${JSON.stringify(host)}: ${statuses}`);
          continue;
        }
        accepted++;
        assertEquals(host.replace(/^[ \t]+|[ \t]+$/g, "").toLowerCase(), HOST);
        assertEquals(redirectUri, REDIRECT_URI);
      }
    }
    // Space and tab around it are no part of it.
    assert(accepted >= 2 && accepted <= 4, `${accepted} accepted`);
  });
});

const TARGETS = [
  ...[`http://${HOST}${LOGIN}`, `https://${HOST}${LOGIN}`, `HTTP://${HOST}${LOGIN}`, `http://API.ACME.TEST${LOGIN}`],
  ...[`http://api.globex.test${LOGIN}`, `http://evil.test${LOGIN}`, `http://${HOST}@evil.test${LOGIN}`],
  ...[
    `http://evil.test@${HOST}${LOGIN}`,
    `http://${HOST}:99999${LOGIN}`,
    `http://${HOST}.${LOGIN}`,
    `//evil.test${LOGIN}`,
  ],
  ...[`http:${LOGIN}`, `http:/${HOST}${LOGIN}`, `http:///${HOST}${LOGIN}`, `ftp://${HOST}${LOGIN}`, `file://${LOGIN}`],
  ...[
    `javascript:${LOGIN}`,
    `${HOST}${LOGIN}`,
    `${HOST}:443`,
    "*",
    "",
    "?",
    `?${LOGIN}`,
    `#${LOGIN}`,
    `\\\\${HOST}${LOGIN}`,
  ],
];

Deno.test("a request target that names a host names the one in Host, or is refused", async () => {
  await withWorld(async (world) => {
    for (const target of TARGETS) {
      const { statuses, redirectUri } = await ask(world, `GET ${target} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      if (statuses[0] !== 302) assert([400, 404, 421].includes(statuses[0]!), `${target}: ${statuses}`);
      else assertEquals([URL.parse(target)?.host, redirectUri], [HOST, REDIRECT_URI], target);
    }
  });
});

const METHODS = [
  ...["TRACE", "TRACK", "CONNECT", "PROPFIND", "M-SEARCH", "LINK", "PURGE", "DEBUG", "BREW", "QUERY", "PRI", "SOURCE"],
  ...["get", "Get", "gET", "post", "GETT", "GE", "GET!", "G", "__proto__", "constructor", "A".repeat(1000), "0"],
];

Deno.test("no other method reaches the upstream, whoever sends it, and no answer repeats what it was sent", async () => {
  await withWorld(async (world) => {
    const { browser } = await createStage(world).signedIn("alice");
    const cookie = browser.jar.header(new URL(ACME.publicUrl))!;
    for (const method of METHODS) {
      for (const target of ["/public", "/api/x", LOGIN, "*"]) {
        const head = `${method} ${target} HTTP/1.1\r\nHost: ${HOST}\r\nX-CSRF: 1\r\nCookie: ${cookie}\r\n\r\n`;
        const { statuses, paths } = await ask(world, head);
        assert([400, 404, 405, 501].includes(statuses[0]!), `${method.slice(0, 20)} ${target}: ${statuses}`);
        assertEquals([statuses.length, paths], [1, []], method);
      }
    }
  });
});

const SMUGGLED = "/public/smuggled";
const SECOND = `GET ${SMUGGLED} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

/** Headers that frame a body in a way that is not allowed, or that two servers read in two ways (RFC 9112, section 6). */
const FRAMINGS = [
  ...[
    "identity",
    "xchunked",
    "chunkedx",
    "chunked, identity",
    "chunked, chunked",
    "chunked;q=1",
    "cow",
  ]
    .map((coding) => `Transfer-Encoding: ${coding}`),
  ...['"chunked"', "chunked\u000b", "\u000bchunked", "chunked\u0000", "chun ked", "chunked\u00a0", "\u00e7hunked"]
    .map((coding) => `Transfer-Encoding: ${coding}`),
  ...["0", "4", "5", "999"].map((length) => `Content-Length: ${length}\r\nTransfer-Encoding: chunked`),
  ...["0", "4", "5", "999"].map((length) => `Transfer-Encoding: chunked\r\nContent-Length: ${length}`),
  ...["Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", "X: y\r\n Transfer-Encoding: chunked"],
  ...["X: y\rTransfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked", "\u0000Transfer-Encoding: chunked"],
  ...[
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
  ],
  ...[
    "+5",
    "-1",
    "-0",
    "0x5",
    "5e0",
    "5.0",
    "1 1",
    "five",
    "5;",
    "5, 6",
    "\u000b5",
    "5\u0000",
    "\u00b2",
    "18446744073709551616",
  ]
    .map((length) => `Content-Length: ${length}`),
  ...["5\r\nContent-Length: 6", "0\r\nContent-Length: 5", "5\r\nContent-Length : 5"].map((length) =>
    `Content-Length: ${length}`
  ),
];

Deno.test("a body that two servers could frame in two ways is refused, and the connection with it", async () => {
  await withWorld(async (world) => {
    for (const method of ["POST", "GET", "DELETE"]) {
      for (const framing of FRAMINGS) {
        const head = `${method} /public HTTP/1.1\r\nHost: ${HOST}\r\n${framing}\r\n\r\n`;
        const { statuses, isClosed, paths } = await ask(world, `${head}0\r\n\r\n${SECOND}`);
        const what = `${method} ${JSON.stringify(framing)}: ${statuses}`;
        assert(statuses.length === 0 || (statuses.length === 1 && statuses[0] === 400), what);
        assertEquals([isClosed, paths], [true, []], what);
      }
    }
  });
});

/** What may not stand where a chunk begins. */
const CHUNKS = [
  ...["fffffffffffffffff", "10000000000000000", "-1", "+1", "0x1", "1 1", "g", "", " ", ";", "1\u0000", "\u00b9"],
  ...["1;\n", "1\n", "1;a\u0000", "1\r", "1\rx"],
];

Deno.test("a body whose chunks are wrong never arrives whole, and nothing behind it is a request", async () => {
  await withWorld(async (world) => {
    for (const chunk of CHUNKS) {
      const head = `POST /public HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n`;
      const { statuses, isClosed, paths } = await ask(world, `${head}${chunk}\r\na\r\n0\r\n\r\n${SECOND}`);
      const what = `${JSON.stringify(chunk)}: ${statuses}`;
      assert(statuses.length <= 1 && isClosed, what);
      assert(statuses[0] === undefined || statuses[0] === 400, what);
      assertEquals(paths.includes(SMUGGLED), false, what);
    }
  });
});

Deno.test("a body is never the next request, whatever the method", async () => {
  await withWorld(async (world) => {
    const bodies: Readonly<Record<string, readonly [header: string, body: string]>> = {
      "with its length": [`Content-Length: ${SECOND.length}`, SECOND],
      "in a chunk": ["Transfer-Encoding: chunked", `${SECOND.length.toString(16)}\r\n${SECOND}\r\n0\r\n\r\n`],
      "in a trailer": ["Transfer-Encoding: chunked", `0\r\nX: ${SECOND.split("\r\n", 1)[0]}\r\n\r\n`],
    };
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
      for (const target of ["/public", "/api/x", LOGIN, "/auth/acme/userinfo", "/nowhere"]) {
        for (const [how, [header, body]] of Object.entries(bodies)) {
          const head = `${method} ${target} HTTP/1.1\r\nHost: ${HOST}\r\n${header}\r\n\r\n`;
          const { statuses, paths } = await ask(world, head + body);
          const what = `${method} ${target} ${how}: ${statuses}`;
          assertEquals([statuses.length, paths.includes(SMUGGLED)], [1, false], what);
          assert(statuses[0]! < 500, what);
        }
      }
    }
    // A second request that really is one is answered, or else nothing would have been shown.
    const both = await ask(world, `POST /public HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 2\r\n\r\n{}${SECOND}`);
    assertEquals([both.statuses, both.paths], [[200, 200], ["/public", SMUGGLED]]);
  });
});
