/**
 * Page, token handler and token service on hosts of their own, over https, as publishers run them: the page on
 * `www.site.test`, the token handler on `api.site.test`, the token service on `token.other.test`. Beside them a sibling that
 * somebody else controls, `evil.site.test`, and a page of another site, `www.other.test`.
 *
 * What browsers send along is not what a test believes but what the servers saw (contract, sections 2.3, 2.4 and 2.9).
 *
 * @module
 */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { Browser, Page } from "playwright-core";
import { systemClock } from "../../lib/clock.ts";
import { createKeySets } from "../../lib/jwt/mod.ts";
import { Secret } from "../../lib/secret.ts";
import { createMemoryRecords } from "../../lib/store/mod.ts";
import { createTokenService } from "../../lib/token_service/mod.ts";
import { createCloakroom } from "../../routes/cloakroom.ts";
import { createDemoApi } from "../../routes/demo/api.ts";
import { createTokenServiceApp } from "../../routes/token_service/mod.ts";
import { testInBrowser, withBrowser } from "../support/browser.ts";
import { createNetwork, type Handler, type LoopbackServer, serveOnLoopback } from "../support/loopback.ts";
import { serveTlsWeb } from "../support/tls_web.ts";
import { maskValue, openVisitor, sealedFor, submitForm, type Visitor } from "./visitor.ts";

const WWW = "https://www.site.test";
const API = "https://api.site.test";
const TOKEN = "https://token.other.test";
const UPSTREAM = "https://upstream.other.test";
const EVIL = "https://evil.site.test";
const OTHER = "https://www.other.test";

/** What the token handler saw of a request, and what it answered. */
interface Seen {
  readonly what: string;
  readonly page: string | null;
  readonly site: string | null;
  readonly cookies: readonly string[];
  readonly status: number;
  /** The origin whose pages may read the answer, besides the token handler's own. */
  readonly readableBy: string | null;
}

interface Stage {
  readonly browser: Browser;
  /** Every request to the token handler's host, oldest first. */
  readonly seen: Seen[];
}

testInBrowser("page, token handler and token service on three hosts over https, in a browser", async (t) => {
  const seen: Seen[] = [];
  const { handlers, close } = await createParts();
  const pages: Record<string, Handler> = {
    "www.site.test": () => respondHtml(`<a href="${API}/auth/acme/login?returnTo=${WWW}/">Sign in</a>`),
    "www.other.test": () =>
      respondHtml(`<a href="${API}/entitlements">API</a> <a href="${API}/auth/acme/userinfo">Who</a>`),
    "evil.site.test": (request) => {
      const cookie = new URL(request.url).searchParams.get("toss");
      return respondHtml("A sibling", cookie === null ? {} : { "set-cookie": cookie });
    },
  };
  const watched: Handler = async (request) => {
    const response = await handlers["api.site.test"]!(request);
    seen.push(describe(request, response));
    return response;
  };
  const web = await serveTlsWeb({ ...handlers, ...pages, "api.site.test": watched });
  try {
    await withBrowser((browser) => visitEverything(t, { browser, seen }), web);
  } finally {
    await web.close();
    await close();
  }
});

function respondHtml(body: string, headers: Record<string, string> = {}): Response {
  const all = { "content-type": "text/html", "cache-control": "no-store", ...headers };
  return new Response(`<!DOCTYPE html><link rel="icon" href="data:,"><title>Page</title>${body}`, { headers: all });
}

function describe(request: Request, response: Response): Seen {
  const { pathname } = new URL(request.url);
  const cookies = request.headers.get("cookie")?.split("; ").map((pair) => pair.split("=", 1)[0]!) ?? [];
  return {
    what: `${request.method} ${pathname}`,
    page: request.headers.get("referer"),
    site: request.headers.get("sec-fetch-site"),
    cookies: cookies.filter((name) => !name.startsWith("__Host-tx-")).toSorted(),
    status: response.status,
    readableBy: response.headers.get("access-control-allow-origin"),
  };
}

/** The three servers of the product and its upstream, which call each other over HTTP on loopback. */
async function createParts() {
  const servers: LoopbackServer[] = [];
  const hosts: Record<string, Handler> = {};
  const { fetch } = createNetwork(hosts);
  const records = createMemoryRecords();
  const issuer = `${TOKEN}/`;
  const tokenService = createTokenService({ issuer, records: createMemoryRecords(), passwordRounds: 1000 });
  const tokenServiceApp = createTokenServiceApp(tokenService, { clientAddress: () => "127.0.0.1" });
  const cloakroom = await createCloakroom({ records, masterKey: new Secret(new Uint8Array(32).fill(7)), fetch });
  const api = createDemoApi({
    issuer,
    jwksUri: String(tokenService.metadata().jwks_uri),
    audience: UPSTREAM,
    keySets: createKeySets({ fetch }),
    now: systemClock,
  });
  for (const [host, handler] of [["token.other.test", tokenServiceApp.fetch], ["upstream.other.test", api]] as const) {
    const server = serveOnLoopback(handler);
    servers.push(server);
    hosts[host] = server.send;
  }
  const client = { clientId: "acme-web", clientSecret: "a-secret-of-the-web-client" };
  await tokenService.clients.create({
    ...client,
    name: "Acme Daily",
    redirectUris: [`${API}/auth/acme/callback`],
    postLogoutRedirectUris: [`${WWW}/`],
    grantTypes: ["authorization_code", "refresh_token"],
    scopes: ["openid", "profile", "email", "offline_access"],
    audiences: [UPSTREAM],
    firstParty: true,
  });
  for (const name of ["Ada", "Bo"]) {
    const email = `${name.toLowerCase()}@example.com`;
    await tokenService.users.create({ sub: `user-${name}`, email, name, password: "open sesame" });
  }
  await cloakroom.saveVendor("acme", {
    ...client,
    issuer,
    publicUrl: API,
    hosts: ["api.site.test"],
    allowedOrigins: [WWW],
    audience: UPSTREAM,
    upstreams: [{ path: "/entitlements", target: UPSTREAM }, { path: "/contracts", target: UPSTREAM }],
    postLogoutRedirects: [`${WWW}/`],
  });
  const handlers: Record<string, Handler> = {
    "api.site.test": (request) => cloakroom.fetch(request),
    "token.other.test": tokenServiceApp.fetch,
  };
  async function close(): Promise<void> {
    await cloakroom.settle();
    await Promise.all(servers.map((server) => server.close()));
  }
  return { handlers, close };
}

async function signIn(page: Page, email?: string): Promise<void> {
  await page.goto(WWW);
  await page.getByRole("link", { name: "Sign in" }).click();
  await submitForm(page, email === undefined ? {} : { email });
  await page.waitForURL(`${WWW}/`);
}

/** What a script learns from a call: the answer, or that there is nothing for it to read. */
async function callFrom(
  page: Page,
  url: string,
  init: Readonly<Record<string, unknown>> = {},
): Promise<[number, string]> {
  return await page.evaluate(`(async () => {
    try {
      const response = await fetch(${JSON.stringify(url)}, ${JSON.stringify({ credentials: "include", ...init })});
      return [response.status, await response.text()];
    } catch (error) {
      return [0, error.name];
    }
  })()`);
}

const UNREADABLE: [number, string] = [0, "TypeError"];

async function cookieNamed(visitor: Visitor, name: string): Promise<string | undefined> {
  return (await visitor.context.cookies(API)).find((cookie) => cookie.name === name)?.value;
}

async function visitEverything(t: Deno.TestContext, { browser, seen }: Stage): Promise<void> {
  await using visitor = await openVisitor(browser);
  const { page, context, traffic } = visitor;
  /** What the token handler saw last of a request while something was done. */
  const watch = async (
    what: string,
    act: () => Promise<unknown>,
  ): Promise<Pick<Seen, "site" | "cookies" | "status">> => {
    const from = seen.length;
    await act();
    const found = seen.slice(from).findLast((request) => request.what === what);
    assert(found !== undefined, `no ${what}`);
    const { site, cookies, status } = found;
    return { site, cookies, status };
  };

  await t.step("a sign-in sets `at` for the site and `__Host-rt` for the token handler's host alone", async () => {
    const callback = await watch("GET /auth/acme/callback", () => signIn(page));
    assertEquals(callback, { site: "cross-site", cookies: [], status: 302 });
    await traffic.settle();
    const [, tx] = /^(__Host-tx-[\w-]{8})=/.exec(traffic.setCookies("/auth/acme/login")[0] ?? "") ?? [];
    assertEquals(traffic.setCookies("/auth/acme/login").map(maskValue), [
      `${tx}=${sealedFor("tx")}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600`,
    ]);
    assertEquals(traffic.setCookies("/auth/acme/callback").map(maskValue), [
      `at=${sealedFor("at")}; Domain=.site.test; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=86400`,
      `__Host-rt=${sealedFor("rt")}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=2592000`,
      "signed_in=1; Domain=.site.test; Path=/; Secure; SameSite=Lax; Max-Age=2592000",
      `${tx}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0`,
    ]);
    const jar = (await context.cookies([WWW, API, EVIL])).map(({ name, domain, secure, httpOnly, sameSite }) =>
      [name, domain, secure, httpOnly, sameSite].join(" ")
    );
    assertEquals(jar.toSorted(), [
      "__Host-rt api.site.test true true Strict",
      "at .site.test true true Lax",
      "signed_in .site.test true false Lax",
    ]);
    assertEquals(await page.evaluate("document.cookie"), "signed_in=1");
    const toPage = traffic.exchanges.filter(({ url }) => url === `${WWW}/`).at(-1)!.requestHeaders;
    assertEquals(
      toPage.find((line) => /^cookie:/i.test(line))?.replace(/=[^;]+/g, ""),
      "cookie: at; signed_in",
    );
  });

  await t.step("the page calls the token handler with both cookies and reads the answers", async () => {
    const who = await watch("GET /auth/acme/userinfo", async () => {
      const [status, body] = await callFrom(page, `${API}/auth/acme/userinfo`);
      assertEquals([status, JSON.parse(body).name], [200, "Ada"]);
    });
    assertEquals(who, { site: "same-site", cookies: ["__Host-rt", "at", "signed_in"], status: 200 });
    const [status, body] = await callFrom(page, `${API}/entitlements`);
    assertEquals([status, JSON.parse(body)[0].owner], [200, "user-Ada"]);

    await traffic.settle();
    const { headers } = traffic.exchanges.findLast(({ url }) => url === `${API}/entitlements`)!;
    const cors = headers.map((line) => line.toLowerCase()).filter((line) => /^(access-control-|vary:)/.test(line));
    assertEquals(cors.toSorted(), [
      "access-control-allow-credentials: true",
      `access-control-allow-origin: ${WWW}`,
      "access-control-expose-headers: x-request-id, retry-after",
      "vary: origin",
    ]);
  });

  await t.step("a call that needs a preflight gets one, which carries no cookies, and then works", async () => {
    const headers = { "x-custom": "1", "x-csrf": "1" };
    const preflight = await watch("OPTIONS /entitlements", async () => {
      assertEquals((await callFrom(page, `${API}/entitlements`, { headers }))[0], 200);
    });
    assertEquals(preflight, { site: "same-site", cookies: [], status: 204 });
    const refresh = await callFrom(page, `${API}/auth/acme/refresh`, { method: "POST", headers });
    assertEquals([refresh[0], Object.keys(JSON.parse(refresh[1]))], [200, ["expires_at"]]);
    const problem = await callFrom(page, `${API}/auth/acme/nothing`, { headers });
    assertEquals(problem, UNREADABLE);
  });

  await t.step("a call without credentials is nobody's, and the page can read that", async () => {
    const sent = await watch("GET /entitlements", async () => {
      const [status, body] = await callFrom(page, `${API}/entitlements`, { credentials: "omit" });
      const { code, login_url } = JSON.parse(body);
      assertEquals([status, code, login_url], [401, "unauthenticated", `${API}/auth/acme/login`]);
    });
    assertEquals(sent, { site: "same-site", cookies: [], status: 401 });
  });

  await t.step("a sibling that is not allowed can send the cookies, but not use or read anything", async () => {
    const evil = await context.newPage();
    await evil.goto(EVIL);
    for (const path of ["/entitlements", "/auth/acme/userinfo"]) {
      const sent = await watch(`GET ${path}`, async () => {
        assertEquals(await callFrom(evil, `${API}${path}`), UNREADABLE);
      });
      assertEquals(sent, { site: "same-site", cookies: ["__Host-rt", "at", "signed_in"], status: 403 });
    }
    for (const path of ["/auth/acme/logout", "/auth/acme/refresh", "/entitlements"]) {
      assertEquals(await callFrom(evil, `${API}${path}`, { method: "POST" }), UNREADABLE);
      assertEquals(await callFrom(evil, `${API}${path}`, { method: "POST", mode: "no-cors" }), [0, ""]);
      assertEquals(await callFrom(evil, `${API}${path}`, { headers: { "x-csrf": "1" } }), UNREADABLE);
    }
    assertEquals(await callFrom(evil, `${API}/entitlements`, { mode: "no-cors" }), [0, ""]);
    const fromEvil = seen.filter(({ page }) => page === `${EVIL}/`);
    const calls = fromEvil.filter(({ what }) => !what.startsWith("OPTIONS"));
    assertEquals(calls.map(({ status }) => status), Array(9).fill(403));
    assertEquals(fromEvil.filter(({ readableBy }) => readableBy !== null), []);
    await evil.close();
    assertEquals((await callFrom(page, `${API}/entitlements`))[0], 200);
  });

  await t.step(
    "from another site no cookie goes along with a call; a link brings `at` and not `__Host-rt`",
    async () => {
      const other = await context.newPage();
      await other.goto(OTHER);
      for (const init of [{}, { method: "POST", mode: "no-cors" }]) {
        const method = "method" in init ? init.method : "GET";
        const sent = await watch(`${method} /entitlements`, () => callFrom(other, `${API}/entitlements`, init));
        assertEquals(sent, { site: "cross-site", cookies: [], status: 401 });
      }
      assertEquals(await callFrom(other, `${API}/auth/acme/userinfo`), UNREADABLE);

      const byLink = await watch("GET /entitlements", async () => {
        await other.getByRole("link", { name: "API" }).click();
        assertEquals(await other.locator("code").first().innerText(), "unauthenticated");
      });
      assertEquals(byLink, { site: "cross-site", cookies: ["at", "signed_in"], status: 401 });
      await other.goto(OTHER);
      const who = await watch("GET /auth/acme/userinfo", async () => {
        await other.getByRole("link", { name: "Who" }).click();
        await other.waitForURL(`${API}/auth/acme/userinfo`);
        assertEquals(JSON.parse(await other.locator("body").innerText()).name, "Ada");
      });
      assertEquals(who, { site: "cross-site", cookies: ["at", "signed_in"], status: 200 });
      await other.close();
    },
  );

  await t.step(
    "an `at` that a sibling tosses is refused, cleared, and replaced by one of the session's own",
    async () => {
      await using attacker = await openVisitor(browser);
      await signIn(attacker.page, "bo@example.com");
      const stolen = await cookieNamed(visitor, "at");
      const tossed = [
        "rubbish",
        (await cookieNamed(attacker, "at"))!,
        "",
        stolen!.replace(/.$/, (last) => last === "A" ? "Q" : "A"),
      ];
      const evil = await context.newPage();
      for (const value of tossed) {
        await evil.goto(`${EVIL}/?${new URLSearchParams({ toss: `at=${value}; Domain=.site.test; Path=/; Secure` })}`);
        assertEquals(await cookieNamed(visitor, "at"), value);
        const [status, body] = await callFrom(page, `${API}/entitlements`);
        assertEquals([status, JSON.parse(body).code], [401, "unauthenticated"], value);
        assertEquals(await cookieNamed(visitor, "at"), undefined);
        const healed = await callFrom(page, `${API}/entitlements`);
        assertEquals([healed[0], JSON.parse(healed[1])[0].owner], [200, "user-Ada"]);
        assertNotEquals(await cookieNamed(visitor, "at"), undefined);
      }
      await evil.close();
    },
  );

  await t.step(
    "a second `at` under a longer path is refused as long as it is there, and harms nothing else",
    async () => {
      const evil = await context.newPage();
      await evil.goto(EVIL);
      await evil.evaluate(`document.cookie = "at=rubbish; Domain=site.test; Path=/entitlements; Secure"`);
      const sent = await watch("GET /entitlements", async () => {
        assertEquals((await callFrom(page, `${API}/entitlements`))[0], 401);
      });
      assertEquals(sent.cookies, ["__Host-rt", "at", "at", "signed_in"]);
      assertEquals((await callFrom(page, `${API}/contracts`))[0], 200);
      await evil.evaluate(`document.cookie = "at=; Domain=site.test; Path=/entitlements; Secure; Max-Age=0"`);
      assertEquals((await callFrom(page, `${API}/entitlements`))[0], 200);
      await evil.close();
    },
  );

  await t.step("signing out clears the cookies on every host they were set for, and ends at the page", async () => {
    const { logout_url } = JSON.parse((await callFrom(page, `${API}/auth/acme/userinfo`))[1]);
    await page.goto(logout_url);
    assertEquals(page.url(), `${WWW}/`);
    await traffic.settle();
    assertEquals(traffic.setCookies("/auth/acme/logout"), [
      "at=; Domain=.site.test; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
      "at=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
      "__Host-rt=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0",
      "signed_in=; Domain=.site.test; Path=/; Secure; SameSite=Lax; Max-Age=0",
      "signed_in=; Path=/; Secure; SameSite=Lax; Max-Age=0",
    ]);
    assertEquals((await context.cookies([WWW, API, EVIL])).map(({ name }) => name), []);
    assertEquals((await callFrom(page, `${API}/auth/acme/userinfo`))[0], 401);
    await page.getByRole("link", { name: "Sign in" }).click();
    await page.getByLabel("Password").waitFor();
  });
}
