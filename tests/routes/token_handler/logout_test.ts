import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import {
  APP,
  AUTH,
  codeOf,
  cookiesOf,
  createSetting,
  NAVIGATION,
  ownCall,
  PAGE,
  readProblem,
  type Setting,
  type SettingOptions,
} from "../setting.ts";

const CLEARED = [
  "at=; Domain=.acme.test; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
  "at=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
  "__Host-rt=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0",
  "signed_in=; Domain=.acme.test; Path=/; Secure; SameSite=Lax; Max-Age=0",
  "signed_in=; Path=/; Secure; SameSite=Lax; Max-Age=0",
];

async function start(options: SettingOptions = {}) {
  const setting = await createSetting(options);
  const cookie = cookiesOf(await setting.signIn());
  const { logout_url } = await (await setting.send("/auth/acme/userinfo", { headers: ownCall(cookie) })).json();
  return { setting, cookie, sid: new URL(logout_url).searchParams.get("sid")! };
}

async function isSignedIn({ send }: Setting, cookie: string): Promise<boolean> {
  return (await send("/auth/acme/userinfo", { headers: ownCall(cookie) })).status === 200;
}

function visit(cookie: string, site: string | null): Record<string, string> {
  const { "sec-fetch-site": _, ...navigation } = NAVIGATION;
  return { ...navigation, cookie, ...(site === null ? {} : { "sec-fetch-site": site }) };
}

Deno.test("GET …/logout ends the session, clears the cookies and goes on to the token service", async () => {
  const { setting, cookie } = await start();
  const answer = await setting.send(`/auth/acme/logout?returnTo=${PAGE}/bye`, { headers: visit(cookie, "same-site") });
  assertEquals([answer.status, answer.headers.get("cache-control")], [302, "no-store"]);
  const location = new URL(answer.headers.get("location")!);
  assertEquals(location.origin + location.pathname, "https://idp.test/logout");
  assertEquals(location.searchParams.get("client_id"), "web-app");
  assertEquals(location.searchParams.get("post_logout_redirect_uri"), `${PAGE}/bye`);
  assertMatch(location.searchParams.get("id_token_hint")!, /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/);
  assertEquals(answer.headers.getSetCookie(), CLEARED);
  assertFalse(await isSignedIn(setting, cookie));
  await setting.cloakroom.settle();
  assertEquals(setting.idp.calls.revoke, 1);
});

Deno.test("only the own site, or who knows the session, can sign somebody out", async (t) => {
  const rows: readonly (readonly [site: string | null, sid: "none" | "own" | "wrong", isEnded: boolean])[] = [
    ["same-origin", "none", true],
    ["same-site", "none", true],
    ["none", "none", true],
    ["cross-site", "none", false],
    [null, "none", false],
    ["cross-site", "own", true],
    [null, "own", true],
    ["cross-site", "wrong", false],
    [null, "wrong", false],
    ["same-origin", "wrong", true],
  ];
  for (const [site, which, isEnded] of rows) {
    await t.step(`Sec-Fetch-Site ${site}, sid ${which}`, async () => {
      const { setting, cookie, sid } = await start();
      const query = { none: "", own: `?sid=${sid}`, wrong: `?sid=${"A".repeat(43)}` }[which];
      const answer = await setting.send(`/auth/acme/logout${query}`, { headers: visit(cookie, site) });
      assertEquals(answer.status, isEnded ? 302 : 403);
      assertEquals(await isSignedIn(setting, cookie), !isEnded);
      if (!isEnded) assertEquals(answer.headers.getSetCookie(), []);
    });
  }
});

Deno.test("a refused sign-out offers a button that works in every browser", async () => {
  const { setting, cookie } = await start();
  const answer = await setting.send(`/auth/acme/logout?returnTo=${PAGE}/bye`, { headers: visit(cookie, "cross-site") });
  const html = await answer.text();
  assert(html.includes("origin_refused"));
  const [, href] = /<a class="button" href="([^"]+)">Sign out<\/a>/.exec(html)!;
  const address = href!.replaceAll("&amp;", "&");
  const clicked = await setting.send(address, { headers: visit(cookie, null) });
  assertEquals([clicked.status, clicked.headers.getSetCookie()], [302, CLEARED]);
  assert(clicked.headers.get("location")!.includes(encodeURIComponent(`${PAGE}/bye`)));
});

Deno.test("where the browser goes follows the vendor's settings and the token service", async (t) => {
  const bye = encodeURIComponent(`${PAGE}/bye`);
  type Row = readonly [vendor: Record<string, unknown>, (setting: Setting) => void, location: RegExp];
  const rows: Readonly<Record<string, Row>> = {
    "authHostname": [
      { authHostname: "auth.acme.test" },
      () => {},
      new RegExp(`^https://auth\\.acme\\.test/v2/logout\\?client_id=web-app&returnTo=${bye}$`),
    ],
    "a token service without a logout": [
      {},
      ({ idp }) => idp.change.discovery = (good) => Response.json({ ...good, end_session_endpoint: undefined }),
      new RegExp(`^${PAGE}/bye$`),
    ],
    "registered return addresses": [
      { postLogoutRedirects: ["https://www.acme.test/registered"] },
      () => {},
      /post_logout_redirect_uri=https%3A%2F%2Fwww\.acme\.test%2Fregistered$/,
    ],
  };
  for (const [what, [vendor, change, location]] of Object.entries(rows)) {
    await t.step(what, async () => {
      const setting = await createSetting({ vendor });
      change(setting);
      const cookie = cookiesOf(await setting.signIn());
      const answer = await setting.send(`/auth/acme/logout?returnTo=${PAGE}/bye`, {
        headers: visit(cookie, "same-origin"),
      });
      assertMatch(answer.headers.get("location")!, location);
    });
  }
});

Deno.test("a token service that is away keeps nobody signed in", async () => {
  const { setting, cookie } = await start();
  setting.clock.advance(700);
  setting.idp.change.discovery = () => new Response(null, { status: 500 });
  setting.idp.change.revoke = () => new Response(null, { status: 500 });
  const answer = await setting.send("/auth/acme/logout", { headers: visit(cookie, "same-origin") });
  assertEquals([answer.status, answer.headers.getSetCookie()], [302, CLEARED]);
  assertFalse(await isSignedIn(setting, cookie));
});

Deno.test("POST …/logout tells a script where to go, and hides the ID token from it", async () => {
  const { setting, cookie } = await start();
  const init = { method: "POST", headers: ownCall(cookie) };
  const answer = await setting.send(`/auth/acme/logout?returnTo=${PAGE}/bye`, init);
  const [proof, ...cleared] = answer.headers.getSetCookie();
  assertEquals([answer.status, cleared], [200, CLEARED]);
  assertMatch(proof!, /^__Host-lo=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=300$/);
  const own = proof!.split(";", 1)[0]!;
  const body = await answer.json();
  assertEquals(Object.keys(body), ["logout_url"]);
  assertFalse(JSON.stringify(body).includes("eyJhbGciOiJSUzI1NiI"), "no RS256 token");
  assertFalse(await isSignedIn(setting, cookie));

  for (const cookie of ["", "__Host-lo=x", `${own}; ${own}`]) {
    const stranger = await setting.send(body.logout_url, { headers: visit(cookie, "none") });
    assertEquals(stranger.headers.get("location"), `${APP}/`, "another browser learns nothing");
  }
  const onward = await setting.send(body.logout_url, { headers: visit(own, "same-site") });
  const location = new URL(onward.headers.get("location")!);
  assertEquals([onward.status, location.origin], [302, "https://idp.test"]);
  assertEquals(location.searchParams.get("post_logout_redirect_uri"), `${PAGE}/bye`);
  assertMatch(location.searchParams.get("id_token_hint")!, /^eyJ/);

  setting.clock.advance(300);
  const late = await setting.send(body.logout_url, { headers: visit(own, "same-site") });
  assertEquals(late.headers.get("location"), `${APP}/`);
});

Deno.test("a large ID token does not keep the token service from signing out", async () => {
  const setting = await createSetting();
  const make = setting.idp.makeIdToken;
  setting.idp.makeIdToken = (claims) => make({ ...claims, groups: Array(500).fill("group-name") });
  const cookie = cookiesOf(await setting.signIn());
  const returnTo = `${PAGE}/${"%C3%BC".repeat(300)}`;
  const answer = await setting.send(`/auth/acme/logout?${new URLSearchParams({ returnTo })}`, {
    method: "POST",
    headers: ownCall(cookie),
  });
  const [proof] = answer.headers.getSetCookie();
  const { logout_url } = await answer.json();
  assert(logout_url.length < 16_000, `${logout_url.length}`);
  const onward = await setting.send(logout_url, { headers: visit(proof!.split(";", 1)[0]!, "same-site") });
  const location = onward.headers.get("location")!;
  assert(location.startsWith("https://idp.test/logout?"), location.slice(0, 100));
  assert(location.length < 16_000);
  assertEquals(new URL(location).searchParams.get("post_logout_redirect_uri"), returnTo);
});

Deno.test("only an address that we sealed leads on", async () => {
  const { setting, cookie } = await start();
  const { logout_url } = await (await setting.send("/auth/acme/logout", { method: "POST", headers: ownCall(cookie) }))
    .json();
  const sealed = new URL(logout_url).searchParams.get("continue")!;
  const [, at] = /(?:^|; )at=([^;]+)/.exec(cookie)!;
  for (
    const value of ["", "x", `${sealed.slice(0, -22)}${"A".repeat(22)}`, at!, "https://evil.test/", "x".repeat(9000)]
  ) {
    const onward = await setting.send(`/auth/acme/logout?${new URLSearchParams({ continue: value })}`, {
      headers: visit("", "cross-site"),
    });
    assertEquals([onward.status, onward.headers.get("location")], [302, `${APP}/`], value.slice(0, 20));
  }
});

Deno.test("POST …/logout from elsewhere signs nobody out", async () => {
  const { setting, cookie } = await start();
  const rows: readonly Record<string, string>[] = [
    { "origin": "https://evil.test", "sec-fetch-site": "cross-site" },
    { "origin": "https://evil.acme.test", "sec-fetch-site": "same-site" },
    { "origin": "null" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "none" },
    {},
  ];
  for (const headers of rows) {
    const answer = await setting.send("/auth/acme/logout", { method: "POST", headers: { cookie, ...headers } });
    assertEquals([answer.status, answer.headers.getSetCookie()], [403, []], JSON.stringify(headers));
    assertEquals((await readProblem(answer)).code, "origin_refused");
  }
  assert(await isSignedIn(setting, cookie));
});

Deno.test("signing out when nobody is signed in clears what is left, and is no error", async () => {
  const { send } = await createSetting();
  const navigated = await send("/auth/acme/logout", { headers: visit("at=x; __Host-rt=y", "same-site") });
  assertEquals([navigated.status, navigated.headers.getSetCookie()], [302, CLEARED]);
  const fetched = await send("/auth/acme/logout", { method: "POST", headers: ownCall("") });
  assertEquals([fetched.status, fetched.headers.getSetCookie().slice(1)], [200, CLEARED]);
});

Deno.test("another site that brings no cookies along, or only the shared one, signs nobody out", async () => {
  const { setting, cookie } = await start();
  const [at] = /(?:^|; )at=[^;]+/.exec(cookie)!;
  for (const brought of ["", at]) {
    const answer = await setting.send("/auth/acme/logout", { headers: visit(brought, "cross-site") });
    assertEquals([answer.status, answer.headers.getSetCookie()], [403, []]);
  }
  const typed = await setting.send("/auth/acme/logout", { headers: visit(at, "none") });
  assertFalse(typed.headers.get("location")!.includes("id_token_hint"), "the shared cookie alone yields no ID token");
  assert(await isSignedIn(setting, cookie), "and ends nothing");
});

Deno.test("a return target that is not allowed signs nobody out", async () => {
  const { setting, cookie } = await start();
  for (const method of ["GET", "POST"]) {
    const headers = method === "GET" ? { ...ownCall(cookie), accept: "*/*" } : ownCall(cookie);
    const answer = await setting.send("/auth/acme/logout?returnTo=https://evil.test/", { method, headers });
    assertEquals(await codeOf(answer), "return_target_refused");
  }
  assert(await isSignedIn(setting, cookie));
});

Deno.test("the doubled path and the path without a vendor sign out too", async () => {
  for (const path of ["/auth/logout", "/auth/auth/logout", "/auth/auth/acme/logout"]) {
    const { setting, cookie } = await start();
    assertEquals((await setting.send(path, { method: "POST", headers: ownCall(cookie) })).status, 200);
    assertFalse(await isSignedIn(setting, cookie), path);
  }
});

Deno.test("sign-ins that have begun are forgotten with the session", async () => {
  const setting = await createSetting();
  const browser = await setting.signIn();
  await browser.navigate(`${AUTH}/login`, { until: ({ host }) => host === "idp.test" });
  const { headers } = await browser.fetch(`${AUTH}/logout`, { from: `${APP}/`, method: "POST" });
  assertMatch(headers.getSetCookie().at(-1)!, /^__Host-tx-[\w-]{8}=; .*Max-Age=0$/);
  assertEquals(browser.jar.all().map(({ name }) => name), ["__Host-lo"]);
});
