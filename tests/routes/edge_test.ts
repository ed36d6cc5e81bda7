import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { systemRandom } from "../../lib/random.ts";
import { type Edge, type EdgeOptions, readEdge } from "../../routes/edge.ts";
import { readTrustedProxies, trustNobody } from "../../routes/shared/proxies.ts";

const OPTIONS: EdgeOptions = { clientAddress: "192.0.2.7", trustedProxies: trustNobody, random: systemRandom };

/** A request as `Deno.serve` makes it: address and `Host` are whatever was sent. */
function raw(url: string, headers: HeadersInit = {}, method = "GET"): Request {
  return { url, method, headers: new Headers(headers) } as Request;
}

function read(request: Request, options: Partial<EdgeOptions> = {}): Edge {
  const outcome = readEdge(request, { ...OPTIONS, ...options });
  if (outcome.kind === "refused") throw new Error(outcome.code);
  return outcome.edge;
}

function codeOf(request: Request): string {
  const outcome = readEdge(request, OPTIONS);
  return outcome.kind === "refused" ? outcome.code : outcome.kind;
}

Deno.test("readEdge() hands on the address in its parts", () => {
  const { request: _, requestId, ...edge } = read(raw("https://api.acme.test/api/x%20y?a=b&c=%2F", {
    host: "api.acme.test",
  }, "POST"));
  assertMatch(requestId, /^[\w-]{16}$/);
  assertEquals(edge, {
    method: "POST",
    scheme: "https",
    host: "api.acme.test",
    forwardedHost: null,
    prefix: "",
    path: "/api/x%20y",
    search: "?a=b&c=%2F",
    clientAddress: "192.0.2.7",
    cookie: null,
  });
});

Deno.test("readEdge() writes the host in lower case, without a default port", () => {
  const rows: readonly (readonly [url: string, host: string])[] = [
    ["https://API.Acme.test/", "api.acme.test"],
    ["https://api.acme.test:443/", "api.acme.test"],
    ["http://api.acme.test:80/", "api.acme.test"],
    ["https://api.acme.test:80/", "api.acme.test:80"],
    ["http://localhost:8787/", "localhost:8787"],
    ["http://[::1]:8787/", "[::1]:8787"],
    ["http://127.0.0.1/", "127.0.0.1"],
  ];
  for (const [url, host] of rows) assertEquals(read(raw(url, { host: url.split("/")[2]! })).host, host, url);
});

Deno.test("readEdge() passes every normal address", () => {
  const targets = [
    "/",
    "/a",
    "/a/",
    "/a/b.c/d-e_f~g",
    "/a;v=1/b,c",
    "/a".repeat(100),
    `${"/a".repeat(100)}/`,
    "/100%25",
    "/100%25zz",
    "/@user:name/$x!y*(z)+a=b&c'd",
    "/a|b[c]",
    "/...",
    "/.well-known/x",
    "/a..b/..c",
    "/caf%C3%A9/%F0%9F%8D%AA",
    "/a%20b%40%3A%3B%25",
    "/?",
    "/?a",
    "/?a=b&a=c;d=/e?f",
    "/?redirect=https://evil.test//x\\y%0d%0a%00%2f..%2f",
    "/?q={}|^`",
    `/${"a".repeat(8000)}?${"b".repeat(8000)}`,
  ];
  for (const target of targets) {
    const edge = read(raw(`https://api.acme.test${target}`));
    assertEquals(`${edge.path}${edge.search}`, target);
  }
});

Deno.test("readEdge() refuses an address that two parsers could read in two ways", async (t) => {
  const targets = [
    "//",
    "//evil.test/x",
    "/a//b",
    "/a/../b",
    "/a/..",
    "/./a",
    "/.",
    "/..",
    "/a/..;/b",
    "/a/..;x=1/b",
    "/a/.;/b",
    "/a/%2e%2e/b",
    "/a/%2E%2E/b",
    "/a/.%2e/b",
    "/%2e",
    "/a%2fb",
    "/a%2Fb",
    "/a%5cb",
    "/a\\b",
    "/\\evil.test",
    "/a%00",
    "/a%0d%0aX:y",
    "/a%1f",
    "/a%7f",
    "/%61uth/acme/logout",
    "/%6Danagement/vendors",
    "/a%2Db",
    "/a%5Fb",
    "/a%7Eb",
    "/a%30",
    "/%41",
    "/a%23b",
    "/a%3Fb",
    "/a%3fb",
    "/a/%252e%252e/b",
    "/a%252Fb",
    "/a%2500",
    "/a".repeat(101),
    "/%5A",
    "/%",
    "/%2",
    "/%zz",
    "/%c0%ae%c0%ae/",
    "/%ff",
    "/%ed%a0%80",
    "/a b",
    "/a\tb",
    "/a\nb",
    "/a\u0000b",
    "/é",
    '/"',
    "/<x>",
    "/a#b",
    "/{a}",
    "/`a`",
    "/^",
    "/?a b",
    "/?a#b",
    '/?"',
    "/?<script>",
    "/?'",
    "/?é",
    "/?\t",
    "",
    "x",
    "?a=b",
    "*",
  ];
  for (const target of targets) {
    await t.step(JSON.stringify(target), () => {
      assertEquals(codeOf(raw(`https://api.acme.test${target}`)), "request_malformed");
    });
  }
});

Deno.test("readEdge() refuses a host that is none, or not the one that was asked for", async (t) => {
  const rows: Readonly<Record<string, readonly [url: string, host?: string]>> = {
    "none": ["https:///x"],
    "empty": ["https://"],
    "a path in it": ["http://h/management/x?/api/x", "h/management/x?"],
    "a user in it": ["https://user@api.acme.test/"],
    "a port too large": ["https://h:99999/", "h:99999"],
    "port 0": ["https://h:0/"],
    "a space in it": ["http://a b/", "a b"],
    "letters beyond ASCII": ["https://ápi.acme.test/"],
    "a dot at the end": ["https://api.acme.test./"],
    "an underscore": ["https://api_1.acme.test/"],
    "two hosts": ["https://a.test,b.test/", "a.test,b.test"],
    "another Host": ["https://api.acme.test/", "evil.test"],
    "Host with another port": ["https://api.acme.test/", "api.acme.test:8443"],
    "Host with a suffix": ["https://api.acme.test/", "api.acme.test.evil.test"],
    "empty Host": ["https://api.acme.test/", ""],
    "another scheme": ["ftp://api.acme.test/"],
    "a Unix socket": ["http+unix://api.acme.test/"],
    "no scheme": ["api.acme.test/"],
  };
  for (const [what, [url, host]] of Object.entries(rows)) {
    await t.step(what, () => assertEquals(codeOf(raw(url, host === undefined ? {} : { host })), "request_malformed"));
  }
  assertEquals(codeOf(raw("https://api.acme.test/", { host: "API.acme.test" })), "passed");
});

Deno.test("readEdge() refuses the host that Deno.serve makes up where HTTP/1.1 misses one", () => {
  const request = raw("http://localhost:8787/x");
  assertEquals(codeOf(request), "request_malformed");
  assertEquals(codeOf(raw("http://localhost:8787/x", { host: "localhost:8787" })), "passed");
  assertEquals(codeOf(raw("http://api.acme.test/x")), "passed", "HTTP/2 names the host in the address alone");
  assertEquals(readEdge(request, { ...OPTIONS, clientAddress: "" }).kind, "passed", "a request without a socket");
});

Deno.test("readEdge() knows the methods that exist", () => {
  for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    assertEquals(codeOf(raw("https://api.acme.test/", {}, method)), "passed");
  }
  for (const method of ["TRACE", "CONNECT", "PROPFIND", "get", "", "GETX"]) {
    assertEquals(codeOf(raw("https://api.acme.test/", {}, method)), "method_refused", method);
  }
});

Deno.test("readEdge() limits address and headers, and says which was too large", () => {
  const target = (length: number) => raw(`https://api.acme.test/${"a".repeat(length - 1)}`);
  assertEquals(codeOf(target(16_384)), "passed");
  assertEquals(codeOf(target(16_385)), "target_too_long");
  const headers = (cookie: number, referer: number) =>
    raw("https://api.acme.test/", { cookie: "x".repeat(cookie), referer: "x".repeat(referer) });
  assertEquals(codeOf(headers(32_768, 0)), "passed");
  assertEquals(codeOf(headers(32_769, 0)), "headers_too_large");
  assertEquals(codeOf(headers(16_384, 16_384)), "passed");
  assertEquals(codeOf(headers(16_384, 16_385)), "headers_too_large");
});

Deno.test("readEdge() takes over a request id of plain form, and makes one otherwise", () => {
  const idOf = (given?: string) =>
    read(raw("https://api.acme.test/", given === undefined ? {} : { "x-request-id": given })).requestId;
  assertEquals(idOf("abcDEF12_-"), "abcDEF12_-");
  for (const given of ["short", "x".repeat(65), "with space", "<script>alert(1)</script>", "a,b,c,d,e,f", ""]) {
    assertMatch(idOf(given), /^[\w-]{16}$/);
    assertNotEquals(idOf(given), given);
  }
  assertNotEquals(idOf(), idOf());
  const refused = readEdge(raw("https://api.acme.test//", { "x-request-id": "abcDEF12_-" }), OPTIONS);
  assertEquals(refused.kind === "refused" && refused.requestId, "abcDEF12_-");
});

const FORWARDED = {
  "x-forwarded-host": "www.acme.test",
  "x-forwarded-proto": "https",
  "x-forwarded-prefix": "/cloakroom/",
  "x-forwarded-for": "198.51.100.1, 203.0.113.9",
};

Deno.test("readEdge() believes forwarded headers of trusted proxies alone", () => {
  const trustedProxies = readTrustedProxies("10.0.0.0/8")!;
  const request = raw("http://inner.test/x", FORWARDED);
  const trusted = read(request, { trustedProxies, clientAddress: "10.1.2.3" });
  assertEquals([trusted.scheme, trusted.host, trusted.forwardedHost, trusted.prefix, trusted.clientAddress], [
    "https",
    "inner.test",
    "www.acme.test",
    "/cloakroom",
    "203.0.113.9",
  ]);
  for (const clientAddress of ["192.0.2.7", "11.0.0.1", "", "::1"]) {
    const stranger = read(request, { trustedProxies, clientAddress });
    assertEquals([stranger.scheme, stranger.host, stranger.forwardedHost, stranger.prefix, stranger.clientAddress], [
      "http",
      "inner.test",
      null,
      "",
      clientAddress,
    ]);
  }
});

Deno.test("readEdge() takes what the nearest proxy wrote: the last value", () => {
  const trustedProxies = readTrustedProxies("1")!;
  const edge = read(
    raw("http://inner.test/", {
      "x-forwarded-host": "evil.test, www.acme.test",
      "x-forwarded-proto": "http,https",
      "x-forwarded-prefix": "/evil, /good",
    }),
    { trustedProxies },
  );
  assertEquals([edge.forwardedHost, edge.scheme, edge.prefix], ["www.acme.test", "https", "/good"]);
});

Deno.test("readEdge() ignores forwarded values of odd form", () => {
  const trustedProxies = readTrustedProxies("1")!;
  const bad: Readonly<Record<string, readonly string[]>> = {
    "x-forwarded-host": ["", "a b", "evil.test/", "http://evil.test", "evil.test:99999", "user@evil.test", "é.test"],
    "x-forwarded-proto": ["", "ftp", "javascript", "https://", "httpss"],
    "x-forwarded-prefix": ["", "/", "x", "//evil.test", "/a/../b", "/..", "/a b", "/%2e", "/a?b", "/a//b", "\\a"],
  };
  for (const [name, values] of Object.entries(bad)) {
    for (const value of values) {
      const edge = read(raw("http://inner.test/", { [name]: value }), { trustedProxies });
      assertEquals([edge.forwardedHost, edge.scheme, edge.prefix], [null, "http", ""], `${name}: ${value}`);
    }
  }
});

Deno.test("readTrustedProxies() reads hops, addresses and ranges", () => {
  const rows: readonly (readonly [text: string, trusted: readonly string[], others: readonly string[]])[] = [
    ["0", [], ["127.0.0.1", "::1", ""]],
    ["1", ["127.0.0.1", "::1", "203.0.113.9"], []],
    ["10", ["127.0.0.1"], []],
    ["127.0.0.1", ["127.0.0.1", "::ffff:127.0.0.1", "::FFFF:127.0.0.1"], ["127.0.0.2", "::1"]],
    ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0", "::a00:1"]],
    ["10.1.2.3/32", ["10.1.2.3"], ["10.1.2.2", "10.1.2.4"]],
    ["10.1.2.128/25", ["10.1.2.128", "10.1.2.255"], ["10.1.2.127"]],
    ["0.0.0.0/0", ["1.2.3.4"], ["2001:db8::1"]],
    ["::1", ["::1", "0:0:0:0:0:0:0:1"], ["::2", "127.0.0.1"]],
    ["2001:db8::/32", ["2001:db8::", "2001:0DB8:ffff::1"], ["2001:db9::1"]],
    ["::/0", ["::1", "2001:db8::1", "1.2.3.4"], []],
    ["2001::/16", ["2001::1", "2001:ffff::"], ["1001::1", "2002::1"]],
    ["2001:db8:8000::/33", ["2001:db8:8000::1", "2001:db8:ffff::1"], ["2001:db8:7fff::1", "2001:db8::1"]],
    ["2001:db8::a:0/112", ["2001:db8::a:ffff"], ["2001:db8::b:0", "2001:db8::9:ffff"]],
    [" 10.0.0.0/8 , ::1 ", ["10.1.1.1", "::1"], ["11.1.1.1"]],
    ["::ffff:10.0.0.0/104", ["10.1.1.1"], ["11.1.1.1"]],
  ];
  for (const [text, trusted, others] of rows) {
    const proxies = readTrustedProxies(text);
    assert(proxies !== null, text);
    for (const address of trusted) assert(proxies.trusts(address), `${text} ${address}`);
    for (const address of others) assert(!proxies.trusts(address), `${text} ${address}`);
  }
});

Deno.test("readEdge() takes the client's address from the proxies that are trusted, counted from the right", () => {
  const rows: readonly (readonly [text: string, forwardedFor: string | null, client: string])[] = [
    ["1", "203.0.113.9", "203.0.113.9"],
    ["1", "198.51.100.1, 203.0.113.9", "203.0.113.9"],
    ["2", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"],
    ["3", "203.0.113.9,10.0.0.3 , 10.0.0.2", "203.0.113.9"],
    ["3", "203.0.113.9, 10.0.0.2", "203.0.113.9"],
    ["1", "2001:db8::1", "2001:db8::1"],
    ["1", null, "10.0.0.1"],
    ["1", "", "10.0.0.1"],
    ["1", "203.0.113.9, unknown", "10.0.0.1"],
    ["1", "203.0.113.9, <script>", "10.0.0.1"],
    ["10.0.0.0/8", "198.51.100.1, 203.0.113.9", "203.0.113.9"],
    ["10.0.0.0/8", "198.51.100.1, 203.0.113.9, 10.0.0.3, 10.0.0.2", "203.0.113.9"],
    ["10.0.0.0/8", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
    ["10.0.0.0/8", "unknown, 10.0.0.2", "10.0.0.1"],
    ["10.0.0.0/8", null, "10.0.0.1"],
    ["0", "203.0.113.9", "10.0.0.1"],
    ["192.0.2.0/24", "203.0.113.9", "10.0.0.1"],
  ];
  for (const [text, forwardedFor, client] of rows) {
    const headers = forwardedFor === null ? {} : { "x-forwarded-for": forwardedFor };
    const edge = read(raw("http://inner.test/", headers), {
      trustedProxies: readTrustedProxies(text)!,
      clientAddress: "10.0.0.1",
    });
    assertEquals(edge.clientAddress, client, `${text} behind ${forwardedFor}`);
  }
});

Deno.test("readTrustedProxies() refuses what is neither", () => {
  const bad = [
    "",
    " ",
    "-1",
    "1.5",
    "100",
    "all",
    "*",
    "localhost",
    "10.0.0",
    "10.0.0.256",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0.0/a",
    "10.0.0.0/8,",
    ",10.0.0.0/8",
    "2001:db8::/129",
    "2001:db8:::1",
    ":::",
    "g::1",
    "[::1]",
    "::1%eth0",
    "1.2.3.4:80",
    "http://10.0.0.1",
  ];
  for (const text of bad) assertEquals(readTrustedProxies(text), null, text);
});
