import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import {
  APP,
  AUTH,
  codeOf,
  cookiesOf,
  createSetting,
  ownCall,
  PAGE,
  readProblem,
  type Setting,
  type SettingOptions,
} from "../setting.ts";
import { describeDevice } from "../../../routes/shared/device.ts";

const CLEARED = [
  "at=; Domain=.acme.test; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
  "at=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
  "__Host-rt=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0",
  "signed_in=; Domain=.acme.test; Path=/; Secure; SameSite=Lax; Max-Age=0",
  "signed_in=; Path=/; Secure; SameSite=Lax; Max-Age=0",
];

/** A browser that is signed in, and its two cookies. */
async function start(options: SettingOptions = {}) {
  const setting = await createSetting(options);
  const browser = await setting.signIn();
  const cookie = cookiesOf(browser);
  const [, at] = /(?:^|; )at=([^;]+)/.exec(cookie)!;
  const [, rt] = /__Host-rt=([^;]+)/.exec(cookie)!;
  return { setting, browser, cookie, at: at!, rt: rt! };
}

async function ask(setting: Setting, cookie: string, target = "/auth/acme/userinfo"): Promise<Response> {
  return await setting.send(target, { headers: ownCall(cookie) });
}

Deno.test("GET /auth/:vendorId/userinfo tells who is signed in, and never a token", async () => {
  const { setting, cookie } = await start();
  const answer = await ask(setting, cookie);
  assertEquals(answer.status, 200);
  assertEquals(
    ["content-type", "cache-control", "vary", "x-content-type-options"].map((name) => answer.headers.get(name)),
    ["application/json", "no-store", "Cookie, Origin", "nosniff"],
  );
  assertEquals(answer.headers.getSetCookie(), []);
  const { logout_url, ...claims } = await answer.json();
  assertEquals(claims, {
    sub: "alice",
    name: "Alice",
    email: "alice@acme.test",
    email_verified: true,
    vendor_id: "acme",
    exp: setting.clock() + 3600,
    session_expires_at: setting.clock() + 2_592_000,
  });
  assertMatch(logout_url, /^https:\/\/api\.acme\.test\/auth\/acme\/logout\?sid=[\w-]{43}$/);
});

Deno.test("the vendor is found by the cookie, by the host, or named in the path", async () => {
  const { setting, cookie } = await start();
  for (const target of ["/auth/acme/userinfo", "/auth/userinfo", "/auth/auth/userinfo", "/auth/auth/acme/userinfo"]) {
    assertEquals((await (await ask(setting, cookie, target)).json()).vendor_id, "acme", target);
  }
  await setting.cloakroom.saveVendor("globex", { clientId: "x", hosts: ["api.globex.test"] });
  assertEquals(await codeOf(await ask(setting, "", "https://api.globex.test/auth/userinfo")), "unauthenticated");
  assertEquals(await codeOf(await ask(setting, "", "https://nobody.test/auth/userinfo")), "vendor_unknown");
  const elsewhere = await ask(setting, cookie, "https://api.globex.test/auth/userinfo");
  assertEquals(await codeOf(elsewhere), "unauthenticated", "acme is not served there");
});

Deno.test("the vendor decides which claims are shown", async () => {
  const { setting, cookie } = await start({ vendor: { claims: ["sub", "email", "sid", "missing"] } });
  const claims = await (await ask(setting, cookie)).json();
  assertEquals(Object.keys(claims).toSorted(), [
    "email",
    "exp",
    "logout_url",
    "session_expires_at",
    "sid",
    "sub",
    "vendor_id",
  ]);
});

Deno.test("app_state is handed back once", async () => {
  const setting = await createSetting();
  const browser = setting.openBrowser();
  await browser.navigate(`${AUTH}/login?returnTo=${PAGE}/&app_state=opaque%20text`);
  const cookie = cookiesOf(browser);
  const seen = [];
  for (let i = 0; i < 3; i++) seen.push((await (await ask(setting, cookie)).json()).app_state);
  assertEquals(seen, ["opaque text", undefined, undefined]);
});

Deno.test("app_state is handed back once to many who ask at once", async () => {
  const setting = await createSetting();
  const browser = setting.openBrowser();
  await browser.navigate(`${AUTH}/login?returnTo=${PAGE}/&app_state=opaque`);
  const cookie = cookiesOf(browser);
  const answers = await Promise.all(Array.from({ length: 10 }, () => ask(setting, cookie)));
  const seen = await Promise.all(answers.map(async (answer) => (await answer.json()).app_state));
  assertEquals(seen.filter((state) => state !== undefined), ["opaque"]);
});

Deno.test("nobody signed in is told where to sign in", async () => {
  const { send } = await createSetting();
  const answer = await send("/auth/acme/userinfo");
  assertEquals([answer.status, answer.headers.getSetCookie()], [401, []]);
  const problem = await readProblem(answer);
  assertEquals([problem.code, problem.login_url], ["unauthenticated", `${AUTH}/login`]);
});

Deno.test("cookies that do not belong together are worth nothing, all with the same answer", async (t) => {
  const { setting, cookie, at, rt } = await start({ vendor: { userinfoWithAccessCookieAlone: false } });
  const other = cookiesOf(await setting.signIn("mallory"));
  const [, otherRt] = /__Host-rt=([^;]+)/.exec(other)!;
  const [, otherAt] = /(?:^|; )at=([^;]+)/.exec(other)!;
  const bodies = new Set<string>();
  const rows: Readonly<Record<string, string>> = {
    "at alone": `at=${at}`,
    "at with another session's rt": `at=${at}; __Host-rt=${otherRt}`,
    "another session's at": `at=${otherAt}; __Host-rt=${rt}`,
    "at twice": `at=${at}; __Host-rt=${rt}; at=${at}`,
    "rt twice": `__Host-rt=${rt}; at=${at}; __Host-rt=${otherRt}`,
    "at in place of rt": `at=${at}; __Host-rt=${at}`,
    "rt in place of at": `at=${rt}; __Host-rt=${rt}`,
    "exchanged": `at=${rt}; __Host-rt=${at}`,
    "empty at": `at=; __Host-rt=${rt}`,
    "empty rt": `at=${at}; __Host-rt=`,
    "at tampered": `at=${at.slice(0, -22)}${"A".repeat(22)}; __Host-rt=${rt}`,
    "rt tampered": `at=${at}; __Host-rt=${rt.slice(0, -22)}${"A".repeat(22)}`,
    "nonsense": "at=x; __Host-rt=y",
  };
  assertEquals((await ask(setting, cookie)).status, 200);
  for (const [what, cookies] of Object.entries(rows)) {
    await t.step(what, async () => {
      for (const target of ["/auth/acme/userinfo", "/api/x"]) {
        const answer = await ask(setting, cookies, target);
        assertEquals(answer.status, 401);
        for (const line of answer.headers.getSetCookie()) assert(line.endsWith("Max-Age=0"), line);
        const { request_id: _, ...problem } = await readProblem(answer);
        bodies.add(JSON.stringify(problem));
      }
    });
  }
  assertEquals(bodies.size, 1);
  assertEquals(setting.upstream.calls.length, 0);
  assertEquals((await ask(setting, cookie)).status, 200, "nobody was signed out by it");
});

Deno.test("a cookie that only does harm is cleared, its partner is not", async () => {
  const { setting, at, rt } = await start();
  const cleared = async (cookies: string) => (await ask(setting, cookies)).headers.getSetCookie();
  assertEquals(await cleared(`at=x; __Host-rt=${rt}`), CLEARED.slice(0, 2));
  assertEquals(await cleared(`at=${at}; __Host-rt=x`), CLEARED.slice(2, 3));
});

Deno.test("at alone is enough for userinfo while its token lives, unless the vendor forbids it", async () => {
  const { setting, at } = await start();
  const answer = await setting.send("/auth/acme/userinfo", { headers: { cookie: `at=${at}` } });
  assertEquals([answer.status, (await answer.json()).sub], [200, "alice"]);
  assertEquals(await codeOf(await setting.send("/api/x", { headers: { cookie: `at=${at}` } })), "unauthenticated");
  const sessions = await setting.send("/auth/acme/sessions", { headers: { cookie: `at=${at}` } });
  assertEquals(await codeOf(sessions), "unauthenticated");
  setting.clock.advance(3600);
  assertEquals(
    await codeOf(await setting.send("/auth/acme/userinfo", { headers: { cookie: `at=${at}` } })),
    "unauthenticated",
  );

  const strict = await start({ vendor: { userinfoWithAccessCookieAlone: false } });
  const refused = await strict.setting.send("/auth/acme/userinfo", { headers: { cookie: `at=${strict.at}` } });
  assertEquals(await codeOf(refused), "unauthenticated");
});

Deno.test("an app_state is not given to whoever has at alone", async () => {
  const setting = await createSetting();
  const browser = setting.openBrowser();
  await browser.navigate(`${AUTH}/login?returnTo=${PAGE}/&app_state=opaque`);
  const [, at] = /(?:^|; )at=([^;]+)/.exec(cookiesOf(browser))!;
  const alone = await setting.send("/auth/acme/userinfo", { headers: { cookie: `at=${at}` } });
  assertEquals((await alone.json()).app_state, undefined);
  assertEquals((await (await ask(setting, cookiesOf(browser))).json()).app_state, "opaque");
});

Deno.test("__Host-rt alone brings a new at, since it lives longer", async () => {
  const { setting, rt } = await start();
  setting.clock.advance(86_400);
  const answer = await ask(setting, `__Host-rt=${rt}`);
  assertEquals([answer.status, (await answer.json()).exp], [200, setting.clock() + 3600]);
  const names = answer.headers.getSetCookie().map((line) => line.split("=")[0]);
  assertEquals(names, ["at", "__Host-rt", "signed_in"]);
});

Deno.test("an access token that is about to end is replaced on the way", async () => {
  const { setting, browser } = await start();
  setting.clock.advance(3540);
  assertEquals((await browser.fetch(`${AUTH}/userinfo`, { from: `${APP}/` })).headers.getSetCookie(), []);
  setting.clock.advance(1);
  const exchange = await browser.fetch(`${AUTH}/userinfo`, { from: `${APP}/` });
  assertEquals([exchange.status, JSON.parse(exchange.body).exp], [200, setting.clock() + 3600]);
  assertEquals(exchange.headers.getSetCookie().length, 3);
  assertEquals(setting.idp.calls.token, 2);
  await browser.fetch(`${AUTH}/userinfo`, { from: `${APP}/` });
  assertEquals(setting.idp.calls.token, 2, "the browser has the new cookies");
});

Deno.test("a token service that is away changes nothing about who is signed in", async () => {
  const { setting, cookie } = await start();
  setting.tokenFault = () => new Response(null, { status: 503 });
  setting.clock.advance(3541);
  assertEquals((await ask(setting, cookie)).status, 200);
  setting.clock.advance(3600);
  const answer = await ask(setting, cookie);
  assertEquals([answer.status, (await answer.json()).sub], [200, "alice"]);
});

Deno.test("a session that ended is told why, and its cookies are cleared", async (t) => {
  type End = (setting: Setting, cookie: string) => Promise<unknown> | void;
  const rows: Readonly<Record<string, End>> = {
    user: (setting, cookie) => setting.send("/auth/acme/logout", { method: "POST", headers: ownCall(cookie) }),
    everywhere: (setting, cookie) =>
      setting.send("/auth/acme/sessions?all=true", { method: "DELETE", headers: ownCall(cookie) }),
    idle: ({ clock }) => clock.advance(604_800),
    refresh_refused: (setting) => {
      setting.tokenFault = () => Response.json({ error: "invalid_grant" }, { status: 400 });
      setting.clock.advance(3600);
    },
    key_retired: async ({ cloakroom }) => {
      await cloakroom.keys.retire("acme", await cloakroom.keys.activeKeyId("acme"));
    },
  };
  for (const [reason, end] of Object.entries(rows)) {
    await t.step(reason, async () => {
      const { setting, cookie } = await start();
      await end(setting, cookie);
      const answer = await ask(setting, cookie);
      assertEquals([answer.status, answer.headers.getSetCookie()], [401, CLEARED]);
      const problem = await readProblem(answer);
      assertEquals([problem.code, problem.reason, problem.login_url], ["session_ended", reason, `${AUTH}/login`]);
      assertEquals((await readProblem(await ask(setting, cookie))).reason, reason, "it stays ended");
    });
  }
});

Deno.test("a session ends at its absolute end, however active it is", async () => {
  const { setting, browser } = await start({ vendor: { sessionMaxSeconds: 3600 } });
  for (let i = 0; i < 3; i++) {
    setting.clock.advance(1199);
    assertEquals((await browser.fetch(`${AUTH}/userinfo`, { from: `${APP}/` })).status, 200);
  }
  setting.clock.advance(3);
  const exchange = await browser.fetch(`${AUTH}/userinfo`, { from: `${APP}/` });
  assertEquals([exchange.status, JSON.parse(exchange.body).reason], [401, "absolute"]);
});

Deno.test("activity keeps a session from going idle; looking with touch=false does not", async () => {
  const { setting, cookie } = await start({ vendor: { sessionIdleSeconds: 900, sessionMaxSeconds: 3000 } });
  for (let i = 0; i < 3; i++) {
    setting.clock.advance(600);
    assertEquals((await ask(setting, cookie)).status, 200);
  }
  setting.clock.advance(600);
  assertEquals((await ask(setting, cookie, "/auth/acme/userinfo?touch=false")).status, 200);
  setting.clock.advance(300);
  assertEquals((await readProblem(await ask(setting, cookie))).reason, "idle");
});

Deno.test("the sealed cookies show nothing of what is inside", async () => {
  const { cookie, setting } = await start();
  for (const token of [...setting.idp.issued.accessTokens, ...setting.idp.issued.refreshTokens]) {
    for (const form of [token, btoa(token).slice(4, 40)]) assertFalse(cookie.includes(form));
  }
  assertFalse(cookie.includes("alice"));
});

Deno.test("host scope: __Host-at, Strict, and a plain at means nothing", async () => {
  const { setting, browser } = await (async () => {
    const setting = await createSetting({ vendor: { cookieScope: "host" } });
    return { setting, browser: await setting.signIn() };
  })();
  const cookie = cookiesOf(browser);
  assertEquals(cookie.split("; ").map((pair) => pair.split("=")[0]).toSorted(), [
    "__Host-at",
    "__Host-rt",
    "signed_in",
  ]);
  assertEquals((await ask(setting, cookie)).status, 200);
  assertEquals((await ask(setting, `at=evil; ${cookie}`)).status, 200);
  assertEquals((await ask(setting, `at=evil; ${cookie}`, "/auth/userinfo")).status, 200);
});

Deno.test("tokenStore kv: cookies are handles, and everything works", async () => {
  const setting = await createSetting({ vendor: { tokenStore: "kv" } });
  const browser = await setting.signIn();
  assert(cookiesOf(browser).length < 1000);
  setting.clock.advance(3541);
  const exchange = await browser.fetch(`${AUTH}/userinfo`, { from: `${APP}/` });
  assertEquals([exchange.status, setting.idp.calls.token], [200, 2]);
  assertEquals((await browser.fetch(`${APP}/api/x`, { from: `${APP}/` })).status, 200);
  assertEquals(
    setting.upstream.calls[0]!.headers.get("authorization"),
    `Bearer ${setting.idp.issued.accessTokens[1]}`,
  );
});

Deno.test("a browser is described in a few words", () => {
  const rows: readonly (readonly [userAgent: string | null, device: string | null])[] = [
    ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"],
    [null, null],
    ["", null],
    ["x".repeat(100_000), null],
  ];
  for (const [userAgent, device] of rows) assertEquals(describeDevice(userAgent), device);
});
