/**
 * Neighbours of the path cases: every way of writing dots, with every separator, in front of every place that somebody
 * might want to reach. The rule: a path is in its one normal form, or it is refused before anything is chosen by it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { sendBytes } from "../../support/raw_http.ts";
import { createStage } from "../stage.ts";
import { ACME, withWorld, type World } from "../world.ts";

const DOTS = [
  ...["..", ".", "%2e%2e", "%2E.", ".%2e", "..;", "..;x=y", ".;", "..%3b", "..%00", "..%09", "%252e%252e", "%25%32%65"],
  ...["%c0%ae%c0%ae", "%e0%80%ae", "%uff0e", "\u2025", "", "x", "...", "..x", "x.."],
];

const SEPARATORS = [
  ...["/", "//", "\\", "\\/", "%2f", "%2F", "%5c", "%252f", "%25%32%66", "/./", "/;/", "%c0%af", "%e0%80%af", "%u2215"],
  ...["\t", "%09", "%0a", "%0d%0a", "%00", "#", "%23", "%3f", "\u2215"],
];

const TAILS = ["admin/1", "evil.test/x", "https://evil.test/x", "auth/acme/logout"];

const SHAPES: readonly ((dots: string, separator: string, tail: string) => string)[] = [
  (dots, separator, tail) => `/api/${dots}${separator}${tail}`,
  (dots, separator, tail) => `/api${separator}${dots}/${tail}`,
];

const TARGETS = DOTS.flatMap((dots) =>
  SEPARATORS.flatMap((separator) => TAILS.flatMap((tail) => SHAPES.map((shape) => shape(dots, separator, tail))))
);

Deno.test("no generated path reaches another place than the one it names in every reading", async () => {
  await withCalls(async (call) => {
    let passed = 0;
    for (const target of new Set(TARGETS)) {
      const { status, seen } = await call(target);
      if (status === 400 || status === 404) {
        assertEquals(seen, [], target);
        continue;
      }
      passed++;
      assertEquals([status, seen], [200, [target]], JSON.stringify(target));
      assert(isPlain(target), JSON.stringify(target));
    }
    // Plain neighbours such as /api/x/admin/1 are among them, or else nothing would have been shown.
    assert(passed > 5 && passed < 50, `${passed} of ${TARGETS.length} passed`);
  });
});

/** Tells whether nobody who decodes a path, however often, finds something else than segments below `/api`. */
function isPlain(target: string): boolean {
  let reading = target;
  for (let i = 0; i < 4; i++) {
    // deno-lint-ignore no-control-regex
    if (/[\u0000-\u001f\u007f\\#]/.test(reading)) return false;
    const segments = reading.split("?", 1)[0]!.split("/").slice(1).map((segment) => segment.split(";", 1)[0]!);
    if (
      segments[0] !== "api" || segments.slice(0, -1).includes("") || segments.some((text) => /^\.{1,2}$/.test(text))
    ) {
      return false;
    }
    try {
      reading = decodeURIComponent(reading);
    } catch {
      return false;
    }
  }
  return true;
}

/** Every character, written out and escaped. */
const CHARACTERS = Array.from({ length: 256 }, (_, code) => code);

Deno.test("every character of a path crosses as it was sent, or is refused; no escape is another spelling", async () => {
  await withCalls(async (call) => {
    const crossed: string[] = [];
    for (const code of CHARACTERS) {
      const escape = `%${code.toString(16).padStart(2, "0")}`;
      for (const text of [String.fromCharCode(code), escape, escape.toUpperCase()]) {
        const target = `/api/a${text}b`;
        const { status, seen } = await call(target);
        if (status !== 200) assertEquals([[400, 404].includes(status), seen], [true, []], JSON.stringify(target));
        else if (!target.includes("?")) assertEquals(seen, [target]);
        if (status === 200) crossed.push(text);
      }
    }
    // RFC 3986, section 2.3: these mean the same with and without an escape, so one spelling is enough.
    for (const text of crossed) assert(!/^%/.test(text) || !/[\w.~-]/.test(decodeOrNull(text) ?? ""), text);
    assert(crossed.includes("%20") && crossed.includes("~") && crossed.includes("A"));
  });
});

function decodeOrNull(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

const VENDOR_IDS = [
  ...[
    "ACME",
    "Acme",
    "acme%20",
    "%20acme",
    "acme+",
    "%61cme",
    "acme;x",
    "acme.",
    ".acme",
    "acme%00",
    "acme%0a",
    "acme%2f",
  ],
  ...[
    "acme~",
    "acme'",
    "acme*",
    "*",
    "acme,globex",
    "acme:globex",
    "acme@globex",
    "__proto__",
    "constructor",
    "toString",
  ],
  ...[
    "hasOwnProperty",
    "prototype",
    "login",
    "management",
    "a".repeat(65),
    "%2e%2e",
    "-",
    "\u0430cme",
    "acm%D0%B5",
  ],
];

Deno.test("no other spelling of a vendor is that vendor, and a refusal does not tell why", async () => {
  await withWorld(async (world) => {
    const ask = async (vendorId: string) => {
      const bytes = `GET /auth/${vendorId}/login HTTP/1.1\r\nHost: api.acme.test\r\nConnection: close\r\n\r\n`;
      const { status, body } = (await sendBytes(world.app.port, bytes))!;
      return { status, body: body.replace(/"request_id":"[^"]+"/, "") };
    };
    const nobody = await ask("nobody");
    // No vendor is called "auth": a doubled prefix means the same as one (contract, section 2).
    assertEquals([nobody.status, (await ask("acme")).status], [404, 302]);
    for (const vendorId of VENDOR_IDS) {
      const answer = await ask(vendorId);
      if (answer.status !== 400) assertEquals(answer, nobody, vendorId);
    }
  });
});

interface Call {
  readonly status: number;
  /** Paths that the upstream saw. */
  readonly seen: readonly string[];
}

/** Calls with alice's cookies, each on a connection of its own. */
async function withCalls(run: (call: (target: string) => Promise<Call>) => Promise<void>): Promise<void> {
  await withWorld(async (world: World) => {
    const { browser } = await createStage(world).signedIn("alice");
    const cookie = browser.jar.header(new URL(ACME.publicUrl));
    await run(async (target) => {
      const lines = [
        `GET ${target} HTTP/1.1`,
        "Host: api.acme.test",
        `Cookie: ${cookie}`,
        "X-CSRF: 1",
        "Connection: close",
      ];
      const before = world.upstream.calls.length;
      const answer = await sendBytes(world.app.port, `${lines.join("\r\n")}\r\n\r\n`);
      const seen = world.upstream.calls.slice(before).map(({ path }) => path);
      return { status: answer!.status, seen };
    });
    assertEquals([...new Set(world.network.dialled)].sort(), ["https://idp.test", "https://upstream.test"]);
  });
}
