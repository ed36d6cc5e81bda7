import { assert, assertEquals, assertFalse, assertMatch, assertRejects } from "@std/assert";
import { describeProblem, type ProblemCode, problemCodes } from "../../lib/problem.ts";
import { Secret } from "../../lib/secret.ts";
import { createMemoryRecords, type Records, StoreUnavailableError } from "../../lib/store/mod.ts";
import { createCloakroom } from "../../routes/cloakroom.ts";
import {
  APP,
  codeOf,
  cookiesOf,
  createSetting,
  NAVIGATION,
  ownCall,
  PAGE,
  readProblem,
  type Setting,
} from "./setting.ts";

/** A store that fails as soon as it is told to, with an error that must not be written down. */
function createSwitch() {
  const state: { error: Error | null } = { error: null };
  const wrapRecords = (records: Records): Records => {
    const guard = <T>(call: () => Promise<T>) => state.error === null ? call() : Promise.reject(state.error);
    return {
      find: (key) => guard(() => records.find(key)),
      list: (prefix, options) => guard(() => records.list(prefix, options)),
      commit: (change) => guard(() => records.commit(change)),
    };
  };
  return { state, wrapRecords };
}

Deno.test("GET /healthz says that the process lives, whatever else is wrong", async () => {
  const { state, wrapRecords } = createSwitch();
  const { send } = await createSetting({ wrapRecords });
  state.error = new StoreUnavailableError("read a record");
  for (const method of ["GET", "HEAD"]) {
    const answer = await send("/healthz", { method });
    assertEquals([answer.status, answer.headers.get("cache-control")], [200, "no-store"]);
    assertEquals(await answer.text(), method === "GET" ? '{"status":"ok"}' : "");
  }
});

Deno.test("GET /readyz says whether the service can do its work", async () => {
  const { state, wrapRecords } = createSwitch();
  let isAccepting = true;
  const { send, clock } = await createSetting({ wrapRecords, cloakroom: { isAccepting: () => isAccepting } });
  const ask = async () => {
    clock.advance(60);
    const answer = await send("/readyz");
    return [answer.status, (await answer.json()).status];
  };
  assertEquals(await ask(), [200, "ready"]);
  state.error = new Error("anything at all");
  assertEquals(await ask(), [503, "not_ready"]);
  state.error = null;
  assertEquals(await ask(), [200, "ready"]);
  isAccepting = false;
  assertEquals(await ask(), [503, "not_ready"], "on its way out");
});

Deno.test("a store that is away is told as such, and signs nobody out", async () => {
  const { state, wrapRecords } = createSwitch();
  const setting = await createSetting({ wrapRecords });
  const cookie = cookiesOf(await setting.signIn());
  setting.clock.advance(60);
  state.error = new StoreUnavailableError("read a record");
  for (const path of ["/auth/acme/userinfo", "/api/x", "/auth/acme/login"]) {
    const answer = await setting.send(path, { headers: ownCall(cookie) });
    assertEquals([answer.status, answer.headers.get("retry-after"), answer.headers.getSetCookie()], [503, "2", []]);
    assertEquals(await codeOf(answer), "store_unavailable", path);
  }
  assertEquals(setting.log.at(-1)?.event, "store_unavailable");
  state.error = null;
  assertEquals((await setting.send("/auth/acme/userinfo", { headers: ownCall(cookie) })).status, 200);
});

Deno.test("a failure of our own is told without its text", async () => {
  const { state, wrapRecords } = createSwitch();
  const setting = await createSetting({ wrapRecords });
  state.error = new TypeError("canary: at /srv/secret/path.ts");
  const answer = await setting.send("/auth/globex/login");
  assertEquals(answer.status, 500);
  const text = await answer.clone().text();
  assertFalse(text.includes("canary"));
  const problem = await readProblem(answer);
  assertEquals(problem.code, "internal_error");
  assertEquals(setting.log.at(-1), {
    level: "error",
    event: "internal_error",
    reason: "TypeError",
    requestId: String(problem.request_id),
  });
});

Deno.test("pages on allowed origins may read failures, too", async () => {
  const { state, wrapRecords } = createSwitch();
  const setting = await createSetting({ wrapRecords });
  const cookie = cookiesOf(await setting.signIn());
  const headers = { cookie, origin: PAGE };
  // The vendor is known, its keys and sessions are not.
  assertEquals((await setting.send("/auth/acme/userinfo", { headers })).status, 200);
  const fresh = await createSetting({ wrapRecords: () => wrapRecords(setting.records) });
  assertEquals((await fresh.send("/nowhere", { headers: { origin: PAGE } })).status, 404);
  for (const error of [new StoreUnavailableError("read a record"), new Error("x")]) {
    state.error = error;
    for (const path of ["/auth/acme/userinfo", "/api/x"]) {
      const answer = await fresh.send(path, { headers });
      assertEquals(answer.headers.get("access-control-allow-origin"), PAGE, path);
      assertEquals(answer.headers.get("access-control-allow-credentials"), "true", path);
      assert(answer.status >= 500);
      await answer.body?.cancel();
    }
  }
});

Deno.test("what the edge guard refuses reaches nobody", async () => {
  const { send, upstream } = await createSetting();
  const rows: readonly (readonly [target: string, init: RequestInit, code: string])[] = [
    ["/api/a%2fb", {}, "request_malformed"],
    ["/api//x", {}, "request_malformed"],
    [`/api/${"x".repeat(16_384)}`, {}, "target_too_long"],
    ["/api/x", { headers: { cookie: `a=${"x".repeat(32_768)}` } }, "headers_too_large"],
    ["/api/x", { method: "PROPFIND" }, "method_refused"],
  ];
  for (const [target, init, code] of rows) assertEquals(await codeOf(await send(target, init)), code);
  assertEquals(upstream.calls.length, 0);
});

Deno.test("pages of the demo come before the proxy, after our own routes, and only to readers", async () => {
  const page = () => Promise.resolve(new Response("a page"));
  const demoPages = new Map([["/", page], ["/api/x", page], ["/auth", page]]);
  const { send } = await createSetting({ cloakroom: { demoPages } });
  assertEquals(await (await send("/")).text(), "a page");
  assertEquals(await (await send("/api/x")).text(), "a page");
  assertEquals(await codeOf(await send("/auth")), "not_found");
  assertEquals(await codeOf(await send("/", { method: "POST" })), "not_found");
});

Deno.test("createCloakroom() refuses what cannot work", async () => {
  const options = { records: createMemoryRecords(), masterKey: new Secret(new Uint8Array(32)) };
  const short = { ...options, masterKey: new Secret(new Uint8Array(16)) };
  await assertRejects(() => createCloakroom(short), RangeError, "expected 32 bytes, got 16");
  const proxies = () => createCloakroom({ ...options, trustedProxies: "everybody" });
  await assertRejects(proxies, TypeError, "trustedProxies is neither a number nor a list of ranges");
});

Deno.test("createCloakroom() works with nothing but a store and a key", async () => {
  const cloakroom = await createCloakroom({
    records: createMemoryRecords(),
    masterKey: new Secret(new Uint8Array(32)),
  });
  const answer = await cloakroom.fetch(new Request(`${APP}/auth/acme/userinfo`));
  assertEquals(await codeOf(answer), "vendor_unknown");
  await cloakroom.settle();
});

/** Makes each problem happen. The headers decide whether JSON or a page comes back. */
const TRIGGERS: Readonly<Partial<Record<ProblemCode, (headers: Record<string, string>) => Promise<Response>>>> = {
  request_malformed: async (headers) => (await createSetting()).send("/a//b", { headers }),
  target_too_long: async (headers) => (await createSetting()).send(`/${"x".repeat(16_384)}`, { headers }),
  headers_too_large: async (headers) =>
    (await createSetting()).send("/", { headers: { ...headers, cookie: "x".repeat(32_769) } }),
  parameter_refused: async (headers) => (await createSetting()).send("/auth/acme/login?prompt=a&prompt=b", { headers }),
  return_target_refused: async (headers) =>
    (await createSetting()).send("/auth/acme/login?returnTo=//evil.test", { headers }),
  login_expired: async (headers) => (await createSetting()).send("/auth/acme/callback", { headers }),
  prefetch_refused: async (headers) =>
    (await createSetting()).send("/auth/acme/callback", { headers: { ...headers, "sec-purpose": "prefetch" } }),
  login_failed: (headers) =>
    atCallback(headers, {
      spoil: ({ cloakroom }) => cloakroom.saveVendor("acme", { clientId: "web-app", hosts: ["api.acme.test"] }),
      query: (search) => {
        search.delete("code");
        search.set("error", "access_denied");
      },
    }),
  login_refused: (headers) =>
    atCallback(headers, {
      spoil: (setting) => setting.tokenFault = () => Response.json({ error: "invalid_grant" }, { status: 400 }),
    }),
  id_token_refused: (headers) =>
    atCallback(headers, { spoil: ({ idp }) => idp.makeIdToken = () => Promise.resolve("a.b.c") }),
  token_service_error: (headers) =>
    atCallback(headers, {
      spoil: (setting) => setting.tokenFault = () => Response.json({ error: "invalid_client" }, { status: 401 }),
    }),
  token_service_unreachable: (headers) =>
    atCallback(headers, { spoil: (setting) => setting.tokenFault = () => new Response(null, { status: 500 }) }),
  unauthenticated: async (headers) => (await createSetting()).send("/auth/acme/userinfo", { headers }),
  session_ended: async (headers) => {
    const setting = await createSetting();
    const cookie = cookiesOf(await setting.signIn());
    await setting.send("/auth/acme/logout", { method: "POST", headers: ownCall(cookie) });
    return await setting.send("/auth/acme/userinfo", { headers: { ...headers, cookie } });
  },
  session_unknown: async (headers) => {
    const setting = await createSetting();
    const cookie = cookiesOf(await setting.signIn());
    const init = { method: "DELETE", headers: { ...headers, cookie, origin: APP } };
    return await setting.send("/auth/acme/sessions/unknown", init);
  },
  token_refused: async (headers) => (await createSetting()).send("/management/vendors/acme/token-handler", { headers }),
  forbidden: async (headers) => {
    const { manage, makeToken } = await createSetting();
    const token = await makeToken({ scope: "" });
    return await manage("GET", "/vendors/acme/token-handler", { headers, token });
  },
  origin_refused: async (headers) => {
    const setting = await createSetting();
    const cookie = cookiesOf(await setting.signIn());
    const init = { method: "POST", headers: { ...headers, cookie, origin: "https://evil.test" } };
    return await setting.send("/auth/acme/refresh", init);
  },
  csrf_header_missing: async (headers) => {
    const setting = await createSetting({ vendor: { requireCsrfHeader: true } });
    const cookie = cookiesOf(await setting.signIn());
    return await setting.send("/auth/acme/refresh", { method: "POST", headers: { ...headers, cookie, origin: APP } });
  },
  vendor_unknown: async (headers) => (await createSetting()).send("/auth/globex/login", { headers }),
  not_found: async (headers) => (await createSetting()).send("/nowhere", { headers }),
  method_refused: async (headers) => (await createSetting()).send("/auth/acme/login", { method: "PUT", headers }),
  conflict: async (headers) => {
    const { manage } = await createSetting();
    const body = JSON.stringify({ clientId: "x", hosts: ["api.acme.test"] });
    return await manage("PUT", "/vendors/globex/token-handler", { headers, body });
  },
  precondition_failed: async (headers) => {
    const { manage } = await createSetting();
    const init = { headers: { ...headers, "if-match": '"x"' }, body: '{"clientId":"x"}' };
    return await manage("PUT", "/vendors/acme/token-handler", init);
  },
  settings_refused: async (headers) => {
    const { manage } = await createSetting();
    return await manage("PUT", "/vendors/acme/token-handler", { headers, body: "{}" });
  },
  body_too_large: async (headers) => {
    const { manage } = await createSetting();
    return await manage("PUT", "/vendors/acme/token-handler", { headers, body: "x".repeat(65_537) });
  },
  content_type_refused: async (headers) => {
    const { manage } = await createSetting();
    const init = { headers: { ...headers, "content-type": "text/plain" }, body: "x" };
    return await manage("PUT", "/vendors/acme/token-handler", init);
  },
  upstream_unreachable: async (headers) => {
    const { send, upstream } = await createSetting();
    upstream.reply = () => Promise.reject(new TypeError("connection refused"));
    return await send("/public/x", { headers });
  },
  upstream_timeout: async (headers) => {
    const { send } = await createSetting({
      vendor: { upstreams: [{ path: "/", target: "https://slow.test", anonymous: true, timeoutMs: 100 }] },
      hosts: { "slow.test": (request) => new Promise((_, reject) => request.signal.onabort = reject) },
    });
    return await send("/x", { headers });
  },
  websocket_unsupported: async (headers) => {
    const handshake = {
      "connection": "Upgrade",
      "upgrade": "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "origin": APP,
    };
    return await (await createSetting()).send("/public/x", { headers: { ...headers, ...handshake } });
  },
  store_unavailable: (headers) => failing(headers, new StoreUnavailableError("read a record")),
  internal_error: (headers) => failing(headers, new Error("x")),
};

/** Codes that tests of their own make happen, since that takes time. */
const ELSEWHERE: readonly ProblemCode[] = ["body_timeout"];

async function failing(headers: Record<string, string>, error: Error): Promise<Response> {
  const { state, wrapRecords } = createSwitch();
  const { send } = await createSetting({ wrapRecords });
  state.error = error;
  return await send("/auth/globex/login", { headers });
}

async function atCallback(
  headers: Record<string, string>,
  { spoil, query = () => {} }: {
    readonly spoil: (setting: Setting) => unknown;
    readonly query?: (search: URLSearchParams) => void;
  },
): Promise<Response> {
  const setting = await createSetting();
  const browser = setting.openBrowser();
  const target = `${APP}/auth/acme/login?returnTo=${PAGE}/`;
  const { url } = await browser.navigate(target, { until: ({ pathname }) => pathname.endsWith("/callback") });
  await spoil(setting);
  query(url.searchParams);
  return await setting.send(url.href, { headers: { ...headers, cookie: cookiesOf(browser) } });
}

Deno.test("every problem can happen, and says in JSON what its code says", async (t) => {
  for (const code of problemCodes.filter((code) => !ELSEWHERE.includes(code))) {
    await t.step(code, async () => {
      const trigger = TRIGGERS[code];
      assert(trigger !== undefined, "nobody knows how this happens");
      const answer = await trigger({ accept: "application/json" });
      const problem = await readProblem(answer);
      const { status, title, detail } = describeProblem(code);
      assertEquals([problem.code, problem.status, problem.title, problem.detail], [code, status, title, detail]);
      assertEquals(problem.type, `urn:cloakroom:problem:${code}`);
      assertEquals(answer.headers.get("x-content-type-options"), "nosniff");
      assertEquals(answer.headers.get("location"), null, "never a redirect");
    });
  }
});

Deno.test("every problem has a page for people, in plain words and without script", async (t) => {
  for (const code of problemCodes.filter((code) => !ELSEWHERE.includes(code))) {
    await t.step(code, async () => {
      const answer = await TRIGGERS[code]!(NAVIGATION);
      const { status, title } = describeProblem(code);
      assertEquals([answer.status, answer.headers.get("content-type")], [status, "text/html; charset=utf-8"]);
      assertEquals([answer.headers.get("cache-control"), answer.headers.get("x-frame-options")], ["no-store", "DENY"]);
      assertMatch(answer.headers.get("content-security-policy")!, /default-src 'none'.*frame-ancestors 'none'/);
      const html = await answer.text();
      assert(html.includes(`<code>${code}</code>`));
      assert(html.includes(title.replaceAll("'", "&#39;")));
      assert(html.includes(`<code>${answer.headers.get("x-request-id")}</code>`));
      assertFalse(/<script|javascript:|onload=|evil\.test/i.test(html));
    });
  }
});

Deno.test("no sentence of a problem is empty, shouts, or repeats the title", () => {
  for (const code of problemCodes) {
    const { status, title, detail } = describeProblem(code);
    assert(status >= 400 && status <= 599, code);
    assertMatch(title, /^[A-Z][^.!]+$/, code);
    assertMatch(detail, /^[A-Z].+\.$/, code);
    assertFalse(detail.startsWith(title), code);
  }
});
