import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import { compactDecrypt } from "@panva/jose";
import { hashOf } from "../../../lib/encoding.ts";
import { APP, AUTH, codeOf, cookiesOf, createSetting, NAVIGATION, PAGE, readProblem } from "../setting.ts";

Deno.test("GET /auth/:vendorId/login sends the browser to the token service, with everything of the contract", async () => {
  const { send, cloakroom } = await createSetting();
  const query = new URLSearchParams({
    returnTo: `${PAGE}/news?a=b#c`,
    login_hint: "ada@example.com",
    ui_locales: "de",
    prompt: "login",
    scope: "openid email",
    app_state: "opaque",
    response_mode: "fragment",
    client_id: "evil",
  });
  const answer = await send(`/auth/acme/login?${query}`);
  assertEquals([answer.status, answer.headers.get("cache-control")], [302, "no-store"]);
  assertEquals(answer.headers.get("referrer-policy"), "no-referrer");

  const location = new URL(answer.headers.get("location")!);
  assertEquals(location.origin + location.pathname, "https://idp.test/authorize");
  const { state, nonce, code_challenge, ...parameters } = Object.fromEntries(location.searchParams);
  assertEquals(parameters, {
    client_id: "web-app",
    redirect_uri: `${AUTH}/callback`,
    response_type: "code",
    scope: "openid email",
    code_challenge_method: "S256",
    audience: "https://upstream.test/",
    login_hint: "ada@example.com",
    ui_locales: "de",
    prompt: "login",
  });
  assertEquals([...location.searchParams.keys()].length, 12, "each once");
  for (const drawn of [state, nonce, code_challenge]) assertMatch(drawn!, /^[\w-]{43}$/);

  const [cookie, ...others] = answer.headers.getSetCookie();
  assertEquals(others, []);
  const [, name, sealed, attributes] = /^__Host-tx-([^=]{8})=([^;]+); (.+)$/.exec(cookie!)!;
  assertEquals(name, state!.slice(0, 8));
  assertEquals(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600");
  const { plaintext } = await compactDecrypt(sealed!, (await cloakroom.keys.exportActive("acme")).bytes);
  const kept = JSON.parse(new TextDecoder().decode(plaintext));
  assertEquals([kept.st, kept.n, kept.rt, kept.as], [state, nonce, `${PAGE}/news?a=b#c`, "opaque"]);
  assertEquals(await hashOf(kept.cv), code_challenge);
});

Deno.test("the doubled path /auth/auth/… means the same", async () => {
  const { send } = await createSetting();
  const answer = await send("/auth/auth/acme/login");
  assertEquals(answer.status, 302);
  const redirectUri = new URL(answer.headers.get("location")!).searchParams.get("redirect_uri");
  assertEquals(redirectUri, `${AUTH}/callback`);
  assertEquals((await send("/auth/auth/userinfo")).status, 401);
  assertEquals(
    await codeOf(await send("/auth/auth/auth/userinfo")),
    "vendor_unknown",
    "a vendor cannot be called auth",
  );
});

Deno.test("redirect_uri follows the vendor's public address, or host and prefix of a trusted proxy", async (t) => {
  const forwarded = {
    "x-forwarded-host": "www.acme.test",
    "x-forwarded-proto": "https",
    "x-forwarded-prefix": "/cloakroom",
  };
  const rows: Readonly<
    Record<string, readonly [vendor: Record<string, unknown>, trustedProxies: string, uri: string | null]>
  > = {
    "a public address": [
      { publicUrl: "https://www.acme.test/cloakroom" },
      "0",
      "https://www.acme.test/cloakroom/auth/acme/callback",
    ],
    "a trusted proxy, a listed host": [
      { hosts: ["api.acme.test", "www.acme.test"] },
      "1",
      "https://www.acme.test/cloakroom/auth/acme/callback",
    ],
    "a trusted proxy, a host that is not listed": [{}, "1", "https://api.acme.test/cloakroom/auth/acme/callback"],
    "nobody is trusted": [
      { hosts: ["api.acme.test", "www.acme.test"] },
      "0",
      "https://api.acme.test/auth/acme/callback",
    ],
    "another proxy is trusted": [
      { hosts: ["api.acme.test", "www.acme.test"] },
      "10.0.0.0/8",
      "https://api.acme.test/auth/acme/callback",
    ],
    "this proxy is trusted": [
      { hosts: ["www.acme.test"] },
      "203.0.113.0/24",
      "https://www.acme.test/cloakroom/auth/acme/callback",
    ],
  };
  for (const [what, [vendor, trustedProxies, uri]] of Object.entries(rows)) {
    await t.step(what, async () => {
      const { send } = await createSetting({ vendor, cloakroom: { trustedProxies } });
      const answer = await send("/auth/acme/login", { headers: forwarded });
      assertEquals(new URL(answer.headers.get("location")!).searchParams.get("redirect_uri"), uri);
    });
  }
});

Deno.test("a vendor is served at its own hosts and under its own name only", async () => {
  const { send } = await createSetting();
  for (
    const target of [
      "https://evil.test/auth/acme/login",
      "https://api.acme.test:8443/auth/acme/login",
      `${APP}/auth/globex/login`,
      `${APP}/auth/ACME/login`,
      `${APP}/auth/login/login`,
      `${APP}/auth/acme.x/login`,
    ]
  ) {
    const answer = await send(target);
    assertEquals([answer.status, answer.headers.getSetCookie()], [404, []], target);
    assertEquals(await codeOf(answer), "vendor_unknown", target);
  }
});

Deno.test("a vendor without hosts is served at any", async () => {
  const { send } = await createSetting({ vendor: { hosts: [] } });
  const answer = await send("https://anything.test:8443/auth/acme/login");
  const redirectUri = new URL(answer.headers.get("location")!).searchParams.get("redirect_uri");
  assertEquals(redirectUri, "https://anything.test:8443/auth/acme/callback");
});

Deno.test("cookies are plain on plain-http loopback alone, and only where the operator wants it", async () => {
  const nameAt = async (url: string, plainLoopbackCookies: boolean) => {
    const { send } = await createSetting({ vendor: { hosts: [] }, cloakroom: { plainLoopbackCookies } });
    const answer = await send(url, { headers: { host: new URL(url).host } });
    return answer.headers.getSetCookie()[0]!.replace(/tx-.*?; /, "tx; ");
  };
  const plain = "tx; Path=/; HttpOnly; SameSite=Lax; Max-Age=600";
  const secure = "__Host-tx; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600";
  assertEquals(await nameAt("http://localhost:8787/auth/acme/login", true), plain);
  assertEquals(await nameAt("http://localhost:8787/auth/acme/login", false), secure);
  assertEquals(await nameAt("https://localhost:8787/auth/acme/login", true), secure);
  assertEquals(await nameAt("http://api.acme.test/auth/acme/login", true), secure);
});

Deno.test("a return target that is not allowed begins nothing", async () => {
  const { send, idp } = await createSetting();
  for (const target of ["https://evil.test/", "//evil.test", "/\\evil.test", "", "/auth/acme/logout"]) {
    const answer = await send(`/auth/acme/login?${new URLSearchParams({ returnTo: target })}`);
    assertEquals([answer.status, answer.headers.getSetCookie()], [400, []], target);
    assertEquals(await codeOf(answer), "return_target_refused", target);
  }
  assertEquals(idp.calls.authorize, 0);
});

Deno.test("repeated and odd parameters begin nothing", async () => {
  const { send } = await createSetting();
  for (const query of ["prompt=login&prompt=none", "returnTo=/a&return_to=/b", `app_state=${"x".repeat(1025)}`]) {
    assertEquals(await codeOf(await send(`/auth/acme/login?${query}`)), "parameter_refused", query);
  }
  // Each parameter is small enough, all together do not fit into a cookie.
  const large = new URLSearchParams({ returnTo: `/${"x".repeat(2000)}`, app_state: "\u{1F36A}".repeat(500) });
  assertEquals(await codeOf(await send(`/auth/acme/login?${large}`)), "parameter_refused");
});

Deno.test("a prefetch begins nothing", async () => {
  const { send } = await createSetting();
  const headers: readonly Record<string, string>[] = [
    { "sec-purpose": "prefetch" },
    { "sec-purpose": "prefetch;prerender" },
    { "sec-purpose": "prefetch;anonymous-client-ip" },
    { "purpose": "prefetch" },
    { "purpose": "preview" },
  ];
  for (const given of headers) {
    const answer = await send("/auth/acme/login", { headers: given });
    assertEquals([answer.status, answer.headers.get("location")], [204, null]);
    assertEquals([answer.headers.getSetCookie(), answer.headers.get("cache-control")], [[], "no-store"]);
  }
  const head = await send("/auth/acme/login", { method: "HEAD" });
  assertEquals([head.status, head.headers.getSetCookie()], [204, []]);
});

Deno.test("at most four sign-ins of a browser live at once", async () => {
  const { openBrowser } = await createSetting();
  const browser = openBrowser();
  const states: string[] = [];
  for (let i = 0; i < 7; i++) {
    const { url } = await browser.navigate(`${AUTH}/login`, { until: ({ host }) => host === "idp.test" });
    states.push(url.searchParams.get("state")!);
  }
  const names = cookiesOf(browser).split("; ").map((pair) => pair.split("=")[0]);
  assertEquals(names, states.slice(-4).map((state) => `__Host-tx-${state.slice(0, 8)}`));
});

Deno.test("a token service that is away, or strange, is told apart", async () => {
  const { send, idp, clock, log } = await createSetting();
  idp.change.discovery = () => new Response(null, { status: 503 });
  const away = await send("/auth/acme/login");
  assertEquals([away.status, away.headers.get("retry-after"), await codeOf(away)], [
    503,
    "5",
    "token_service_unreachable",
  ]);
  clock.advance(60);
  idp.change.discovery = (good) => Response.json({ ...good, issuer: "https://evil.test/" });
  const strange = await send("/auth/acme/login");
  assertEquals([strange.status, await codeOf(strange)], [502, "token_service_error"]);
  assertEquals(log.map(({ event, reason, host }) => [event, reason, host]), [
    ["metadata_unavailable", undefined, "idp.test"],
    ["metadata_refused", "issuer_mismatch", "idp.test"],
  ]);
  clock.advance(60);
  delete idp.change.discovery;
  assertEquals((await send("/auth/acme/login")).status, 302);
});

Deno.test("a person who is refused gets a page with a way on", async () => {
  const { send } = await createSetting();
  const answer = await send("/auth/acme/login?returnTo=//evil.test", { headers: NAVIGATION });
  assertEquals([answer.status, answer.headers.get("content-type")], [400, "text/html; charset=utf-8"]);
  const html = await answer.text();
  assert(html.includes("return_target_refused"));
  assert(html.includes(`href="${AUTH}/login"`));
  assertFalse(html.includes("evil.test"), "nothing of the request is repeated");
  assertFalse(/<script/i.test(html));
});

Deno.test("other methods are told which ones there are", async () => {
  const { send } = await createSetting();
  const rows: readonly (readonly [endpoint: string, allow: string])[] = [
    ["login", "GET, HEAD"],
    ["callback", "GET, POST"],
    ["userinfo", "GET, HEAD"],
    ["refresh", "POST"],
    ["logout", "GET, POST"],
    ["sessions", "GET, DELETE"],
  ];
  for (const [endpoint, allow] of rows) {
    const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((method) => !allow.split(", ").includes(method));
    for (const method of methods) {
      const answer = await send(`/auth/acme/${endpoint}`, { method });
      assertEquals([answer.status, answer.headers.get("allow")], [405, allow], `${method} ${endpoint}`);
      assertEquals((await readProblem(answer)).code, "method_refused");
    }
  }
  assertEquals(await codeOf(await send("/auth/acme/unknown")), "not_found");
  assertEquals(await codeOf(await send("/auth/acme")), "not_found");
  assertEquals(await codeOf(await send("/auth")), "not_found");
});
