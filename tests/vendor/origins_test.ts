import { assertEquals } from "@std/assert";
import { readOrigin, readReturnTarget } from "../../lib/vendor/mod.ts";

const OWN = "https://api.site.test";
const PAGE = "https://www.site.test";
const OPTIONS = { ownOrigin: OWN, allowedOrigins: [PAGE, "https://shop.site.test:8443", "http://localhost:3000"] };

Deno.test("readReturnTarget() takes paths on the own origin and addresses on listed ones", () => {
  const rows: readonly (readonly [given: string, read?: string])[] = [
    ["/", `${OWN}/`],
    ["/news?page=2&sort=a%20b#top", `${OWN}/news?page=2&sort=a%20b#top`],
    ["/a//b", `${OWN}/a//b`],
    ["/a/", `${OWN}/a/`],
    ["/#/app/route", `${OWN}/#/app/route`],
    ["/?next=https://evil.test/", `${OWN}/?next=https://evil.test/`],
    ["/?path=%2F%2Fevil.test%5C", `${OWN}/?path=%2F%2Fevil.test%5C`],
    ["/#//evil.test\\", `${OWN}/#//evil.test\\`],
    ["/@evil.test", `${OWN}/@evil.test`],
    ["/:80", `${OWN}/:80`],
    ["/authors", `${OWN}/authors`],
    ["/x/auth/acme/logout", `${OWN}/x/auth/acme/logout`],
    ["/a%20b", `${OWN}/a%20b`],
    ["/caf%C3%A9", `${OWN}/caf%C3%A9`],
    ["/café?q=ü#ß", `${OWN}/caf%C3%A9?q=%C3%BC#%C3%9F`],
    ["/🍪", `${OWN}/%F0%9F%8D%AA`],
    [OWN, `${OWN}/`],
    [`${OWN}/x`],
    [PAGE, `${PAGE}/`],
    [`${PAGE}/`],
    [`${PAGE}/news?page=2#top`],
    [`${PAGE}/auth/x`],
    ["https://shop.site.test:8443/cart"],
    ["http://localhost:3000/"],
  ];
  for (const [given, read = given] of rows) assertEquals(readReturnTarget(given, OPTIONS), read, given);
});

Deno.test("readReturnTarget() refuses everything else", async (t) => {
  const bad = [
    "",
    " ",
    "news",
    "./news",
    "../",
    "?a",
    "#a",
    "//",
    "//evil.test",
    "///evil.test",
    "////evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    "/\t/evil.test",
    "/\n/evil.test",
    "/\r\nSet-Cookie: a=b",
    "\u0000//evil.test",
    "/ /evil.test",
    " /",
    "/ ",
    "/\u007f",
    "/%09/evil.test",
    "/%0d%0aSet-Cookie:%20a=b",
    "/%00",
    "/%2f/evil.test",
    "/%2Fevil.test",
    "/a%2Fb",
    "/%5cevil.test",
    "/a%5Cb",
    "/a\\b",
    "/./x",
    "/../x",
    "/a/../b",
    "/a/%2e%2e/b",
    "/%2e",
    "/<script>",
    '/"',
    "/\ud800",
    "/?q=\ud800",
    "/#\udc00",
    "https:",
    "https:/",
    "https://",
    "https:www.site.test",
    "https:/www.site.test/",
    "https:///www.site.test/",
    "https:\\\\www.site.test\\",
    "https://evil.test",
    "https://evil.test/www.site.test",
    "https://evil.test/https://www.site.test/",
    "https://evil.test?https://www.site.test/",
    "https://evil.test#https://www.site.test/",
    "https://www.site.test.evil.test/",
    "https://www.site.test@evil.test/",
    "https://www.site.test:443@evil.test/",
    "https://www.site.test%2f@evil.test/",
    "https://www.site.test\\@evil.test/",
    "https://www.site.test\\.evil.test/",
    "https://user@www.site.test/",
    "https://user:password@www.site.test/",
    "https://www.site.test:8443/",
    "https://www.site.test:443/",
    "https://www.site.test:/",
    "https://www.site.test./",
    "https://WWW.site.test/",
    "HTTPS://www.site.test/",
    "https://ｗｗｗ.site.test/",
    "https://www。site.test/",
    "https://www.site.test\t/",
    "https://xwww.site.test/",
    "https://site.test/",
    "http://www.site.test/",
    "ftp://www.site.test/",
    "blob:https://www.site.test/x",
    "filesystem:https://www.site.test/x",
    "view-source:https://www.site.test/",
    "javascript:alert(1)",
    "javascript://www.site.test/%0aalert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "null",
    "undefined",
    `${PAGE}//evil.test`,
    `${PAGE}/\\evil.test`,
    `${PAGE}/a%2fb`,
    `${PAGE}/../x`,
    `/${"x".repeat(2048)}`,
    // Addresses that do something when they are opened.
    "/auth",
    "/auth/acme/logout",
    "/auth/acme/login?returnTo=/",
    "/oauth/authorize",
    "/oidc/logout",
    "/authorize?client_id=x",
    "/management/vendors",
    "/v2/logout",
    "/.well-known/jwks.json",
    `${OWN}/auth/acme/logout`,
  ];
  for (const given of bad) {
    await t.step(JSON.stringify(given).slice(0, 80), () => assertEquals(readReturnTarget(given, OPTIONS), null));
  }
});

Deno.test("readReturnTarget() knows only the own origin where none is listed", () => {
  const options = { ownOrigin: OWN, allowedOrigins: [] };
  assertEquals(readReturnTarget("/x", options), `${OWN}/x`);
  assertEquals(readReturnTarget(`${PAGE}/x`, options), null);
});

Deno.test("whatever readReturnTarget() answers leads to an allowed origin, as a browser sees it", () => {
  const allowed = [OWN, ...OPTIONS.allowedOrigins];
  const pieces = [
    "",
    "/",
    "//",
    "\\",
    "@",
    ":",
    ".",
    "?",
    "#",
    "%2f",
    "%5c",
    "\t",
    "evil.test",
    PAGE,
    OWN,
    "https:",
    "é",
  ];
  let read = 0;
  for (const a of pieces) {
    for (const b of pieces) {
      for (const c of pieces) {
        const target = readReturnTarget(a + b + c, OPTIONS);
        if (target === null) continue;
        read++;
        for (const base of allowed) assertEquals(allowed.includes(new URL(target, base).origin), true, a + b + c);
        assertEquals(new URL(target).href, target);
      }
    }
  }
  assertEquals(read > 100, true);
});

Deno.test("readOrigin() takes http(s) origins as browsers write them", () => {
  for (const origin of ["https://www.site.test", "http://localhost:3000", "https://[::1]:8443"]) {
    assertEquals(readOrigin(origin), origin);
  }
  const bad = [
    "",
    "null",
    "*",
    "www.site.test",
    "https://www.site.test/",
    "https://www.site.test:443",
    "HTTPS://www.site.test",
    "https://WWW.site.test",
    "https://u@www.site.test",
    "https://www.site.test?x",
    "https://www.site.test#",
    "ftp://www.site.test",
    "ws://www.site.test",
    "blob:https://www.site.test/x",
    "chrome-extension://x",
  ];
  for (const text of bad) assertEquals(readOrigin(text), null, text);
});
