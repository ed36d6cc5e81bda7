import { assertEquals } from "@std/assert";
import type { JsonObject } from "../../lib/encoding.ts";
import { type TokenRefusal, verifyLogoutToken, type VerifyLogoutTokenOptions } from "../../lib/jwt/mod.ts";
import { createTestKey, ISSUER, JWKS_URI, NOW, publish, signToken } from "./issuer.ts";

const key = await createTestKey("ES256");
const attacker = await createTestKey("ES256");

const EVENT = "http://schemas.openid.net/event/backchannel-logout";

const goodClaims = {
  iss: ISSUER,
  sub: "auth0|ada",
  sid: "s1",
  aud: "web",
  iat: NOW,
  exp: NOW + 120,
  jti: "l1",
  events: { [EVENT]: {} },
};

const goodOptions: VerifyLogoutTokenOptions = {
  keySets: publish(key.jwk),
  jwksUri: JWKS_URI,
  issuer: ISSUER,
  clientId: "web",
  now: () => NOW,
};

/** `verified`, or why not. */
async function verdictOf(header: JsonObject, claims: Readonly<Record<string, unknown>>, signer = key): Promise<string> {
  const verdict = await verifyLogoutToken(await signToken(signer, header, claims), goodOptions);
  return verdict.kind === "refused" ? verdict.reason : verdict.kind;
}

Deno.test("verifyLogoutToken() gives claims and header of a good token", async () => {
  const token = await signToken(key, { typ: "logout+jwt" }, goodClaims);
  assertEquals(await verifyLogoutToken(token, goodOptions), {
    kind: "verified",
    claims: goodClaims,
    header: { alg: "ES256", kid: "k1", typ: "logout+jwt" },
  });
});

Deno.test("verifyLogoutToken() accepts the usual forms", async (t) => {
  const cases: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    "session alone": { sub: undefined },
    "user alone": { sid: undefined },
    "several audiences": { aud: ["other", "web"] },
    "300 s old": { iat: NOW - 300 },
    "300 s ahead": { iat: NOW + 300, exp: NOW + 420 },
    "further events": { events: { [EVENT]: {}, "https://other.test/event": {} } },
  };
  for (const [what, changes] of Object.entries(cases)) {
    await t.step(what, async () => assertEquals(await verdictOf({}, { ...goodClaims, ...changes }), "verified"));
  }
});

Deno.test("verifyLogoutToken() goes by the type where there is one", async () => {
  for (const typ of ["logout+jwt", "application/logout+jwt", "JWT"]) {
    assertEquals(await verdictOf({ typ }, goodClaims), "verified", typ);
  }
  for (const typ of ["at+jwt", "secevent+jwt", "dpop+jwt", ""]) {
    assertEquals(await verdictOf({ typ }, goodClaims), "type");
  }
});

Deno.test("verifyLogoutToken() refuses a genuine token for one wrong claim", async (t) => {
  const cases: Readonly<Record<string, readonly [reason: TokenRefusal, changes: Readonly<Record<string, unknown>>]>> = {
    "nonce": ["nonce", { nonce: "n" }],
    "empty nonce": ["nonce", { nonce: "" }],
    "nonce null": ["claim", { nonce: null }],
    "events missing": ["token_use", { events: undefined }],
    "events null": ["token_use", { events: null }],
    "events as array": ["token_use", { events: [EVENT] }],
    "events as text": ["token_use", { events: EVENT }],
    "other event": ["token_use", { events: { "https://other.test/event": {} } }],
    "event is no object": ["token_use", { events: { [EVENT]: true } }],
    "event null": ["token_use", { events: { [EVENT]: null } }],
    "jti missing": ["claim", { jti: undefined }],
    "jti empty": ["claim", { jti: "" }],
    "jti as number": ["claim", { jti: 1 }],
    "jti of 256 characters": ["claim", { jti: "j".repeat(256) }],
    "neither user nor session": ["claim", { sub: undefined, sid: undefined }],
    "user empty": ["claim", { sub: "" }],
    "user null": ["claim", { sub: null }],
    "user as number": ["claim", { sub: 1 }],
    "session as number": ["claim", { sid: 1 }],
    "session empty": ["claim", { sid: "" }],
    "other issuer": ["issuer", { iss: "https://evil-idp.test/" }],
    "issuer missing": ["claim", { iss: undefined }],
    "other audience": ["audience", { aud: "other" }],
    "audience missing": ["claim", { aud: undefined }],
    "exp missing": ["claim", { exp: undefined }],
    "expired": ["expired", { exp: NOW - 60 }],
    "iat missing": ["claim", { iat: undefined }],
    "iat as text": ["claim", { iat: `${NOW}` }],
    "601 s old": ["too_old", { iat: NOW - 601 }],
    "301 s ahead": ["issued_at", { iat: NOW + 301 }],
  };
  for (const [what, [reason, changes]] of Object.entries(cases)) {
    await t.step(what, async () => assertEquals(await verdictOf({}, { ...goodClaims, ...changes }), reason));
  }
});

Deno.test("verifyLogoutToken() refuses what the issuer did not sign, and other tokens of the issuer", async () => {
  assertEquals(await verdictOf({}, goodClaims, attacker), "signature");
  assertEquals(await verdictOf({ kid: "k2" }, goodClaims, attacker), "key_unknown");
  assertEquals(await verdictOf({ alg: "none" }, goodClaims), "algorithm");
  assertEquals(await verdictOf({ typ: "JWT" }, { ...goodClaims, events: undefined, nonce: "n" }), "nonce");
  assertEquals(await verdictOf({ typ: "at+jwt" }, { ...goodClaims, events: undefined }), "type");
});
