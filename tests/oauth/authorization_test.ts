import { assertEquals } from "@std/assert";
import { type AuthorizationRequest, authorizationUrl } from "../../lib/oauth/mod.ts";
import { metadataOf } from "./server.ts";

const request: AuthorizationRequest = {
  clientId: "web",
  redirectUri: "https://app.test/auth/acme/callback",
  scope: "openid profile",
  state: "s1",
  nonce: "n1",
  codeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
};

const own: readonly (readonly [string, string])[] = [
  ["client_id", "web"],
  ["redirect_uri", "https://app.test/auth/acme/callback"],
  ["response_type", "code"],
  ["scope", "openid profile"],
  ["state", "s1"],
  ["nonce", "n1"],
  ["code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],
  ["code_challenge_method", "S256"],
];

/** The parameters in the order of their names. */
function parametersOf(url: string): readonly (readonly [string, string])[] {
  return [...new URL(url).searchParams].toSorted(([a], [b]) => a < b ? -1 : 1);
}

function sorted(...parameters: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] {
  return parameters.toSorted(([a], [b]) => a < b ? -1 : 1);
}

Deno.test("authorizationUrl() asks for a code with PKCE, state and nonce", () => {
  const url = authorizationUrl(metadataOf("https://id.test"), request);
  assertEquals(new URL(url).origin + new URL(url).pathname, "https://id.test/authorize");
  assertEquals(parametersOf(url), sorted(...own));
});

Deno.test("authorizationUrl() adds an audience and further parameters", () => {
  const extra = { login_hint: "ada+x@example.com", ui_locales: "sv en", prompt: "login" };
  const url = authorizationUrl(metadataOf("https://id.test"), { ...request, audience: "https://api.test/", extra });
  assertEquals(parametersOf(url), sorted(...own, ["audience", "https://api.test/"], ...Object.entries(extra)));
});

Deno.test("authorizationUrl() lets nothing replace what is its own", () => {
  const evil = Object.fromEntries(own.map(([name]) => [name, "evil"]));
  const extra = { ...evil, request: "eyJhbGciOiJub25lIn0.e30.", request_uri: "https://evil.test/", audience: "evil" };
  const metadata = metadataOf("https://id.test");
  const url = authorizationUrl(metadata, { ...request, audience: "https://api.test/", extra });
  assertEquals(parametersOf(url), sorted(...own, ["audience", "https://api.test/"]));
});

Deno.test("authorizationUrl() keeps the endpoint's own query, except where it is in the way", () => {
  const authorizationEndpoint = "https://id.test/authorize?p=b2c_1&state=x&state=y&response_type=token";
  const url = authorizationUrl(metadataOf("https://id.test", { authorizationEndpoint }), request);
  assertEquals(parametersOf(url), sorted(...own, ["p", "b2c_1"]));
});

Deno.test("authorizationUrl() writes values that no server can read otherwise", () => {
  const state = "a&client_id=evil#x?y=z\r\nLocation: https://evil.test/ é";
  const url = authorizationUrl(metadataOf("https://id.test"), { ...request, state });
  assertEquals(new URL(url).searchParams.getAll("state"), [state]);
  assertEquals(new URL(url).searchParams.getAll("client_id"), ["web"]);
  assertEquals(new URL(url).hash, "");
  assertEquals(/[\s\u0080-\uffff]/.test(url), false);
});
