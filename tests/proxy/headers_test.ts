import { assert, assertEquals } from "@std/assert";
import {
  answerHeaders,
  type AnswerOptions,
  type UpstreamCredentials,
  upstreamHeaders,
} from "../../lib/proxy/headers.ts";

const CREDENTIALS: UpstreamCredentials = {
  authorization: "Bearer a token",
  cookie: null,
  clientAddress: "203.0.113.9",
  host: "api.site.test",
  scheme: "https",
};

const OPTIONS: AnswerOptions = {
  isPersonal: true,
  passCookies: [],
  target: "https://upstream.test",
  path: "/api/items/7",
  publicBase: "https://api.site.test",
};

/** What the call adds by itself. */
const ADDED = {
  "authorization": "Bearer a token",
  "x-forwarded-for": "203.0.113.9",
  "x-forwarded-host": "api.site.test",
  "x-forwarded-proto": "https",
};

function sent(headers: HeadersInit, credentials: Partial<UpstreamCredentials> = {}): Record<string, string> {
  const list = upstreamHeaders(new Headers(headers), { ...CREDENTIALS, ...credentials });
  assertEquals(new Set(list.map(([name]) => name)).size, list.length, "each name once");
  return Object.fromEntries(list);
}

function answered(headers: HeadersInit, options: Partial<AnswerOptions> = {}): Record<string, string> {
  return Object.fromEntries(answerHeaders(new Headers(headers), { ...OPTIONS, ...options }));
}

Deno.test("upstreamHeaders() hands on what describes the request", () => {
  const passed = {
    "accept": "application/json",
    "accept-language": "de",
    "cache-control": "no-cache",
    "content-type": "application/json; charset=utf-8",
    "content-encoding": "gzip",
    "if-match": '"1"',
    "if-none-match": '"2"',
    "if-modified-since": "Fri, 15 Jan 2027 08:00:00 GMT",
    "idempotency-key": "abc",
    "last-event-id": "7",
    "range": "bytes=0-99",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "a=b",
    "user-agent": "x",
    "x-requested-with": "XMLHttpRequest",
    "x-sesamy-client": "sesamy-js@1.74.0",
  };
  assertEquals(sent(passed), { ...passed, ...ADDED });
});

Deno.test("upstreamHeaders() hands on nothing that belongs to the connection, to us, or claims to be somebody", () => {
  const dropped = {
    "authorization": "Basic evil",
    "connection": "keep-alive",
    "cookie": "at=A; __Host-rt=R",
    "expect": "100-continue",
    "forwarded": "for=evil",
    "host": "evil.test",
    "http2-settings": "x",
    "keep-alive": "x",
    "origin": "https://www.site.test",
    "proxy-authorization": "x",
    "referer": "https://www.site.test/secret",
    "sec-fetch-site": "same-site",
    "te": "trailers",
    "trailer": "x",
    "transfer-encoding": "chunked",
    "upgrade": "h2c",
    "x-csrf": "1",
    "x-forwarded-for": "evil",
    "x-forwarded-host": "evil.test",
    "x-forwarded-prefix": "/evil",
    "x-forwarded-proto": "http",
    "x-real-ip": "evil",
    "x-original-url": "/admin",
    "x-user": "admin",
    "x_forwarded_for": "evil",
  };
  assertEquals(sent(dropped), ADDED);
});

Deno.test("upstreamHeaders() drops what Connection names, and never what it adds itself", () => {
  const rows: readonly (readonly [connection: string, gone: readonly string[]])[] = [
    ["prefer", ["prefer"]],
    ["close, Prefer ,IF-MATCH", ["prefer", "if-match"]],
    ["authorization, x-forwarded-for", []],
    ["", []],
    [",;,", []],
  ];
  for (const [connection, gone] of rows) {
    const headers = sent({ connection, "prefer": "wait=1", "if-match": '"1"' });
    const expected: Record<string, string> = { "prefer": "wait=1", "if-match": '"1"', ...ADDED };
    for (const name of gone) delete expected[name];
    assertEquals(headers, expected, connection);
  }
});

Deno.test("upstreamHeaders() adds no credentials that there are not", () => {
  const { authorization: _, "x-forwarded-for": __, ...rest } = ADDED;
  assertEquals(sent({}, { authorization: null, clientAddress: "" }), rest);
  assertEquals(sent({ cookie: "at=A" }, { cookie: "locale=de" }), { ...ADDED, cookie: "locale=de" });
});

Deno.test("answerHeaders() hands on what the upstream says about its answer", () => {
  const passed = {
    "cache-control": "public, max-age=60",
    "content-disposition": 'attachment; filename="x"',
    "content-language": "de",
    "content-range": "bytes 0-99/200",
    "content-type": "text/event-stream",
    "etag": '"1"',
    "last-modified": "Fri, 15 Jan 2027 08:00:00 GMT",
    "link": "</api/items?page=2>; rel=next",
    "retry-after": "5",
    "vary": "Accept",
    "www-authenticate": "Bearer",
    "x-total-count": "7",
  };
  assertEquals(answered(passed), passed);
});

Deno.test("answerHeaders() keeps back what is the connection's, ours, or of a body that was decoded", () => {
  const dropped = {
    "access-control-allow-origin": "*",
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "x",
    "alt-svc": 'h3=":443"',
    "clear-site-data": '"cookies"',
    "connection": "keep-alive, x-hop",
    "content-encoding": "gzip",
    "content-length": "7",
    "keep-alive": "timeout=5",
    "proxy-authenticate": "Basic",
    "refresh": "0; url=https://evil.test/",
    "server": "inner/1.0",
    "service-worker-allowed": "/",
    "set-cookie": "at=evil; Path=/",
    "strict-transport-security": "max-age=0",
    "trailer": "x",
    "transfer-encoding": "chunked",
    "upgrade": "h2c",
    "x-hop": "named by Connection",
    "x-powered-by": "inner",
  };
  assertEquals(answered({ ...dropped, "x-kept": "1" }, { isPersonal: false }), { "x-kept": "1" });
});

Deno.test("answerHeaders() leaves a body as it is that fetch does not decode", () => {
  for (const encoding of ["deflate", "zstd", "x-gzip", "gzip, br", "identity"]) {
    const headers = { "content-encoding": encoding, "content-length": "7" };
    assertEquals(answered(headers, { isPersonal: false }), headers);
  }
  for (const encoding of ["gzip", "br", "GZip"]) {
    assertEquals(answered({ "content-encoding": encoding, "content-length": "7" }, { isPersonal: false }), {});
  }
  assertEquals(answered({ "content-length": "7" }, { isPersonal: false }), { "content-length": "7" });
});

Deno.test("answerHeaders() is not upset by an odd Connection header", () => {
  for (const connection of [",", "a b", "x-hop,,", "\u00e9", "(comment)"]) {
    assertEquals(answered({ connection, "x-kept": "1" }, { isPersonal: false }), { "x-kept": "1" }, connection);
  }
});

Deno.test("answerHeaders() marks an answer to a token as private where the upstream says nothing", () => {
  assertEquals(answered({}), { "cache-control": "private" });
  assertEquals(answered({}, { isPersonal: false }), {});
  assertEquals(answered({ "cache-control": "no-store" }), { "cache-control": "no-store" });
});

Deno.test("answerHeaders() lets the upstream set the cookies that the vendor lists, for this host", () => {
  const headers = new Headers();
  const lines = [
    "locale=de; Path=/",
    "at=evil; Path=/",
    "theme=dark; Path=/; Domain=site.test",
    "theme=light; Path=/; domain = .site.test",
    "theme=blue; Path=/",
    "xtheme=1",
    "__Host-rt=evil; Path=/; Secure",
    " theme =spaced",
  ];
  for (const line of lines) headers.append("set-cookie", line);
  const got = (passCookies: readonly string[]) => answerHeaders(headers, { ...OPTIONS, passCookies }).getSetCookie();
  assertEquals(got([]), []);
  assertEquals(got(["locale"]), ["locale=de; Path=/"]);
  assertEquals(got(["theme"]), ["theme=blue; Path=/", "theme =spaced"]);
});

Deno.test("answerHeaders() shows addresses of the upstream as the browser knows them", async (t) => {
  const based = { target: "https://upstream.test/base" };
  const prefixed = { publicBase: "https://www.site.test/cloakroom" };
  const rows: readonly (readonly [location: string, seen: string | null, options?: Partial<AnswerOptions>])[] = [
    ["https://upstream.test/api/other?a=b#c", "https://api.site.test/api/other?a=b#c"],
    ["/api/other", "https://api.site.test/api/other"],
    ["8", "https://api.site.test/api/items/8"],
    ["../users", "https://api.site.test/api/users"],
    ["?page=2", "https://api.site.test/api/items/7?page=2"],
    ["", "https://api.site.test/api/items/7"],
    ["//upstream.test/x", "https://api.site.test/x"],
    // A path of two slashes must not become another host.
    ["https://upstream.test//evil.test/x", "https://api.site.test//evil.test/x"],
    ["/\\evil.test", "https://evil.test/"],
    ["https://upstream.test/base/api/x", "https://api.site.test/api/x", based],
    ["/base/api/x", "https://api.site.test/api/x", based],
    ["8", "https://api.site.test/api/items/8", based],
    ["/base", "https://api.site.test/", based],
    ["/elsewhere", null, based],
    ["/basement/x", null, based],
    ["/api/x", "https://www.site.test/cloakroom/api/x", prefixed],
    ["https://www.site.test/news", "https://www.site.test/news"],
    ["https://files.example/signed?x=y", "https://files.example/signed?x=y"],
    // Inner names and other schemes stay behind.
    ["http://upstream.internal/x", null],
    ["http://upstream.test/x", null],
    ["http://169.254.169.254/", null],
    ["javascript:alert(1)", null],
    ["data:text/html,x", null],
    ["https://[", null],
  ];
  for (const [location, seen, options] of rows) {
    await t.step(JSON.stringify(location), () => {
      assertEquals(answered({ location }, options).location ?? null, seen);
    });
  }
});

Deno.test("answerHeaders() changes nothing in what it was given", () => {
  const upstream = new Headers({ location: "/x", server: "y" });
  answerHeaders(upstream, OPTIONS);
  assertEquals(Object.fromEntries(upstream), { location: "/x", server: "y" });
  assert(upstream.has("server"));
});
