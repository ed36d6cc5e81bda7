/**
 * The token handler at somebody else's token service: npm `oidc-provider`, over HTTP on loopback, with every kind of client
 * and of access token.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { createLocalJWKSet, jwtVerify } from "@panva/jose";
import { Secret } from "../../lib/secret.ts";
import { createMemoryRecords } from "../../lib/store/mod.ts";
import { type Cloakroom, createCloakroom } from "../../routes/cloakroom.ts";
import { createTestClock, type TestClock } from "../support/clock.ts";
import {
  ACCESS_TOKEN_SECONDS,
  type ForeignClient,
  type ForeignProvider,
  startForeignProvider,
} from "../support/foreign_provider.ts";
import { type Handler, serveOnLoopback } from "../support/loopback.ts";
import { rsaKey } from "../support/signing_key.ts";
import { createTestBrowser, type Landing, type TestBrowser } from "../support/test_browser.ts";
import { type TokenWatch, watchTokens } from "../support/tokens.ts";

const APP = "http://localhost:4711";
const RESOURCE = "https://api.foreign.example/";

/** Each of them is the client of a vendor of the same name. */
const CLIENTS: readonly ForeignClient[] = [
  { id: "basic-jwt", secret: "s:1%+/&=~?", method: "client_secret_basic", resource: RESOURCE },
  { id: "basic-opaque", secret: "a-secret-that-is-plain", method: "client_secret_basic", resource: null },
  { id: "post-opaque", secret: "another-secret", method: "client_secret_post", resource: null },
  { id: "public-jwt", secret: null, method: "none", resource: RESOURCE },
  { id: "public-opaque", secret: null, method: "none", resource: null },
];

const PUBLIC_CLIENT = CLIENTS.at(-1)!;

interface World {
  readonly provider: ForeignProvider;
  readonly cloakroom: Cloakroom;
  readonly clock: TestClock;
  readonly watch: TokenWatch;
  readonly newBrowser: () => TestBrowser;
}

/** The provider, an API that believes its tokens only, and a token handler between them. */
async function withWorld(client: ForeignClient, run: (world: World) => Promise<void>): Promise<void> {
  const { id, secret, method } = client;
  const provider = await startForeignProvider({
    client,
    redirectUri: `${APP}/auth/${id}/callback`,
    postLogoutRedirectUri: `${APP}/`,
  });
  const { issuer } = provider;
  const api = serveOnLoopback((request) => answerAsApi(request, issuer));
  const clock = createTestClock(Math.floor(Date.now() / 1000));
  const watch = watchTokens(fetch);
  const cloakroom = await createCloakroom({
    records: createMemoryRecords(clock),
    masterKey: new Secret(new Uint8Array(32).fill(7)),
    fetch: watch.fetch,
    now: clock,
    insecureAllowLoopback: true,
  });
  await cloakroom.saveVendor(id, {
    clientId: id,
    ...(secret === null ? {} : { clientSecret: secret }),
    clientAuthMethod: method,
    issuer,
    publicUrl: APP,
    upstreams: [{ path: "/whoami", target: `http://127.0.0.1:${api.port}` }],
    postLogoutRedirects: [`${APP}/`],
  });
  const hosts: Record<string, Handler> = {
    [new URL(APP).host]: (request) => cloakroom.fetch(request),
    [new URL(issuer).host]: (request) => fetch(request, { redirect: "manual" }),
  };
  try {
    await run({ provider, cloakroom, clock, watch, newBrowser: () => createTestBrowser(hosts, clock) });
  } finally {
    await cloakroom.settle();
    await api.close();
    await provider.close();
  }
}

/** An API that verifies a JWT by itself, and asks the provider about an opaque token. */
async function answerAsApi(request: Request, issuer: string): Promise<Response> {
  const [, token = ""] = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
  if (!token.includes(".")) {
    const answer = await fetch(`${issuer}/me`, { headers: { authorization: `Bearer ${token}` } });
    return Response.json({ kind: "opaque", sub: (await answer.json()).sub ?? null }, { status: answer.status });
  }
  const keys = createLocalJWKSet({ keys: [(await rsaKey("foreign-1")).publicJwk as { kty: string }] });
  const { payload } = await jwtVerify(token, keys, { issuer, audience: RESOURCE, typ: "at+jwt" });
  return Response.json({ kind: "jwt", sub: payload.sub });
}

/** Begins a sign-in; a form's page is where it stops. This provider gives refresh tokens only where it asks for consent. */
async function beginLogin(browser: TestBrowser, vendorId: string, prompt = "consent"): Promise<Landing> {
  const query = new URLSearchParams({ returnTo: "/", prompt });
  return await browser.navigate(`${APP}/auth/${vendorId}/login?${query}`, { from: `${APP}/` });
}

async function signIn(browser: TestBrowser, vendorId: string, prompt?: string): Promise<Landing> {
  let landing = await beginLogin(browser, vendorId, prompt);
  for (const form of [{ login: "ada" }, {}]) {
    if (landing.url.pathname.startsWith("/interaction/")) {
      landing = await browser.navigate(landing.url.href, { from: landing.url.href, form });
    }
  }
  return landing;
}

const whoAmI = async (browser: TestBrowser) => {
  const { status, body } = await browser.fetch(`${APP}/whoami`, { from: `${APP}/` });
  return [status, JSON.parse(body)];
};

for (const client of CLIENTS) {
  const { id, resource } = client;
  const kind = resource === null ? "opaque" : "jwt";

  Deno.test(`a foreign provider signs in, refreshes and signs out a client that is ${id}`, async () => {
    await withWorld(client, async ({ clock, watch, cloakroom, provider, newBrowser }) => {
      const browser = newBrowser();
      const asked = await beginLogin(browser, id);
      const authorization = asked.exchanges.find(({ url }) => url.pathname === "/auth")!.url.searchParams;
      assertEquals(authorization.get("code_challenge_method"), "S256");
      assertEquals((await signIn(browser, id)).url.href, `${APP}/`);
      assertEquals(watch.grants, ["authorization_code"]);

      const { status, body } = await browser.fetch(`${APP}/auth/${id}/userinfo`, { from: `${APP}/` });
      const { sub, name, email, vendor_id, logout_url } = JSON.parse(body);
      assertEquals([status, sub, vendor_id], [200, "ada", id]);
      assertEquals([name, email], ["Name of ada", "ada@foreign.example"]);
      // This provider tells a profile in the ID token only where the access token does not open its userinfo endpoint.
      assertEquals(watch.shown.length, resource === null ? 1 : 0);
      assertEquals(await whoAmI(browser), [200, { kind, sub: "ada" }]);
      assertEquals(watch.shown.at(-1), `Bearer ${watch.tokens.access[0]}`);

      // Once while the access token still lives, and once when it does not any more.
      for (const [round, passed] of [ACCESS_TOKEN_SECONDS - 45, 100].entries()) {
        clock.advance(passed);
        assertEquals(await whoAmI(browser), [200, { kind, sub: "ada" }]);
        assertEquals(await whoAmI(browser), [200, { kind, sub: "ada" }]);
        assertEquals(watch.grants.length, round + 2);
        assertEquals(watch.grants.at(-1), "refresh_token");
        assertEquals(watch.shown.at(-1), `Bearer ${watch.tokens.access[round + 1]}`);
      }
      const { access, refresh } = watch.tokens;
      assertEquals([new Set(access).size, new Set(refresh).size], [3, 3]);
      for (const token of access) assertEquals(token.split(".").length, resource === null ? 1 : 3);

      const question = await browser.navigate(logout_url, { from: `${APP}/` });
      assertEquals(question.url.origin, provider.issuer);
      const xsrf = /name="xsrf" value="(\w+)"/.exec(question.last!.body)![1]!;
      const action = /action="([^"]+)"/.exec(question.last!.body)![1]!;
      const left = await browser.navigate(action, { from: question.url.href, form: { xsrf, logout: "yes" } });
      assertEquals(left.url.href, `${APP}/`);
      assertEquals(browser.jar.sent(new URL(APP)).map(({ name }) => name), []);
      await cloakroom.settle();
      assert(provider.events.includes("grant.revoked"));
      assertEquals(await redeem(provider.issuer, client, refresh.at(-1)!), [400, "invalid_grant"]);
      assertEquals((await whoAmI(browser))[0], 401);
      assertMatch((await beginLogin(browser, id)).last!.body, /login for/);
    });
  });
}

/** Redeems a refresh token past the token handler, as a thief would who has the client's secret. */
async function redeem(issuer: string, { id, secret }: ForeignClient, token: string): Promise<[number, string]> {
  const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: token, client_id: id });
  const headers = new Headers();
  if (secret !== null) body.set("client_secret", secret);
  const response = await fetch(`${issuer}/token`, { method: "POST", body, headers });
  return [response.status, (await response.json()).error];
}

Deno.test("a foreign provider that revokes the grant, since a used refresh token came again, ends the session", async () => {
  await withWorld(PUBLIC_CLIENT, async ({ clock, watch, provider, newBrowser }) => {
    const browser = newBrowser();
    await signIn(browser, PUBLIC_CLIENT.id);
    clock.advance(ACCESS_TOKEN_SECONDS);
    assertEquals((await whoAmI(browser))[0], 200);
    assertEquals(await redeem(provider.issuer, PUBLIC_CLIENT, watch.tokens.refresh[0]!), [400, "invalid_grant"]);
    clock.advance(ACCESS_TOKEN_SECONDS);
    const [status, { code, reason }] = await whoAmI(browser);
    assertEquals([status, code, reason], [401, "session_ended", "refresh_refused"]);
    assertEquals(browser.jar.sent(new URL(APP)).map(({ name }) => name), []);
  });
});

Deno.test("a foreign provider that gives no refresh token makes a session as long as the access token lives", async () => {
  await withWorld(PUBLIC_CLIENT, async ({ clock, watch, newBrowser }) => {
    const browser = newBrowser();
    assertEquals((await signIn(browser, PUBLIC_CLIENT.id, "login")).url.href, `${APP}/`);
    assertEquals(watch.tokens.refresh, []);
    clock.advance(ACCESS_TOKEN_SECONDS - 1);
    assertEquals(await whoAmI(browser), [200, { kind: "opaque", sub: "ada" }]);
    clock.advance(1);
    assertEquals((await whoAmI(browser))[0], 401);
    assertEquals(watch.grants, ["authorization_code"]);
  });
});

Deno.test("a foreign provider that may not ask leads back to the page with its error", async () => {
  await withWorld(PUBLIC_CLIENT, async ({ watch, newBrowser }) => {
    const browser = newBrowser();
    const { url } = await beginLogin(browser, PUBLIC_CLIENT.id, "none");
    assertEquals(url.searchParams.get("error"), "login_required");
    assertEquals(url.origin + url.pathname, `${APP}/`);
    assertEquals(watch.grants, []);
    assertEquals(browser.jar.all().filter(({ domain }) => domain === "localhost"), []);
  });
});

Deno.test("control: this provider takes no authorization request without PKCE and no wrong verifier", async () => {
  await withWorld(PUBLIC_CLIENT, async ({ provider: { issuer }, newBrowser }) => {
    const redirectUri = `${APP}/auth/${PUBLIC_CLIENT.id}/callback`;
    const query = new URLSearchParams({
      client_id: PUBLIC_CLIENT.id,
      response_type: "code",
      redirect_uri: redirectUri,
      scope: "openid",
      state: "s",
    });
    const isCallback = ({ pathname }: URL) => pathname.endsWith("/callback");
    const bare = await newBrowser().navigate(`${issuer}/auth?${query}`, { until: isCallback });
    assertEquals(bare.url.searchParams.get("error"), "invalid_request");

    const browser = newBrowser();
    query.set("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    query.set("code_challenge_method", "S256");
    let landing = await browser.navigate(`${issuer}/auth?${query}`);
    for (const form of [{ login: "ada" }, {}]) {
      landing = await browser.navigate(landing.url.href, { from: landing.url.href, form, until: isCallback });
    }
    const code = landing.url.searchParams.get("code")!;
    assertNotEquals(code, null);
    const body = new URLSearchParams({
      grant_type: "authorization_code",
      code,
      redirect_uri: redirectUri,
      client_id: PUBLIC_CLIENT.id,
      code_verifier: "x".repeat(43),
    });
    const response = await fetch(`${issuer}/token`, { method: "POST", body });
    assertEquals([response.status, (await response.json()).error], [400, "invalid_grant"]);
  });
});
