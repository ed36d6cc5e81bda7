import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import { type LoopbackServer, serveOnLoopback } from "../support/loopback.ts";
import { signJwt } from "../support/signing_key.ts";
import {
  APP,
  AUTH,
  codeOf,
  cookiesOf,
  createSetting,
  ISSUER,
  NAVIGATION,
  ownCall,
  PAGE,
  readProblem,
  type Setting,
  type SettingOptions,
} from "./setting.ts";

type Upstream = (request: Request) => Response | Promise<Response>;

/** A signed-in user in front of an upstream in memory. */
async function start(options: SettingOptions = {}) {
  const setting = await createSetting(options);
  const browser = await setting.signIn();
  const cookie = cookiesOf(browser);
  const [, at] = /(?:^|; )at=([^;]+)/.exec(cookie)!;
  return { setting, browser, cookie, at: at!, bearer: `Bearer ${setting.idp.issued.accessTokens[0]}` };
}

interface Sockets {
  readonly setting: Setting;
  /** Calls the application over HTTP as a signed-in user. */
  readonly call: (path: string, init?: RequestInit) => Promise<Response>;
}

/** Application and upstream behind sockets, and a signed-in user. */
async function overHttp(upstream: Upstream, test: (sockets: Sockets) => Promise<void>, row: object = {}) {
  const servers: LoopbackServer[] = [];
  const serve = (handler: Parameters<typeof serveOnLoopback>[0]) => {
    const server = serveOnLoopback(handler);
    servers.push(server);
    return server.port;
  };
  const target = `http://127.0.0.1:${serve(upstream)}`;
  const setting: Setting = await createSetting({
    vendor: { publicUrl: APP, upstreams: [{ path: "/api", target, ...row }] },
    cloakroom: {
      insecureAllowLoopback: true,
      fetch: (input, init) => input.startsWith(target) ? fetch(input, init) : setting.network.fetch(input, init),
    },
  });
  const cookie = cookiesOf(await setting.signIn());
  const port = serve((request, address) => setting.cloakroom.fetch(request, address));
  const client = Deno.createHttpClient({ allowHost: true });
  try {
    await test({
      setting,
      call(path, init = {}) {
        const headers = new Headers(init.headers);
        for (const [name, value] of Object.entries(ownCall(cookie))) headers.set(name, value);
        headers.set("host", "api.acme.test");
        return fetch(`http://127.0.0.1:${port}${path}`, { redirect: "manual", ...init, headers, client });
      },
    });
  } finally {
    client.close();
    await Promise.all(servers.map((server) => server.close()));
  }
}

Deno.test("a call goes to the upstream as it came, with the session's token and without our cookies", async () => {
  const { setting, cookie, bearer } = await start();
  const answer = await setting.send("/api/items/7%20a?x=1&y=%2F", {
    method: "POST",
    headers: { ...ownCall(cookie), "content-type": "application/json", "x-csrf": "1", "referer": `${PAGE}/secret` },
    body: '{"a":1}',
  });
  assertEquals([answer.status, await answer.json()], [200, { ok: true }]);
  const [call] = setting.upstream.calls;
  assertEquals([call!.method, call!.path], ["POST", "/api/items/7%20a?x=1&y=%2F"]);
  assertEquals(call!.headers.get("authorization"), bearer);
  assertEquals(call!.headers.get("content-type"), "application/json");
  assertEquals(call!.headers.get("x-forwarded-for"), "203.0.113.9");
  assertEquals(call!.headers.get("x-forwarded-host"), "api.acme.test");
  assertEquals(call!.headers.get("x-forwarded-proto"), "https");
  for (const name of ["cookie", "referer", "origin", "x-csrf", "sec-fetch-site"]) {
    assertEquals(call!.headers.get(name), null, name);
  }
  assertEquals(answer.headers.get("cache-control"), "private");
  assertMatch(answer.headers.get("x-request-id")!, /^[\w-]{16}$/);
  assertFalse([...answer.headers].flat().join(" ").includes(bearer.slice(7)), "no token on the way back");
});

Deno.test("cookies that the vendor lists cross the proxy in both directions, ours never", async () => {
  const { setting, cookie } = await start({ vendor: { passCookies: ["locale"] } });
  setting.upstream.reply = () => {
    const headers = new Headers({ "content-type": "text/plain" });
    headers.append("set-cookie", "locale=de; Path=/");
    headers.append("set-cookie", "at=evil; Path=/");
    return new Response("x", { headers });
  };
  const answer = await setting.send("/api/x", { headers: ownCall(`locale=fr; other=1; ${cookie}`) });
  assertEquals(setting.upstream.calls[0]!.headers.get("cookie"), "locale=fr");
  assertEquals(answer.headers.getSetCookie(), ["locale=de; Path=/"]);
});

Deno.test("nothing outside the vendor's table is reachable, and only by the listed methods", async () => {
  const { setting, cookie } = await start({
    vendor: { upstreams: [{ path: "/api", target: "https://upstream.test", methods: ["GET"] }] },
  });
  for (const path of ["/", "/apix", "/private", "/ap", "/API/x"]) {
    assertEquals(await codeOf(await setting.send(path, { headers: ownCall(cookie) })), "not_found", path);
  }
  const answer = await setting.send("/api/x", { method: "DELETE", headers: ownCall(cookie) });
  assertEquals([answer.headers.get("allow"), await codeOf(answer)], ["GET", "method_refused"]);
  assertEquals(setting.upstream.calls.length, 0);
});

Deno.test("our own paths never reach an upstream, even one that takes everything", async () => {
  const { setting, cookie } = await start({ vendor: { upstreams: [{ path: "/", target: "https://upstream.test" }] } });
  for (const path of ["/auth", "/auth/acme/unknown", "/auth/x/y/z", "/management", "/management/x", "/healthz"]) {
    await (await setting.send(path, { headers: ownCall(cookie) })).body?.cancel();
  }
  assertEquals(setting.upstream.calls.length, 0);
  assertEquals((await setting.send("/anything", { headers: ownCall(cookie) })).status, 200);
});

Deno.test("a Bearer wins over cookies, and is passed on as it is; cookies win over Basic and nothing", async (t) => {
  const { setting, cookie, bearer } = await start();
  const { accessTokens } = setting.idp.issued;
  await setting.signIn("bo");
  const other = `Bearer ${accessTokens[1]}`;
  const rows: readonly (readonly [authorization: string | null, cookie: string, sent: string | number])[] = [
    [other, cookie, other],
    [other, "", other],
    [`bearer ${accessTokens[1]}`, "", other],
    [null, cookie, bearer],
    ["", cookie, bearer],
    [`Basic ${btoa('web-app|"7c0f":')}`, cookie, bearer],
    [`Basic ${btoa('web-app|"7c0f":')}`, "", 401],
    ["Bearer x.y.z", cookie, 401],
    ["Digest x", "", 401],
  ];
  for (const [authorization, cookies, sent] of rows) {
    await t.step(`${authorization?.slice(0, 20)} with ${cookies === "" ? "no " : ""}cookies`, async () => {
      const headers = { ...ownCall(cookies), ...(authorization === null ? {} : { authorization }) };
      const before = setting.upstream.calls.length;
      const answer = await setting.send("/api/x", { headers });
      await answer.body?.cancel();
      if (typeof sent === "number") {
        assertEquals([answer.status, setting.upstream.calls.length], [sent, before]);
      } else {
        assertEquals(setting.upstream.calls.at(-1)!.headers.get("authorization"), sent);
        assertEquals(setting.upstream.calls.length, before + 1);
      }
    });
  }
});

Deno.test("a Bearer is verified, never merely relayed", async (t) => {
  const { setting, cookie } = await start();
  const { idp, clock } = setting;
  const make = (claims: Record<string, unknown>, header: Record<string, unknown> = {}) => {
    const all = {
      iss: ISSUER,
      sub: "alice",
      aud: "https://upstream.test/",
      client_id: "web-app",
      iat: clock(),
      exp: clock() + 60,
      ...claims,
    };
    return signJwt(idp.key, { typ: "at+jwt", ...header }, all);
  };
  const good = await make({});
  const rows: Readonly<Record<string, string>> = {
    "another audience": await make({ aud: "https://other.test/" }),
    "another issuer": await make({ iss: "https://evil.test/" }),
    "expired": await make({ exp: clock() - 61 }),
    "an ID token": await make({ aud: "web-app", nonce: "n" }, { typ: "JWT" }),
    "a logout token": await make({ events: {} }, { typ: "logout+jwt" }),
    "no signature": `${good.split(".").slice(0, 2).join(".")}.`,
    "none": `${btoa('{"alg":"none"}').replace(/=+$/, "")}.${good.split(".")[1]}.`,
    "tampered": `${good.slice(0, -22)}${"A".repeat(22)}`,
    "opaque": "an-opaque-token",
  };
  assertEquals((await setting.send("/api/x", { headers: { authorization: `Bearer ${good}` } })).status, 200);
  for (const [what, token] of Object.entries(rows)) {
    await t.step(what, async () => {
      const answer = await setting.send("/api/x", { headers: { cookie, authorization: `Bearer ${token}` } });
      assertEquals(answer.headers.get("www-authenticate"), 'Bearer error="invalid_token"');
      const problem = await readProblem(answer);
      assertEquals([problem.code, problem.login_url], ["token_refused", `${AUTH}/login`]);
    });
  }
  assertEquals(setting.upstream.calls.length, 1);
});

Deno.test("a Bearer without an audience to hold it against is refused", async () => {
  const { setting, bearer } = await start({ vendor: { audience: [] } });
  assertEquals(await codeOf(await setting.send("/api/x", { headers: { authorization: bearer } })), "token_refused");
});

Deno.test("a vendor may have Bearers relayed unverified, by an ugly name", async () => {
  const { setting } = await start({ vendor: { relayUnverifiedBearer: true } });
  const headers = { authorization: "Bearer an-opaque-token" };
  assertEquals((await setting.send("/api/x", { headers })).status, 200);
  assertEquals(setting.upstream.calls[0]!.headers.get("authorization"), "Bearer an-opaque-token");
});

Deno.test("an issuer that is away refuses no Bearer", async () => {
  const { setting, bearer } = await start();
  const fresh = await createSetting({ cloakroom: { fetch: setting.network.fetch, now: setting.clock } });
  setting.idp.change.discovery = () => new Response(null, { status: 503 });
  const answer = await fresh.send("/api/x", { headers: { authorization: bearer } });
  assertEquals([answer.status, answer.headers.get("retry-after")], [503, "5"]);
  assertEquals(await codeOf(answer), "token_service_unreachable");
});

Deno.test("an anonymous upstream takes calls without a token, and gets none that is not meant for it", async (t) => {
  const { setting, cookie, at, bearer } = await start();
  const rows: Readonly<Record<string, readonly [headers: Record<string, string>, sent: string | null]>> = {
    "nothing": [{}, null],
    "Basic": [{ authorization: `Basic ${btoa("anonymous:")}` }, null],
    "signed in": [ownCall(cookie), bearer],
    // Behind a link on another site: `at` is Lax and comes, `__Host-rt` is Strict and does not.
    "at without its partner": [{ ...NAVIGATION, "sec-fetch-site": "cross-site", "cookie": `at=${at}` }, null],
  };
  for (const [what, [headers, sent]] of Object.entries(rows)) {
    await t.step(what, async () => {
      const answer = await setting.send("/public/x", { headers });
      assertEquals(answer.status, 200);
      await answer.body?.cancel();
      assertEquals(setting.upstream.calls.at(-1)!.headers.get("authorization"), sent);
      assertEquals(answer.headers.get("cache-control"), sent === null ? null : "private");
    });
  }
  const refused = await setting.send("/public/x", { headers: { authorization: "Bearer x" } });
  assertEquals(await codeOf(refused), "token_refused", "a wrong Bearer is not taken for none");
});

Deno.test("a token that is about to end is replaced on the way, and the answer brings the cookies", async () => {
  const { setting, browser } = await start();
  setting.clock.advance(3541);
  const exchange = await browser.fetch(`${APP}/api/x`, { from: `${APP}/` });
  assertEquals(exchange.status, 200);
  assertEquals(exchange.headers.getSetCookie().map((line) => line.split("=")[0]), ["at", "__Host-rt", "signed_in"]);
  assertEquals(
    setting.upstream.calls[0]!.headers.get("authorization"),
    `Bearer ${setting.idp.issued.accessTokens[1]}`,
  );
});

Deno.test("new cookies are not lost where the upstream is away", async () => {
  const { setting, cookie } = await start();
  setting.clock.advance(3541);
  setting.upstream.reply = () => Promise.reject(new TypeError("connection refused"));
  const answer = await setting.send("/api/x", { headers: ownCall(cookie) });
  assertEquals([answer.status, answer.headers.getSetCookie().length], [502, 3]);
  assertEquals(await codeOf(answer), "upstream_unreachable");
  const { level, event, host } = setting.log.at(-1)!;
  assertEquals([level, event, host], ["warn", "upstream_unreachable", "upstream.test"]);
});

Deno.test("a dead access token and a token service that is away: come back later", async () => {
  const { setting, cookie } = await start();
  setting.clock.advance(3600);
  setting.tokenFault = () => new Response(null, { status: 503, headers: { "retry-after": "9" } });
  const answer = await setting.send("/api/x", { headers: ownCall(cookie) });
  assertEquals([answer.status, answer.headers.get("retry-after")], [503, "9"]);
  assertEquals(await codeOf(answer), "token_service_unreachable");
  assertEquals(setting.upstream.calls.length, 0);
});

Deno.test("a fetch is never answered with a redirect to sign in; a person gets a page", async () => {
  const { send } = await createSetting();
  const fetched = await send("/api/x", { headers: { "sec-fetch-mode": "cors", "accept": "text/html" } });
  assertEquals([fetched.status, await codeOf(fetched)], [401, "unauthenticated"]);
  const navigated = await send("/api/x", { headers: NAVIGATION });
  assertEquals([navigated.status, navigated.headers.get("content-type")], [401, "text/html; charset=utf-8"]);
  assert((await navigated.text()).includes(`href="${AUTH}/login"`));
});

Deno.test("redirects of the upstream are handed on, not followed", async () => {
  const { setting, cookie } = await start();
  setting.upstream.reply = () => new Response(null, { status: 302, headers: { location: "/api/other?a=b" } });
  const answer = await setting.send("/api/x", { headers: ownCall(cookie) });
  assertEquals([answer.status, answer.headers.get("location")], [302, `${APP}/api/other?a=b`]);
  assertEquals(setting.upstream.calls.length, 1);
});

Deno.test("answers without a body stay without one", async (t) => {
  const { setting, cookie } = await start();
  for (const status of [204, 205, 304]) {
    await t.step(`${status}`, async () => {
      setting.upstream.reply = () => new Response(null, { status, headers: { etag: '"1"' } });
      const answer = await setting.send("/api/x", { headers: ownCall(cookie, { "if-none-match": '"1"' }) });
      assertEquals([answer.status, answer.headers.get("etag"), answer.body], [status, '"1"', null]);
    });
  }
  assertEquals(setting.upstream.calls[0]!.headers.get("if-none-match"), '"1"');
});

Deno.test("a failure of the upstream is handed on as it is", async () => {
  const { setting, cookie } = await start();
  setting.upstream.reply = () => Response.json({ error: "teapot" }, { status: 418, headers: { server: "inner/1.0" } });
  const answer = await setting.send("/api/x", { headers: ownCall(cookie) });
  assertEquals([answer.status, answer.headers.get("server"), await answer.json()], [418, null, { error: "teapot" }]);
});

Deno.test("over HTTP: a gzip answer arrives whole and is not called gzip", async () => {
  const text = "a body that compresses well. ".repeat(500);
  const zipped = new Uint8Array(
    await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer(),
  );
  const headers = { "content-encoding": "gzip", "content-type": "text/plain", "content-length": `${zipped.length}` };
  await overHttp(() => new Response(zipped, { headers }), async ({ call }) => {
    const answer = await call("/api/x");
    assertEquals([answer.headers.get("content-encoding"), await answer.text()], [null, text]);
  });
});

Deno.test("over HTTP: bodies and methods arrive as they were sent", async () => {
  const upstream: Upstream = async (request) => {
    const bytes = await request.bytes();
    return Response.json({
      method: request.method,
      sum: bytes.reduce((sum, byte) => sum + byte, 0),
      length: bytes.length,
    });
  };
  await overHttp(upstream, async ({ call }) => {
    const body = Uint8Array.from({ length: 300_000 }, (_, i) => i & 255);
    const sum = body.reduce((sum, byte) => sum + byte, 0);
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      assertEquals(await (await call("/api/x", { method, body })).json(), { method, sum, length: body.length });
    }
    assertEquals(await (await call("/api/x", { method: "POST" })).json(), { method: "POST", sum: 0, length: 0 });
    assertEquals(await (await call("/api/x", { method: "DELETE" })).json(), { method: "DELETE", sum: 0, length: 0 });
  });
});

Deno.test("over HTTP: HEAD has headers and no body", async () => {
  await overHttp(() => new Response("body", { headers: { etag: '"1"' } }), async ({ call }) => {
    const answer = await call("/api/x", { method: "HEAD" });
    assertEquals([answer.status, answer.headers.get("etag"), await answer.text()], [200, '"1"', ""]);
  });
});

Deno.test("over HTTP: an answer streams, part by part", async () => {
  const seen = Promise.withResolvers<void>();
  const upstream: Upstream = () => {
    const encoder = new TextEncoder();
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(encoder.encode("data: one\n\n"));
        // The second part comes only after the first has reached the browser.
        await seen.promise;
        controller.enqueue(encoder.encode("data: two\n\n"));
        controller.close();
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };
  await overHttp(upstream, async ({ call }) => {
    const answer = await call("/api/events");
    assertEquals(answer.headers.get("content-type"), "text/event-stream");
    const parts: string[] = [];
    for await (const part of answer.body!.pipeThrough(new TextDecoderStream())) {
      parts.push(part);
      seen.resolve();
    }
    assertEquals(parts, ["data: one\n\n", "data: two\n\n"]);
  });
});

Deno.test("over HTTP: a request body streams, part by part", async () => {
  const received = Promise.withResolvers<void>();
  const upstream: Upstream = async (request) => {
    let text = "";
    for await (const part of request.body!.pipeThrough(new TextDecoderStream())) {
      text += part;
      received.resolve();
    }
    return new Response(text);
  };
  await overHttp(upstream, async ({ call }) => {
    const encoder = new TextEncoder();
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(encoder.encode("one "));
        await received.promise;
        controller.enqueue(encoder.encode("two"));
        controller.close();
      },
    });
    const answer = await call("/api/upload", { method: "POST", body });
    assertEquals(await answer.text(), "one two");
  });
});

Deno.test("over HTTP: a browser that goes away takes the upstream call with it", async () => {
  const arrived = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  const upstream: Upstream = async (request) => {
    request.signal.addEventListener("abort", () => aborted.resolve());
    arrived.resolve();
    await aborted.promise;
    return new Response("too late");
  };
  await overHttp(upstream, async ({ call, setting }) => {
    const controller = new AbortController();
    const running = call("/api/slow", { signal: controller.signal }).catch((error) => error.name);
    await arrived.promise;
    controller.abort();
    assertEquals(await running, "AbortError");
    await aborted.promise;
    assertFalse(
      setting.log.some(({ event }) => event === "upstream_unreachable"),
      "the upstream is not to blame",
    );
  });
});

Deno.test("over HTTP: a body beyond the limit is refused, whether it tells its length or not", async () => {
  let calls = 0;
  const upstream: Upstream = async (request) => {
    calls++;
    await request.body?.cancel();
    return new Response("x");
  };
  await overHttp(upstream, async ({ call }) => {
    const told = await call("/api/x", { method: "POST", body: new Uint8Array(10 * 1024 * 1024 + 1) });
    assertEquals([told.status, await codeOf(told)], [413, "body_too_large"]);
    assertEquals(calls, 0);
  });
  const measuring: Upstream = async (request) => {
    const bytes = await request.bytes().catch(() => new Uint8Array());
    return Response.json({ length: bytes.length });
  };
  await overHttp(measuring, async ({ call }) => {
    const streamed = (length: number) => {
      let left = length;
      return new ReadableStream({
        pull(controller) {
          const part = Math.min(left, 1024 * 1024);
          left -= part;
          if (part === 0) controller.close();
          else controller.enqueue(new Uint8Array(part));
        },
      });
    };
    const limit = 10 * 1024 * 1024;
    const fits = await call("/api/x", { method: "POST", body: streamed(limit) });
    assertEquals(await fits.json(), { length: limit });
    const untold = await call("/api/x", { method: "POST", body: streamed(limit + 1) });
    assertEquals([untold.status, await codeOf(untold)], [413, "body_too_large"]);
  });
});

Deno.test("over HTTP: an upstream that is too slow, or not there, is told apart", async () => {
  const never = Promise.withResolvers<Response>();
  await overHttp(() => never.promise, async ({ call, setting }) => {
    const slow = await call("/api/x");
    assertEquals([slow.status, await codeOf(slow)], [504, "upstream_timeout"]);
    assertEquals(setting.log.at(-1)?.event, "upstream_timeout");
    never.resolve(new Response("late"));
  }, { timeoutMs: 100 });
  const { setting, cookie } = await start({
    vendor: { upstreams: [{ path: "/api", target: "https://nobody.test" }] },
  });
  const gone = await setting.send("/api/x", { headers: ownCall(cookie) });
  assertEquals([gone.status, await codeOf(gone)], [502, "upstream_unreachable"]);
});

Deno.test("over HTTP: the time limit is for the first byte, not for the whole answer", async () => {
  const upstream: Upstream = () => {
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(new Uint8Array([97]));
        await new Promise((resolve) => setTimeout(resolve, 150));
        controller.enqueue(new Uint8Array([98]));
        controller.close();
      },
    });
    return new Response(body);
  };
  await overHttp(upstream, async ({ call }) => assertEquals(await (await call("/api/x")).text(), "ab"), {
    timeoutMs: 100,
  });
});
