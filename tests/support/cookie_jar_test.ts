import { assert, assertEquals } from "@std/assert";
import { createTestClock } from "./clock.ts";
import { createCookieJar } from "./cookie_jar.ts";

const API = new URL("https://api.acme.test/auth/login");
const WWW = new URL("https://www.acme.test/");

Deno.test("the jar takes what browsers take, and nothing else", () => {
  const cases: Readonly<Record<string, readonly [isTaken: boolean, url: URL, line: string]>> = {
    "plain": [true, API, "a=1"],
    "for the registrable domain": [true, API, "a=1; Domain=acme.test"],
    "for the registrable domain, with a dot": [true, API, "a=1; Domain=.acme.test"],
    "for another domain": [false, API, "a=1; Domain=globex.test"],
    "for a sibling": [false, API, "a=1; Domain=www.acme.test"],
    "for a public suffix": [false, new URL("https://a.github.io/"), "a=1; Domain=github.io"],
    "Secure over http": [false, new URL("http://api.acme.test/"), "a=1; Secure"],
    "Secure over http on loopback": [true, new URL("http://localhost:1/"), "a=1; Secure"],
    "SameSite=None without Secure": [false, API, "a=1; SameSite=None"],
    "__Host-": [true, API, "__Host-a=1; Path=/; Secure"],
    "__Host- without Secure": [false, API, "__Host-a=1; Path=/"],
    "__Host- without Path": [false, API, "__Host-a=1; Secure"],
    "__Host- with Domain": [false, API, "__Host-a=1; Path=/; Secure; Domain=acme.test"],
    "__host- in lower case without Secure": [false, API, "__host-a=1; Path=/"],
    "__Secure- without Secure": [false, API, "__Secure-a=1"],
    "4,096 bytes": [true, API, `a=${"x".repeat(4095)}`],
    "4,097 bytes": [false, API, `a=${"x".repeat(4096)}`],
    "a control character": [false, API, "a=\u0001"],
    "nothing": [false, API, "="],
  };
  for (const [what, [isTaken, url, line]] of Object.entries(cases)) {
    assertEquals(createCookieJar(createTestClock()).take(url, line), isTaken, what);
  }
});

Deno.test("the jar sends along what belongs to the request", () => {
  const jar = createCookieJar(createTestClock());
  const lines = ["lax=1; SameSite=Lax", "strict=1; SameSite=Strict", "none=1; SameSite=None; Secure", "own=1"];
  for (const line of [...lines, "all=1; Domain=acme.test"]) jar.take(API, `${line}; Path=/`);
  jar.take(API, "deep=1");
  const root = new URL("https://api.acme.test/auth/x");
  assertEquals(jar.header(root), "deep=1; lax=1; strict=1; none=1; own=1; all=1");
  assertEquals(jar.header(WWW), "all=1");
  assertEquals(
    jar.header(root, { isCrossSite: true, isSafeNavigation: true }),
    "deep=1; lax=1; none=1; own=1; all=1",
  );
  assertEquals(jar.header(root, { isCrossSite: true, isSafeNavigation: false }), "none=1");
  assertEquals(jar.header(new URL("http://api.acme.test/auth/x")), "deep=1; lax=1; strict=1; own=1; all=1");
  assertEquals(jar.header(new URL("https://globex.test/")), null);
});

Deno.test("the jar replaces in place, forgets in time, and keeps host and domain apart", () => {
  const clock = createTestClock();
  const jar = createCookieJar(clock);
  for (const line of ["a=1; Max-Age=10", "b=1", "a=2; Max-Age=10", "a=3; Domain=acme.test"]) jar.take(API, line);
  assertEquals(jar.all().map(({ name, value }) => name + value), ["a2", "b1", "a3"]);
  assert(jar.take(API, "a=; Max-Age=0"));
  assertEquals(jar.all().map(({ name, value }) => name + value), ["b1", "a3"]);
  jar.take(API, "c=1; Max-Age=10");
  clock.advance(10);
  assertEquals(jar.all().map(({ name }) => name), ["b", "a"]);
  jar.take(API, "d=1; HttpOnly");
  assertEquals(jar.readable(API), "b=1; a=3");
});
