/**
 * Open redirects, generated: every prefix with every separator with every foreign host. Whatever the product accepts, the
 * browser must not land on a foreign host, judged by parsing `Location` as a browser does.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { PATHS } from "../names.ts";
import { ACME, withWorld, type World } from "../world.ts";

const PREFIXES = [
  ...["", "/", "//", "///", "////", "/\\", "\\", "\\\\", "\\/", "/\t/", "/\n/", "\t//", " //", "/ /", "/\u0000/"],
  ...["/%09/", "/%2f", "/%5c", "/%2F%2f", "/.//", "/..//", "/a/..//", "/a/../\\", "/%2e//", "/%2E%2e//", ".//"],
  ...[
    "http://",
    "https://",
    "https:",
    "https:/",
    "HTTPS:///",
    "https:\\\\",
    "ftp://",
    "javascript://",
    "data:text/html,",
  ],
  ...[
    "blob:https://api.acme.test/",
    "https://api.acme.test@",
    "https://www.acme.test",
    "https://api.acme.test:443",
    "@",
  ],
];

const SEPARATORS = [
  ...["", "/", "//", "\\", "@", ":", ".", "-", "%2f", "%5c", "%00", "%2e", "\t", "\n", "#", "?", ";", "%0d%0a", "。"],
  "\u2044",
];

const HOSTS = [
  ...["evil.test", "evil.test/", "EVIL.TEST:443/x", "evil%2etest", "evil。test/", "evil%E3%80%82test", "2130706433/"],
  ...["[::1]", "0x7f.1", "user:pass@evil.test", "evil.test#.acme.test", "evil.test?@api.acme.test/"],
];

/** Hosts where a browser may land. */
const OWN_HOSTS = ["api.acme.test", "www.acme.test"];

assertEquals([PREFIXES, SEPARATORS, HOSTS].map((list) => new Set(list).size), [40, 20, 12]);

const TARGETS = PREFIXES.flatMap((prefix) =>
  SEPARATORS.flatMap((separator) => HOSTS.map((host) => `${prefix}${separator}${host}`))
);

Deno.test("no generated return target of a login leads to a foreign host", async () => {
  await withWorld(async (world) => {
    let accepted = 0;
    for (const target of TARGETS) {
      const landing = await landAfterLogin(world, target);
      if (landing === null) continue;
      accepted++;
      assertOwn(landing, target);
    }
    // Some are paths of our own and have to work, or else nothing would have been shown.
    assert(accepted > 100 && accepted < TARGETS.length / 2, `${accepted} of ${TARGETS.length} accepted`);
  });
});

Deno.test("no generated return target of a logout leads to a foreign host", async () => {
  await withWorld(async (world) => {
    let accepted = 0;
    for (const target of TARGETS) {
      const response = await visit(world, `${PATHS.logout}?${new URLSearchParams({ return_to: target })}`);
      if (response.status === 400) continue;
      accepted++;
      const atProvider = new URL(response.headers.get("location")!);
      assertEquals(atProvider.host, "idp.test");
      assertOwn(atProvider.searchParams.get("post_logout_redirect_uri")!, target);
    }
    assert(accepted > 100 && accepted < TARGETS.length / 2, `${accepted} of ${TARGETS.length} accepted`);
  });
});

/** Asks the product without a socket in between: there are thousands of questions. */
async function visit(world: World, path: string, cookie = ""): Promise<Response> {
  const headers = { cookie, accept: "text/html", "sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate" };
  return await world.cloakroom.fetch(new Request(`${ACME.publicUrl}${path}`, { headers }));
}

/** Begins a login and lets the provider break it off, which leads to the return target too. */
async function landAfterLogin(world: World, target: string): Promise<string | null> {
  const login = await visit(world, `${PATHS.login}?${new URLSearchParams({ returnTo: target })}`);
  if (login.status === 400) return null;
  assertEquals(login.status, 302, JSON.stringify(target));
  const state = new URL(login.headers.get("location")!).searchParams.get("state")!;
  const cookie = login.headers.getSetCookie()[0]!.split(";", 1)[0]!;
  const answer = new URLSearchParams({ error: "access_denied", state, iss: world.idp.issuer });
  const { status, headers } = await visit(world, `${PATHS.callback}?${answer}`, cookie);
  assertEquals(status, 302, JSON.stringify(target));
  return headers.get("location")!;
}

function assertOwn(location: string, target: string): void {
  const url = new URL(location, `${ACME.publicUrl}${PATHS.callback}`);
  const isOwn = url.protocol === "https:" && OWN_HOSTS.includes(url.host) && url.username === "" && url.password === "";
  // A page that reads the path and navigates there would leave by two slashes.
  assert(isOwn && !/^\/[\\/]/.test(url.pathname), `${JSON.stringify(target)} leads to ${location}`);
  // deno-lint-ignore no-control-regex
  assert(!/[\u0000-\u0020\u007f-\uffff]/.test(location), `${JSON.stringify(target)} puts odd characters into Location`);
}
