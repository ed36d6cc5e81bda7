import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { publicClient } from "../../lib/oauth/mod.ts";
import { challengeOf } from "../../lib/pkce.ts";
import { systemRandom } from "../../lib/random.ts";
import {
  beginLogin,
  type LoginRequest,
  readLoginRequest,
  readReturnParameter,
  RETURN_NAMES,
} from "../../lib/token_handler/login.ts";
import type { Vendor } from "../../lib/token_handler/vendors.ts";
import { readVendorSettings } from "../../lib/vendor/mod.ts";

const OWN = "https://api.site.test";
const PAGE = "https://www.site.test";

function vendorOf(members: Readonly<Record<string, unknown>> = {}): Vendor {
  const reading = readVendorSettings({ clientId: "web-app", allowedOrigins: [PAGE], ...members });
  if (reading.kind === "refused") throw new Error(JSON.stringify(reading.faults));
  return {
    ...reading.settings,
    id: "acme",
    issuer: "https://id.site.test/",
    upstreams: [],
    authenticateClient: publicClient("web-app"),
  };
}

function read(query: string, members: Readonly<Record<string, unknown>> = {}) {
  return readLoginRequest(new URLSearchParams(query), { vendor: vendorOf(members), ownOrigin: OWN });
}

function requestOf(query: string, members: Readonly<Record<string, unknown>> = {}): LoginRequest {
  const reading = read(query, members);
  if (reading.kind === "refused") throw new Error(reading.code);
  return reading.request;
}

Deno.test("readLoginRequest() fills in what a bare request leaves open", () => {
  assertEquals(requestOf(""), {
    returnTo: `${OWN}/`,
    scope: "openid profile email offline_access",
    audience: null,
    appState: null,
    passedOn: {},
  });
});

Deno.test("readLoginRequest() takes the return target under each of its names", () => {
  for (const name of RETURN_NAMES) {
    assertEquals(requestOf(`${name}=%2Fnews%3Fa%3Db%23c`).returnTo, `${OWN}/news?a=b#c`, name);
    assertEquals(requestOf(`${name}=${encodeURIComponent(`${PAGE}/x`)}`).returnTo, `${PAGE}/x`, name);
  }
});

Deno.test("readLoginRequest() refuses a return target that is not allowed, under every name", () => {
  for (const name of RETURN_NAMES.filter((name) => name !== "redirect_uri")) {
    for (const target of ["https://evil.test/", "//evil.test", "", "javascript:alert(1)", "/auth/acme/logout"]) {
      const query = `${name}=${encodeURIComponent(target)}`;
      assertEquals(read(query), { kind: "refused", code: "return_target_refused" }, query);
    }
  }
});

Deno.test("readLoginRequest() ignores a foreign redirect_uri: it never steers the authorization request", () => {
  assertEquals(requestOf(`redirect_uri=${encodeURIComponent("https://evil.test/cb")}`).returnTo, `${OWN}/`);
});

Deno.test("readLoginRequest() passes on what the token service may be told, and nothing else", () => {
  const passed = {
    login_hint: "ada@example.com",
    ui_locales: "de en",
    organization: "org_1",
    prompt: "login",
    screen_hint: "signup",
    connection: "google-oauth2",
    max_age: "300",
    acr_values: "urn:mfa",
  };
  const dropped = {
    client_id: "evil",
    response_type: "token",
    response_mode: "fragment",
    state: "evil",
    nonce: "evil",
    code_challenge: "evil",
    code_challenge_method: "plain",
    request: "evil",
    request_uri: "https://evil.test/",
    registration: "{}",
    claims: "{}",
    __proto__x: "evil",
  };
  assertEquals(requestOf(`${new URLSearchParams({ ...passed, ...dropped })}`).passedOn, passed);
});

Deno.test("readLoginRequest() refuses repeated, long and unprintable parameters", async (t) => {
  const rows: Readonly<Record<string, string>> = {
    "return target twice": "returnTo=/a&returnTo=/a",
    "return target under two names": "returnTo=/a&return_to=/a",
    "login hint twice": "login_hint=a&login_hint=b",
    "scope twice": "scope=openid&scope=openid",
    "audience twice": "audience=a&audience=a",
    "app state twice": "app_state=a&app_state=a",
    "long return target": `returnTo=/${"x".repeat(2048)}`,
    "long login hint": `login_hint=${"x".repeat(2049)}`,
    "long app state": `app_state=${"x".repeat(1025)}`,
    "null in the login hint": "login_hint=a%00",
    "line feed in the login hint": "login_hint=a%0D%0ASet-Cookie:%20x",
    "escape in ui_locales": "ui_locales=%1B",
    "delete in the scope": "scope=%7F",
    "tab in the app state": "app_state=%09",
  };
  for (const [what, query] of Object.entries(rows)) {
    await t.step(what, () => assertEquals(read(query), { kind: "refused", code: "parameter_refused" }));
  }
  assertEquals(
    requestOf(`app_state=${"x".repeat(1024)}&login_hint=${"x".repeat(2048)}&x=1&x=2`).appState?.length,
    1024,
  );
});

Deno.test("readLoginRequest() asks only for scopes on the vendor's list, and always for openid", () => {
  const scopes = ["openid", "read:all", "offline_access"];
  const rows: readonly (readonly [query: string, scope: string])[] = [
    ["", "openid read:all offline_access"],
    ["scope=read:all", "openid read:all"],
    ["scope=openid", "openid"],
    ["scope=+read:all++openid+", "openid read:all"],
    ["scope=", "openid read:all offline_access"],
    ["scope=read:all+admin", "openid read:all offline_access"],
    ["scope=admin", "openid read:all offline_access"],
    ["scope=OPENID", "openid read:all offline_access"],
  ];
  for (const [query, scope] of rows) assertEquals(requestOf(query, { scopes }).scope, scope, query);
  assertEquals(requestOf("", { scopes: [] }).scope, "openid");
});

Deno.test("readLoginRequest() asks only for an audience on the vendor's list, the first by default", () => {
  const audience = ["urn:one", "urn:two"];
  assertEquals(requestOf("", { audience }).audience, "urn:one");
  assertEquals(requestOf("audience=urn:two", { audience }).audience, "urn:two");
  assertEquals(requestOf("audience=urn:evil", { audience }).audience, "urn:one");
  assertEquals(requestOf("audience=urn:evil").audience, null);
});

Deno.test("readReturnParameter() looks at nothing but return targets", () => {
  const options = { vendor: vendorOf(), ownOrigin: OWN };
  const search = new URLSearchParams("scope=a&scope=b&returnTo=/bye");
  assertEquals(readReturnParameter(search, options), { kind: "read", returnTo: `${OWN}/bye` });
});

Deno.test("beginLogin() remembers what it asks for, and draws everything anew each time", async () => {
  const vendor = vendorOf({ audience: "urn:api" });
  const redirectUri = `${OWN}/auth/acme/callback`;
  const options = { vendor, redirectUri, now: 1_800_000_000, random: systemRandom };
  const request = requestOf("returnTo=/news&app_state=opaque&login_hint=ada", { audience: "urn:api" });
  const { transaction, authorization } = await beginLogin(request, options);
  const { state, nonce, codeVerifier, ...remembered } = transaction;
  assertEquals(remembered, {
    vendorId: "acme",
    issuer: "https://id.site.test/",
    clientId: "web-app",
    redirectUri,
    returnTo: `${OWN}/news`,
    scope: "openid profile email offline_access",
    audience: "urn:api",
    appState: "opaque",
    createdAt: 1_800_000_000,
  });
  assertEquals(authorization, {
    clientId: "web-app",
    redirectUri,
    scope: "openid profile email offline_access",
    state,
    nonce,
    codeChallenge: await challengeOf(codeVerifier),
    audience: "urn:api",
    extra: { login_hint: "ada" },
  });
  for (const drawn of [state, nonce, codeVerifier]) assertMatch(drawn, /^[\w-]{43}$/);
  assertEquals(new Set([state, nonce, codeVerifier]).size, 3);
  const again = await beginLogin(request, options);
  assertNotEquals(again.transaction.state, state);
  assertNotEquals(again.transaction.nonce, nonce);
  assertNotEquals(again.transaction.codeVerifier, codeVerifier);
});

Deno.test("beginLogin() names no audience where there is none", async () => {
  const options = { vendor: vendorOf(), redirectUri: OWN, now: 1, random: systemRandom };
  assertEquals("audience" in (await beginLogin(requestOf(""), options)).authorization, false);
});
