import { assert, assertEquals, assertFalse } from "@std/assert";
import { readJsonObject } from "../../../lib/encoding.ts";
import type { TestBrowser } from "../../support/test_browser.ts";
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

/** A sign-in up to the callback, which has not been opened yet. */
async function begin(browser: TestBrowser, query = `returnTo=${PAGE}/news%23top`): Promise<URL> {
  const { url } = await browser.navigate(`${AUTH}/login?${query}`, {
    until: ({ pathname }) => pathname.endsWith("/callback"),
  });
  assertEquals(url.origin, APP);
  return url;
}

/** Opens a callback address with the browser's cookies. */
async function open(setting: Setting, browser: TestBrowser, url: URL, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("cookie", cookiesOf(browser));
  return await setting.send(url.href, { ...init, headers });
}

async function start(options: SettingOptions = {}) {
  const setting = await createSetting(options);
  const browser = setting.openBrowser();
  const url = await begin(browser);
  const name = `__Host-tx-${url.searchParams.get("state")!.slice(0, 8)}`;
  return { setting, browser, url, cleared: `${name}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0` };
}

/** An answer that signs nobody in: no cookie but the cleared one. */
function assertNoSession(answer: Response, cleared: readonly string[]): void {
  assertEquals(answer.headers.getSetCookie(), cleared);
}

Deno.test("a good callback signs in, byte for byte as the contract says", async () => {
  const { setting, browser, url, cleared } = await start();
  const answer = await open(setting, browser, url);
  assertEquals([answer.status, answer.headers.get("location")], [302, `${PAGE}/news#top`]);
  assertEquals([answer.headers.get("cache-control"), answer.headers.get("referrer-policy")], [
    "no-store",
    "no-referrer",
  ]);
  const masked = answer.headers.getSetCookie().map((line) => line.replace(/=[\w-]+\.\.[^;]+/, "=SEALED"));
  assertEquals(masked, [
    "at=SEALED; Domain=.acme.test; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=86400",
    "__Host-rt=SEALED; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=2592000",
    "signed_in=1; Domain=.acme.test; Path=/; Secure; SameSite=Lax; Max-Age=2592000",
    cleared,
  ]);
  assertEquals(setting.log.map(({ event }) => event), ["login_started", "signed_in"]);
});

Deno.test("nothing that was given out shows in log, answer or store", async () => {
  const setting = await createSetting();
  const browser = await setting.signIn();
  const { codes, accessTokens, refreshTokens } = setting.idp.issued;
  const secrets = [...codes, ...accessTokens, ...refreshTokens];
  assertEquals(secrets.length, 3);
  const texts = [
    JSON.stringify(setting.log),
    JSON.stringify(await setting.records.list(["vendor"])),
    JSON.stringify(await setting.records.list(["session", "acme"])),
    JSON.stringify(await setting.records.list(["once", "state"])),
    cookiesOf(browser),
    ...browser.exchanges.filter(({ url }) => url.origin === APP).map(({ headers, body }) => {
      return JSON.stringify([...headers]) + body;
    }),
  ];
  const place = browser.exchanges.findIndex(({ url }) => url.pathname.endsWith("/callback"));
  assert(place >= 0);
  for (const secret of secrets) for (const text of texts) assertFalse(text.includes(secret));
});

Deno.test("a callback that belongs to no sign-in of this browser is told to begin again", async (t) => {
  const rows: Readonly<Record<string, (url: URL, browser: TestBrowser, setting: Setting) => void>> = {
    "no state": (url) => url.searchParams.delete("state"),
    "another state": (url) => url.searchParams.set("state", "A".repeat(43)),
    "a state that begins alike": (url) => {
      url.searchParams.set("state", url.searchParams.get("state")!.slice(0, 8) + "A".repeat(35));
    },
    "state twice": (url) => url.searchParams.append("state", url.searchParams.get("state")!),
    "no cookie": (_, browser) => {
      for (const { name } of browser.jar.all()) browser.jar.forget(name);
    },
    "ten minutes later": (_, __, { clock }) => clock.advance(600),
    "no issuer though announced": (url) => url.searchParams.delete("iss"),
    "another issuer": (url) => url.searchParams.set("iss", "https://evil-idp.test/"),
    "issuer without its slash": (url) => url.searchParams.set("iss", "https://idp.test"),
    "no code": (url) => url.searchParams.delete("code"),
    "code and error": (url) => url.searchParams.set("error", "access_denied"),
    "code twice": (url) => url.searchParams.append("code", "x"),
  };
  for (const [what, spoil] of Object.entries(rows)) {
    await t.step(what, async () => {
      const { setting, browser, url } = await start();
      spoil(url, browser, setting);
      const answer = await open(setting, browser, url);
      assertEquals(answer.status, 400);
      for (const line of answer.headers.getSetCookie()) assert(line.endsWith("; Max-Age=0"), line);
      assertEquals((await readProblem(answer)).code, "login_expired");
      assertEquals(setting.idp.calls.token, 0, "no code was redeemed");
      assertEquals(setting.log.at(-1)?.event, "callback_refused");
    });
  }
});

Deno.test("somebody who is signed in already just goes home", async () => {
  const { setting, browser, url } = await start();
  await open(setting, browser, url);
  await browser.navigate(`${AUTH}/login`, { until: ({ origin }) => origin === "https://idp.test" });
  const signedIn = await setting.signIn();
  for (const query of ["", "?state=x", `?code=a&state=${"A".repeat(43)}`]) {
    const answer = await open(setting, signedIn, new URL(`${AUTH}/callback${query}`));
    assertEquals([answer.status, answer.headers.get("location")], [302, `${APP}/`]);
    assertNoSession(answer, []);
  }
});

Deno.test("the same callback a second time never makes a second exchange", async () => {
  const { setting, browser, url, cleared } = await start();
  const cookie = cookiesOf(browser);
  const headers = { cookie };
  const answers = await Promise.all([1, 2, 3, 4, 5].map(() => setting.send(url.href, { headers })));
  assertEquals(answers.map(({ status }) => status).toSorted(), [302, 400, 400, 400, 400]);
  const again = await setting.send(url.href, { headers });
  assertEquals(await codeOf(again), "login_expired");
  assertNoSession(again, [cleared]);
  assertEquals(setting.idp.calls.token, 1);
});

Deno.test("another vendor's sign-in is worth nothing", async () => {
  const { setting, browser, url } = await start();
  await setting.cloakroom.saveVendor("globex", { clientId: "web-app", hosts: ["api.globex.test"] });
  const elsewhere = new URL(`https://api.globex.test/auth/globex/callback${url.search}`);
  assertEquals(await codeOf(await open(setting, browser, elsewhere)), "login_expired");
  assertEquals(setting.idp.calls.token, 0);
});

Deno.test("settings that changed during a sign-in end it", async (t) => {
  const changes: Readonly<Record<string, Record<string, unknown>>> = {
    "another client": { clientId: "other" },
    "another issuer": { issuer: "https://other-idp.test/" },
    "another public address": { publicUrl: "https://www.acme.test/cloakroom" },
  };
  for (const [what, change] of Object.entries(changes)) {
    await t.step(what, async () => {
      const { setting, browser, url } = await start({
        hosts: {
          "other-idp.test": async (request) => {
            const document = await (await setting.idp.handle(
              new Request(request.url.replace("other-idp.test", "idp.test")),
            )).text();
            return Response.json(readJsonObject(document.replaceAll("idp.test", "other-idp.test")));
          },
        },
      });
      await setting.cloakroom.saveVendor("acme", { clientId: "web-app", hosts: ["api.acme.test"], ...change });
      assertEquals(await codeOf(await open(setting, browser, url)), "login_expired");
      assertEquals(setting.idp.calls.token, 0);
    });
  }
});

Deno.test("an error of the token service goes back to the page, and signs nobody in", async (t) => {
  const rows: readonly (readonly [query: Record<string, string>, location: string])[] = [
    [{ error: "access_denied" }, `${PAGE}/news?error=access_denied#top`],
    [
      { error: "login_required", error_description: "Sign in first." },
      `${PAGE}/news?error=login_required&error_description=Sign+in+first.#top`,
    ],
    [{ error: "<script>", error_description: "<script>" }, `${PAGE}/news?error=server_error#top`],
  ];
  for (const [query, location] of rows) {
    await t.step(JSON.stringify(query), async () => {
      const { setting, browser, url, cleared } = await start();
      url.searchParams.delete("code");
      for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
      const answer = await open(setting, browser, url);
      assertEquals([answer.status, answer.headers.get("location")], [302, location]);
      assertNoSession(answer, [cleared]);
      assertEquals(setting.idp.calls.token, 0);
    });
  }
});

Deno.test("an error finds its place in a return target that has a query", async () => {
  const setting = await createSetting();
  const browser = setting.openBrowser();
  const url = await begin(browser, `returnTo=${encodeURIComponent("/app?a=b?c#d?e")}`);
  url.searchParams.delete("code");
  url.searchParams.set("error", "access_denied");
  const answer = await open(setting, browser, url);
  assertEquals(answer.headers.get("location"), `${APP}/app?a=b?c&error=access_denied#d?e`);
});

Deno.test("an error is told on a page of ours where the return target is no longer allowed", async () => {
  const { setting, browser, url, cleared } = await start();
  await setting.cloakroom.saveVendor("acme", { clientId: "web-app", hosts: ["api.acme.test"] });
  url.searchParams.delete("code");
  url.searchParams.set("error", "access_denied");
  const answer = await open(setting, browser, url, { headers: NAVIGATION });
  assertEquals([answer.status, answer.headers.get("location")], [400, null]);
  assertNoSession(answer, [cleared]);
  const html = await answer.text();
  assert(html.includes("login_failed"));
  assert(html.includes(`href="${AUTH}/login"`));
});

Deno.test("a sign-in ends at home where its return target is no longer allowed", async () => {
  const { setting, browser, url } = await start();
  await setting.cloakroom.saveVendor("acme", { clientId: "web-app", hosts: ["api.acme.test"] });
  const answer = await open(setting, browser, url);
  assertEquals([answer.status, answer.headers.get("location")], [302, `${APP}/`]);
});

Deno.test("every trouble with the token service has its own answer, and no cookies", async (t) => {
  type Spoil = (setting: Setting) => void;
  const rows: Readonly<Record<string, readonly [Spoil, status: number, code: string]>> = {
    "invalid_grant": [
      ({ idp }) => idp.change.token = () => Response.json({ error: "invalid_grant" }, { status: 400 }),
      401,
      "login_refused",
    ],
    "invalid_client": [
      ({ idp }) => idp.change.token = () => Response.json({ error: "invalid_client" }, { status: 401 }),
      502,
      "token_service_error",
    ],
    "an unknown error": [
      ({ idp }) => idp.change.token = () => Response.json({ error: "nonsense" }, { status: 400 }),
      502,
      "token_service_error",
    ],
    "an answer without an access token": [
      ({ idp }) => idp.change.token = (good) => Response.json({ ...good, access_token: undefined }),
      502,
      "token_service_error",
    ],
    "an answer that is HTML": [
      ({ idp }) => idp.change.token = () => new Response("<html>", { headers: { "content-type": "text/html" } }),
      502,
      "token_service_error",
    ],
    "a 500": [
      ({ idp }) => idp.change.token = () => new Response(null, { status: 500 }),
      503,
      "token_service_unreachable",
    ],
    "a 429": [
      ({ idp }) => idp.change.token = () => new Response(null, { status: 429, headers: { "retry-after": "17" } }),
      503,
      "token_service_unreachable",
    ],
    "a connection that breaks": [
      ({ idp }) => idp.change.token = () => Promise.reject(new TypeError("connection reset")),
      503,
      "token_service_unreachable",
    ],
    "no ID token": [
      ({ idp }) => idp.change.token = (good) => Response.json({ ...good, id_token: undefined }),
      401,
      "id_token_refused",
    ],
    "an ID token of another nonce": [
      ({ idp }) => {
        const make = idp.makeIdToken;
        idp.makeIdToken = (claims) => make({ ...claims, nonce: "another" });
      },
      401,
      "id_token_refused",
    ],
    "an ID token for another client": [
      ({ idp }) => {
        const make = idp.makeIdToken;
        idp.makeIdToken = (claims) => make({ ...claims, aud: "other" });
      },
      401,
      "id_token_refused",
    ],
    "userinfo that fails": [
      ({ idp }) => {
        silence(idp);
        idp.change.userinfo = () => new Response(null, { status: 500 });
      },
      503,
      "token_service_unreachable",
    ],
    "userinfo that is no JSON": [
      ({ idp }) => {
        silence(idp);
        idp.change.userinfo = () => new Response("x");
      },
      503,
      "token_service_unreachable",
    ],
    "userinfo about somebody else": [
      ({ idp }) => {
        silence(idp);
        idp.change.userinfo = (good) => Response.json({ ...good, sub: "eve" });
      },
      401,
      "id_token_refused",
    ],
    "keys that cannot be had": [
      ({ idp }) => idp.change.jwks = () => new Response(null, { status: 500 }),
      503,
      "token_service_unreachable",
    ],
  };
  for (const [what, [spoil, status, code]] of Object.entries(rows)) {
    await t.step(what, async () => {
      const { setting, browser, url, cleared } = await start();
      spoil(setting);
      const answer = await open(setting, browser, url);
      assertEquals(answer.status, status);
      assertNoSession(answer, [cleared]);
      if (status === 503) assertEquals(answer.headers.get("retry-after"), what === "a 429" ? "17" : "5");
      const problem = await readProblem(answer);
      assertEquals(problem.code, code);
      assertEquals(problem.login_url, status === 401 ? `${AUTH}/login` : undefined);
      assertEquals(await setting.records.list(["session", "acme"]), []);
    });
  }
});

Deno.test("a token service that is away keeps a callback for later: nothing is used up", async () => {
  const { setting, browser, url } = await start();
  const { records, network, clock, idp } = setting;
  // Another process, which has not heard of the token service yet.
  const other = await createSetting({ wrapRecords: () => records, cloakroom: { fetch: network.fetch, now: clock } });
  idp.change.discovery = () => new Response(null, { status: 503 });
  const answer = await open(other, browser, url);
  assertNoSession(answer, []);
  assertEquals([answer.headers.get("retry-after"), await codeOf(answer)], ["5", "token_service_unreachable"]);
  delete idp.change.discovery;
  clock.advance(5);
  assertEquals((await open(other, browser, url)).headers.get("location"), `${PAGE}/news#top`);
});

Deno.test("a form post is repeated as a page load, since it comes without our cookies", async () => {
  const { setting, browser, url } = await start();
  const form = new URLSearchParams(url.search);
  form.set("id_token", "a.b.c");
  form.set("session_state", "x");
  const answer = await setting.send(`${AUTH}/callback`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
    body: form.toString(),
  });
  assertEquals(answer.status, 303);
  const location = new URL(answer.headers.get("location")!);
  assertEquals(location.origin + location.pathname, `${AUTH}/callback`);
  assertEquals(Object.fromEntries(location.searchParams), Object.fromEntries(url.searchParams), "and nothing else");
  assertEquals((await open(setting, browser, location)).headers.get("location"), `${PAGE}/news#top`);
});

Deno.test("a form post that cannot be an answer is refused", async () => {
  const { setting } = await start();
  const post = (body: string, type = "application/x-www-form-urlencoded") =>
    setting.send(`${AUTH}/callback`, { method: "POST", headers: { "content-type": type }, body });
  assertEquals(await codeOf(await post("{}", "application/json")), "content_type_refused");
  assertEquals(await codeOf(await post("code=a", "text/plain")), "content_type_refused");
  assertEquals(await codeOf(await post("")), "login_expired");
  assertEquals(await codeOf(await post("code=a&code=b&state=x")), "login_expired");
  assertEquals(await codeOf(await post(`x=${"x".repeat(16_384)}`)), "body_too_large");
  const problem = await readProblem(await post("{}", "application/json"));
  assert(String(problem.detail).includes("application/x-www-form-urlencoded"), String(problem.detail));
});

Deno.test("a prefetch of a callback uses nothing up", async () => {
  const { setting, browser, url } = await start();
  const answer = await open(setting, browser, url, { headers: { "sec-purpose": "prefetch" } });
  assertEquals([answer.status, await codeOf(answer)], [425, "prefetch_refused"]);
  assertEquals((await open(setting, browser, url)).status, 302);
});

Deno.test("two tabs sign in at once", async () => {
  const setting = await createSetting();
  const browser = setting.openBrowser();
  const one = await begin(browser, `returnTo=${PAGE}/one`);
  const two = await begin(browser, `returnTo=${PAGE}/two`);
  const answers = [await open(setting, browser, two), await open(setting, browser, one)];
  assertEquals(answers.map(({ headers }) => headers.get("location")), [`${PAGE}/two`, `${PAGE}/one`]);
});

/** Makes the provider's ID tokens tell nothing about the user. */
function silence(idp: Setting["idp"]): void {
  const make = idp.makeIdToken;
  idp.makeIdToken = ({ name: _, email: __, email_verified: ___, ...claims }) => make(claims);
}

Deno.test("what only the userinfo endpoint tells is asked for, and one that refuses the token tells nothing", async (t) => {
  const rows: Readonly<Record<string, readonly [(setting: Setting) => void, name: string | undefined]>> = {
    "an ID token that tells": [() => {}, "Alice"],
    "an ID token that tells nothing": [({ idp }) => silence(idp), "Alice"],
    "userinfo that refuses the access token": [({ idp }) => {
      silence(idp);
      idp.change.userinfo = () => new Response(null, { status: 403 });
    }, undefined],
    "userinfo that refuses it, and tells something all the same": [({ idp }) => {
      silence(idp);
      idp.change.userinfo = () => Response.json({ sub: "alice", name: "Mallory" }, { status: 403 });
    }, undefined],
  };
  for (const [what, [spoil, name]] of Object.entries(rows)) {
    await t.step(what, async () => {
      const setting = await createSetting();
      spoil(setting);
      const browser = await setting.signIn();
      const headers = ownCall(cookiesOf(browser));
      const claims = await (await setting.send("/auth/acme/userinfo", { headers })).json();
      assertEquals([claims.sub, claims.name], ["alice", name]);
      assertEquals(setting.idp.calls.userinfo, what === "an ID token that tells" ? 0 : 1);
    });
  }
});

Deno.test("tokens too large for cookies move into the session, and nothing is dropped", async () => {
  const setting = await createSetting();
  setting.idp.change.token = (good) => Response.json({ ...good, refresh_token: "r".repeat(5000) });
  const browser = await setting.signIn();
  const cookies = cookiesOf(browser);
  assert(cookies.length < 2000, `${cookies.length}`);
  const answer = await setting.send("/api/x", { headers: ownCall(cookies) });
  assertEquals(answer.status, 200);
  assertEquals(setting.upstream.calls[0]!.headers.get("authorization"), `Bearer ${setting.idp.issued.accessTokens[0]}`);
});
