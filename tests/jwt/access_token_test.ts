import { assertEquals } from "@std/assert";
import type { JsonObject } from "../../lib/encoding.ts";
import { type TokenRefusal, verifyAccessToken, type VerifyAccessTokenOptions } from "../../lib/jwt/mod.ts";
import { createTestKey, ISSUER, JWKS_URI, NOW, publish, signToken } from "./issuer.ts";

const key = await createTestKey("ES256");

/** As RFC 9068 has it. */
const goodClaims = {
  iss: ISSUER,
  sub: "auth0|ada",
  aud: "https://api.test/",
  client_id: "web",
  exp: NOW + 3600,
  iat: NOW - 60,
  jti: "t1",
  scope: "openid read:articles",
};

/** As Auth0 has it by default, with `openid` asked for. */
const auth0Claims = {
  iss: ISSUER,
  sub: "auth0|ada",
  aud: ["https://api.test/", `${ISSUER}userinfo`],
  azp: "web",
  exp: NOW + 86_400,
  iat: NOW - 60,
  scope: "openid profile",
};

const goodOptions: VerifyAccessTokenOptions = {
  keySets: publish(key.jwk),
  jwksUri: JWKS_URI,
  issuer: ISSUER,
  audience: "https://api.test/",
  now: () => NOW,
};

/** `verified`, or why not. */
async function verdictOf(
  header: JsonObject,
  claims: JsonObject,
  options: Partial<VerifyAccessTokenOptions> = {},
): Promise<string> {
  const verdict = await verifyAccessToken(await signToken(key, header, claims), { ...goodOptions, ...options });
  return verdict.kind === "refused" ? verdict.reason : verdict.kind;
}

Deno.test("verifyAccessToken() gives claims and header of a good token", async () => {
  const verdict = await verifyAccessToken(await signToken(key, { typ: "at+jwt" }, goodClaims), goodOptions);
  assertEquals(verdict, {
    kind: "verified",
    claims: goodClaims,
    header: { alg: "ES256", kid: "k1", typ: "at+jwt" },
  });
});

Deno.test("verifyAccessToken() takes the types of RFC 9068, and JWT as Auth0 writes it", async (t) => {
  const table: Readonly<Record<string, string>> = {
    "at+jwt": "verified",
    "AT+JWT": "verified",
    "application/at+jwt": "verified",
    "JWT": "verified",
    "jwt": "verified",
    "logout+jwt": "type",
    "secevent+jwt": "type",
    "dpop+jwt": "type",
    "token-introspection+jwt": "type",
    "at": "type",
    "": "type",
  };
  for (const [typ, expected] of Object.entries(table)) {
    await t.step(typ, async () => assertEquals(await verdictOf({ typ }, auth0Claims), expected));
  }
  assertEquals(await verdictOf({}, auth0Claims), "type");
});

Deno.test("verifyAccessToken() accepts the usual forms", async (t) => {
  const cases: Readonly<Record<string, readonly [typ: string, claims: JsonObject, audience?: readonly string[]]>> = {
    "RFC 9068": ["at+jwt", goodClaims],
    "Auth0": ["JWT", auth0Claims],
    "Auth0, machine to machine": ["JWT", {
      ...auth0Claims,
      sub: "m2m@clients",
      aud: "https://api.test/",
      azp: "m2m",
      gty: "client-credentials",
    }],
    "for the client too": ["JWT", { ...auth0Claims, aud: ["web", "https://api.test/"] }],
    "Keycloak": ["JWT", { ...auth0Claims, typ: "Bearer", sid: "s1", aud: ["https://api.test/", "account"] }],
    "Cognito": ["JWT", { ...goodClaims, token_use: "access" }],
    "one of our names": ["at+jwt", goodClaims, ["https://other.test/", "https://api.test/"]],
    "old but not expired": ["at+jwt", { ...goodClaims, iat: NOW - 864_000 }],
    "for the client itself, by its type an access token": ["at+jwt", { ...goodClaims, aud: "web" }, ["web"]],
  };
  for (const [what, [typ, claims, audience = ["https://api.test/"]]] of Object.entries(cases)) {
    await t.step(what, async () => assertEquals(await verdictOf({ typ }, claims, { audience }), "verified"));
  }
});

Deno.test("verifyAccessToken() refuses a genuine token for one wrong claim", async (t) => {
  const cases: Readonly<Record<string, readonly [reason: TokenRefusal, claims: Readonly<Record<string, unknown>>]>> = {
    "issuer missing": ["claim", { iss: undefined }],
    "issuer as array": ["claim", { iss: [ISSUER] }],
    "other issuer": ["issuer", { iss: "https://evil-idp.test/" }],
    "subject missing": ["claim", { sub: undefined }],
    "subject with NUL": ["claim", { sub: "ada\u0000" }],
    "audience missing": ["claim", { aud: undefined }],
    "audience empty list": ["claim", { aud: [] }],
    "other audience": ["audience", { aud: "https://other.test/" }],
    "audience without trailing slash": ["audience", { aud: "https://api.test" }],
    "audience that begins like ours": ["audience", { aud: "https://api.test/x" }],
    "exp missing": ["claim", { exp: undefined }],
    "exp as text": ["claim", { exp: "9999999999" }],
    "exp 60 s ago": ["expired", { exp: NOW - 60 }],
    "iat missing": ["claim", { iat: undefined }],
    "iat 301 s ahead": ["issued_at", { iat: NOW + 301 }],
    "nbf 301 s ahead": ["not_yet_valid", { nbf: NOW + 301 }],
    "bound to a key by DPoP": ["token_use", { cnf: { jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }],
    "bound to a certificate": ["token_use", { cnf: { "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" } }],
    "logout token": ["token_use", { events: { "http://schemas.openid.net/event/backchannel-logout": {} } }],
  };
  for (const [what, [reason, claims]] of Object.entries(cases)) {
    await t.step(what, async () => {
      assertEquals(await verdictOf({ typ: "at+jwt" }, { ...goodClaims, ...claims }), reason);
      assertEquals(await verdictOf({ typ: "JWT" }, { ...goodClaims, ...claims }), reason);
    });
  }
});

Deno.test("verifyAccessToken() takes no other token of the issuer for an access token", async (t) => {
  const idToken = { ...auth0Claims, aud: "web", azp: undefined };
  const cases: Readonly<Record<string, readonly [expected: TokenRefusal, claims: Readonly<Record<string, unknown>>]>> =
    {
      "ID token": ["token_use", { ...idToken, nonce: "n" }],
      "ID token with at_hash": ["token_use", { ...idToken, at_hash: "77QmUPtjPfzWtF2AnpK9RQ" }],
      "ID token with c_hash": ["token_use", { ...idToken, c_hash: "77QmUPtjPfzWtF2AnpK9RQ" }],
      "ID token with s_hash": ["token_use", { ...idToken, s_hash: "77QmUPtjPfzWtF2AnpK9RQ" }],
      "ID token without any of these": ["audience", idToken],
      "ID token whose audience is our API": ["token_use", { ...auth0Claims, nonce: "n" }],
      "ID token of Keycloak": ["token_use", { ...auth0Claims, typ: "ID" }],
      "refresh token of Keycloak": ["token_use", { ...auth0Claims, typ: "Refresh" }],
      "ID token of Cognito": ["token_use", { ...auth0Claims, token_use: "id" }],
      "kind as object": ["token_use", { ...auth0Claims, token_use: { x: "access" } }],
    };
  for (const [what, [expected, claims]] of Object.entries(cases)) {
    await t.step(what, async () => assertEquals(await verdictOf({ typ: "JWT" }, claims), expected));
  }
  // Where API and client have one name, the claims of the client give it away.
  for (const claims of [{ azp: "web" }, { client_id: "web" }]) {
    assertEquals(
      await verdictOf({ typ: "JWT" }, { ...auth0Claims, azp: undefined, aud: "web", ...claims }, { audience: "web" }),
      "token_use",
    );
  }
});

Deno.test("verifyAccessToken() keeps to the caller's algorithms", async () => {
  assertEquals(await verdictOf({ typ: "at+jwt" }, goodClaims, { algorithms: ["ES256"] }), "verified");
  assertEquals(await verdictOf({ typ: "at+jwt" }, goodClaims, { algorithms: ["RS256"] }), "algorithm");
});

Deno.test("verifyAccessToken() calls missing keys an outage", async () => {
  const find = () => Promise.resolve({ kind: "unavailable", reason: "timeout" } as const);
  const verdict = await verifyAccessToken(await signToken(key, { typ: "at+jwt" }, goodClaims), {
    ...goodOptions,
    keySets: { find },
  });
  assertEquals(verdict, { kind: "unavailable", reason: "timeout" });
});
