import { assert, assertEquals } from "@std/assert";
import { encodeBase64Url, encodeUtf8, type JsonObject } from "../../lib/encoding.ts";
import { type SignatureAlgorithm, signatureAlgorithms } from "../../lib/jwt/algorithms.ts";
import { type TokenRefusal, verifyIdToken, type VerifyIdTokenOptions } from "../../lib/jwt/mod.ts";
import {
  createTestKey,
  ISSUER,
  JWKS_URI,
  NOW,
  publish,
  signParts,
  signTexts,
  signToken,
  type TestKey,
} from "./issuer.ts";

const key = await createTestKey("ES256");
const attacker = await createTestKey("ES256");

const goodClaims = {
  iss: ISSUER,
  sub: "auth0|ada",
  aud: "web",
  exp: NOW + 3600,
  iat: NOW,
  nonce: "n-0S6_WzA2Mj",
  auth_time: NOW - 30,
};

const goodOptions: VerifyIdTokenOptions = {
  keySets: publish(key.jwk),
  jwksUri: JWKS_URI,
  issuer: ISSUER,
  clientId: "web",
  nonce: goodClaims.nonce,
  now: () => NOW,
};

/** `verified`, or why not. */
async function verdictOf(token: string, options: Partial<VerifyIdTokenOptions> = {}): Promise<string> {
  const verdict = await verifyIdToken(token, { ...goodOptions, ...options });
  return verdict.kind === "refused" ? verdict.reason : verdict.kind;
}

Deno.test("verifyIdToken() gives claims and header of a good token", async () => {
  const token = await signToken(key, { typ: "JWT" }, { ...goodClaims, email: "ada@example.com" });
  assertEquals(await verifyIdToken(token, goodOptions), {
    kind: "verified",
    claims: { ...goodClaims, email: "ada@example.com" },
    header: { alg: "ES256", kid: "k1", typ: "JWT" },
  });
});

for (const alg of signatureAlgorithms) {
  Deno.test(`verifyIdToken() verifies ${alg}, with the at_hash of its digest`, async () => {
    const own = await createTestKey(alg);
    const other = await createTestKey(alg);
    const accessToken = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    const hash = alg.endsWith("256") ? "SHA-256" : alg.endsWith("384") ? "SHA-384" : "SHA-512";
    const digest = new Uint8Array(await crypto.subtle.digest(hash, encodeUtf8(accessToken)));
    const claims = { ...goodClaims, at_hash: encodeBase64Url(digest.subarray(0, digest.length / 2)) };
    const options = { keySets: publish(own.jwk), accessToken };
    assertEquals(await verdictOf(await signToken(own, {}, claims), options), "verified");
    assertEquals(
      await verdictOf(await signToken(own, {}, claims), { ...options, accessToken: "x" }),
      "access_token_hash",
    );
    assertEquals(await verdictOf(await signToken(other, {}, claims), options), "signature");
    assertEquals(await verdictOf(await signToken(own, {}, claims), { ...options, algorithms: [alg] }), "verified");
    const others = signatureAlgorithms.filter((name) => name !== alg);
    assertEquals(await verdictOf(await signToken(own, {}, claims), { ...options, algorithms: others }), "algorithm");
  });
}

const refusals: Readonly<Record<string, readonly [reason: TokenRefusal, claims: Readonly<Record<string, unknown>>]>> = {
  "issuer missing": ["claim", { iss: undefined }],
  "issuer null": ["claim", { iss: null }],
  "issuer as array": ["claim", { iss: [ISSUER, "https://evil.test/"] }],
  "issuer as object": ["claim", { iss: { x: ISSUER } }],
  "issuer empty": ["claim", { iss: "" }],
  "other issuer": ["issuer", { iss: "https://evil-idp.test/" }],
  "issuer without trailing slash": ["issuer", { iss: "https://id.test" }],
  "issuer in other case": ["issuer", { iss: "https://ID.test/" }],
  "issuer with default port": ["issuer", { iss: "https://id.test:443/" }],
  "issuer with a space behind": ["issuer", { iss: `${ISSUER} ` }],
  "subject missing": ["claim", { sub: undefined }],
  "subject empty": ["claim", { sub: "" }],
  "subject as number": ["claim", { sub: 1 }],
  "subject as object": ["claim", { sub: { x: 1 } }],
  "subject as array": ["claim", { sub: ["ada"] }],
  "subject null": ["claim", { sub: null }],
  "subject of 256 characters": ["claim", { sub: "a".repeat(256) }],
  "subject with NUL": ["claim", { sub: "ada\u0000" }],
  "subject with newline": ["claim", { sub: "ada\nx" }],
  "subject with DEL": ["claim", { sub: "ada\u007f" }],
  "subject with a C1 control": ["claim", { sub: "ada\u0085" }],
  "subject with half a character": ["claim", { sub: "ada\ud800" }],
  "audience missing": ["claim", { aud: undefined }],
  "audience null": ["claim", { aud: null }],
  "audience empty": ["claim", { aud: "" }],
  "audience empty list": ["claim", { aud: [] }],
  "audience with null": ["claim", { aud: ["web", null] }],
  "audience nested": ["claim", { aud: [["web"]] }],
  "audience as object": ["claim", { aud: { web: true } }],
  "audience as number": ["claim", { aud: 1 }],
  "other audience": ["audience", { aud: "other" }],
  "other audiences": ["audience", { aud: ["other", "third"], azp: "web" }],
  "audience in other case": ["audience", { aud: "WEB" }],
  "audience that contains ours": ["audience", { aud: "web2" }],
  "audience separated by spaces": ["audience", { aud: "web other" }],
  "several audiences, no azp": ["authorized_party", { aud: ["web", "other"] }],
  "azp of another client": ["authorized_party", { aud: ["web", "other"], azp: "other" }],
  "azp of another client, one audience": ["authorized_party", { azp: "other" }],
  "azp empty": ["authorized_party", { azp: "" }],
  "azp as array": ["claim", { azp: ["web"] }],
  "azp null": ["claim", { azp: null }],
  "exp missing": ["claim", { exp: undefined }],
  "exp null": ["claim", { exp: null }],
  "exp as text": ["claim", { exp: "9999999999" }],
  "exp as object": ["claim", { exp: {} }],
  "exp as array": ["claim", { exp: [NOW + 3600] }],
  "exp true": ["claim", { exp: true }],
  "exp negative": ["claim", { exp: -1 }],
  "exp 1e300": ["claim", { exp: 1e300 }],
  "exp after the year 9999": ["claim", { exp: 253_402_300_800 }],
  "exp in milliseconds": ["claim", { exp: NOW * 1000 }],
  "exp 0": ["expired", { exp: 0 }],
  "exp an hour ago": ["expired", { exp: NOW - 3600 }],
  "exp 60 s ago": ["expired", { exp: NOW - 60 }],
  "iat missing": ["claim", { iat: undefined }],
  "iat as text": ["claim", { iat: `${NOW}` }],
  "iat null": ["claim", { iat: null }],
  "iat negative": ["claim", { iat: -1 }],
  "iat 301 s ahead": ["issued_at", { iat: NOW + 301 }],
  "iat a day ahead": ["issued_at", { iat: NOW + 86_400, exp: NOW + 90_000 }],
  "iat 601 s ago": ["too_old", { iat: NOW - 601 }],
  "iat a day ago": ["too_old", { iat: NOW - 86_400 }],
  "iat 0": ["too_old", { iat: 0 }],
  "nbf 301 s ahead": ["not_yet_valid", { nbf: NOW + 301 }],
  "nbf as text": ["claim", { nbf: `${NOW}` }],
  "nbf null": ["claim", { nbf: null }],
  "nbf 1e300": ["claim", { nbf: 1e300 }],
  "nonce missing": ["nonce", { nonce: undefined }],
  "nonce of another request": ["nonce", { nonce: "other" }],
  "nonce empty": ["nonce", { nonce: "" }],
  "nonce in other case": ["nonce", { nonce: goodClaims.nonce.toUpperCase() }],
  "nonce null": ["claim", { nonce: null }],
  "nonce as array": ["claim", { nonce: [goodClaims.nonce] }],
  "nonce as number": ["claim", { nonce: 1 }],
  "auth_time as text": ["claim", { auth_time: `${NOW}` }],
  "auth_time null": ["claim", { auth_time: null }],
  "auth_time negative": ["claim", { auth_time: -1 }],
  "at_hash as number": ["claim", { at_hash: 1 }],
  "at_hash null": ["claim", { at_hash: null }],
  "jti as number": ["claim", { jti: 1 }],
  "sid as number": ["claim", { sid: 1 }],
  "sid empty": ["claim", { sid: "" }],
  "logout token": ["token_use", { events: { "http://schemas.openid.net/event/backchannel-logout": {} } }],
};

Deno.test("verifyIdToken() refuses a genuine token for one wrong claim", async (t) => {
  for (const [what, [reason, claims]] of Object.entries(refusals)) {
    await t.step(what, async () => {
      assertEquals(await verdictOf(await signToken(key, {}, { ...goodClaims, ...claims })), reason);
    });
  }
});

Deno.test("verifyIdToken() accepts what looks odd but is right", async (t) => {
  const cases: Readonly<Record<string, JsonObject>> = {
    "list of one audience": { aud: ["web"] },
    "several audiences with our azp": { aud: ["other", "web"], azp: "web" },
    "one audience with our azp": { azp: "web" },
    "subject of 255 characters": { sub: "a".repeat(255) },
    "subject beyond ASCII": { sub: "ada ✓ 🦊" },
    "subject __proto__": { sub: "__proto__" },
    "fractions of seconds": { exp: NOW + 0.5, iat: NOW - 0.25 },
    "exp at the end of the year 9999": { exp: 253_402_300_799 },
    "exp 59 s ago": { exp: NOW - 59 },
    "iat 300 s ahead": { iat: NOW + 300 },
    "iat 600 s ago": { iat: NOW - 600 },
    "nbf 300 s ahead": { nbf: NOW + 300 },
    "members that nobody knows": { a: [1, { b: null }], "": 0 },
  };
  for (const [what, claims] of Object.entries(cases)) {
    await t.step(what, async () => {
      assertEquals(await verdictOf(await signToken(key, {}, { ...goodClaims, ...claims })), "verified");
    });
  }
});

Deno.test("verifyIdToken() signs everybody in whose issuer's clock is wrong by up to five minutes", async () => {
  for (let skew = -300; skew <= 300; skew += 25) {
    const issuerNow = NOW + skew;
    const times = { iat: issuerNow, nbf: issuerNow, auth_time: issuerNow, exp: issuerNow + 300 };
    const token = await signToken(key, {}, { ...goodClaims, ...times });
    assertEquals(await verdictOf(token, { maxAgeSeconds: 0 }), "verified", `${skew}`);
  }
});

Deno.test("verifyIdToken() refuses other kinds of token by their type", async (t) => {
  const table: Readonly<Record<string, string>> = {
    "JWT": "verified",
    "jwt": "verified",
    "application/jwt": "verified",
    "at+jwt": "type",
    "application/at+jwt": "type",
    "logout+jwt": "type",
    "secevent+jwt": "type",
    "dpop+jwt": "type",
    "JWS": "type",
    "JOSE": "type",
    "": "type",
    " JWT": "type",
  };
  for (const [typ, expected] of Object.entries(table)) {
    await t.step(typ, async () => assertEquals(await verdictOf(await signToken(key, { typ }, goodClaims)), expected));
  }
});

Deno.test("verifyIdToken() compares at_hash only where both are there", async () => {
  const at_hash = "77QmUPtjPfzWtF2AnpK9RQ"; // OpenID Connect Core, appendix A.3
  const accessToken = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
  const hashed = await signToken(key, {}, { ...goodClaims, at_hash });
  const plain = await signToken(key, {}, goodClaims);
  assertEquals(await verdictOf(hashed, { accessToken }), "verified");
  assertEquals(await verdictOf(hashed), "verified");
  assertEquals(await verdictOf(plain, { accessToken }), "verified");
  assertEquals(await verdictOf(hashed, { accessToken: `${accessToken}x` }), "access_token_hash");
  for (const wrong of ["", "77QmUPtjPfzWtF2AnpK9RR", "77QmUPtjPfzWtF2AnpK9RQ==", at_hash.slice(1)]) {
    const token = await signToken(key, {}, { ...goodClaims, at_hash: wrong });
    assertEquals(await verdictOf(token, { accessToken }), "access_token_hash");
  }
});

Deno.test("verifyIdToken() after a refresh: no nonce is asked for, the subject has to stay", async () => {
  const { nonce: _nonce, ...claims } = goodClaims;
  const token = await signToken(key, {}, claims);
  assertEquals(await verdictOf(token), "nonce");
  assertEquals(await verdictOf(token, { nonce: null }), "verified");
  assertEquals(await verdictOf(token, { nonce: null, subject: claims.sub }), "verified");
  assertEquals(await verdictOf(token, { nonce: null, subject: "auth0|bo" }), "subject");
  assertEquals(await verdictOf(token, { nonce: null, subject: "" }), "subject");
});

Deno.test("verifyIdToken() holds the issuer to an asked max_age", async () => {
  const signedIn = (ago: number | undefined) =>
    signToken(key, {}, { ...goodClaims, auth_time: ago === undefined ? undefined : NOW - ago });
  assertEquals(await verdictOf(await signedIn(360), { maxAgeSeconds: 300 }), "verified");
  assertEquals(await verdictOf(await signedIn(361), { maxAgeSeconds: 300 }), "authentication_too_old");
  assertEquals(await verdictOf(await signedIn(86_400), { maxAgeSeconds: 0 }), "authentication_too_old");
  assertEquals(await verdictOf(await signedIn(undefined), { maxAgeSeconds: 300 }), "claim");
  assertEquals(await verdictOf(await signedIn(86_400)), "verified");
});

Deno.test("verifyIdToken() refuses tokens that the issuer did not sign like this", async (t) => {
  const good = await signToken(key, {}, goodClaims);
  const [header, payload, signature] = good.split(".") as [string, string, string];
  const encode = (text: string) => encodeBase64Url(encodeUtf8(text));
  const hmac = async (secret: string, alg = "HS256") => {
    const signed = `${encode(JSON.stringify({ alg, kid: "k1" }))}.${payload}`;
    const hmacKey = await crypto.subtle.importKey("raw", encodeUtf8(secret), { name: "HMAC", hash: "SHA-256" }, false, [
      "sign",
    ]);
    return `${signed}.${
      encodeBase64Url(new Uint8Array(await crypto.subtle.sign("HMAC", hmacKey, encodeUtf8(signed))))
    }`;
  };
  const publicKey = await crypto.subtle.importKey(
    "jwk",
    key.jwk as JsonWebKey,
    { name: "ECDSA", namedCurve: "P-256" },
    true,
    ["verify"],
  );
  const pem = `-----BEGIN PUBLIC KEY-----\n${
    new Uint8Array(await crypto.subtle.exportKey("spki", publicKey)).toBase64()
  }\n-----END PUBLIC KEY-----\n`;
  const cases: Readonly<Record<string, readonly [expected: string, token: string]>> = {
    "the good one": ["verified", good],
    "attacker's key under our kid": ["signature", await signToken(attacker, {}, goodClaims)],
    "attacker's key in the header": ["signature", await signToken(attacker, { jwk: attacker.jwk }, goodClaims)],
    "attacker's key without kid": ["signature", await signToken(attacker, { kid: undefined }, goodClaims)],
    "attacker's key under a kid of theirs": ["key_unknown", await signToken(attacker, { kid: "k2" }, goodClaims)],
    "address of the attacker's keys": [
      "signature",
      await signToken(attacker, { jku: "https://evil.test/jwks" }, goodClaims),
    ],
    "signature of zeros": ["signature", `${header}.${payload}.${encodeBase64Url(new Uint8Array(64))}`],
    "signature in DER": [
      "signature",
      `${header}.${payload}.${encodeBase64Url(Uint8Array.fromHex("3006020101020101"))}`,
    ],
    "signature cut": ["signature", `${header}.${payload}.${signature.slice(0, -2)}`],
    "signature doubled": ["signature", `${header}.${payload}.${signature.slice(0, 84)}${signature.slice(0, 84)}`],
    "signature with zero bytes in front": ["signature", `${header}.${payload}.AAAA${signature}`],
    "signature of another token": [
      "signature",
      `${header}.${payload}.${(await signToken(key, {}, { ...goodClaims, sub: "bo" })).split(".")[2]}`,
    ],
    "payload exchanged": [
      "signature",
      `${header}.${encode(JSON.stringify({ ...goodClaims, sub: "bo" }))}.${signature}`,
    ],
    "alg none": ["algorithm", `${encode('{"alg":"none"}')}.${payload}.AAAA`],
    "alg none without signature": ["malformed", `${encode('{"alg":"none"}')}.${payload}.`],
    "HMAC with the public key as PEM": ["algorithm", await hmac(pem)],
    "HMAC with white space before the PEM": ["algorithm", await hmac(` ${pem}`)],
    "HMAC with the public key as JWK": ["algorithm", await hmac(JSON.stringify(key.jwk))],
    "HMAC with the empty key": ["algorithm", await hmac("\u0000")],
    "HMAC called ES256": ["signature", await hmac(pem, "ES256")],
    "algorithm of another kind than the key": [
      "key_unusable",
      await signTexts(key, '{"alg":"RS256","kid":"k1"}', JSON.stringify(goodClaims)),
    ],
    "empty payload": ["malformed", await signParts(key, header, "")],
    "payload is a string": ["malformed", await signTexts(key, '{"alg":"ES256","kid":"k1"}', '"ada"')],
    "payload is an array": ["malformed", await signTexts(key, '{"alg":"ES256","kid":"k1"}', "[]")],
    "payload is null": ["malformed", await signTexts(key, '{"alg":"ES256","kid":"k1"}', "null")],
    "payload with BOM": [
      "malformed",
      await signTexts(key, '{"alg":"ES256","kid":"k1"}', `\ufeff${JSON.stringify(goodClaims)}`),
    ],
    "payload with a member twice": [
      "malformed",
      await signTexts(key, '{"alg":"ES256","kid":"k1"}', JSON.stringify(goodClaims).replace("{", '{"sub":"bo",')),
    ],
    "payload is no UTF-8": ["malformed", await signParts(key, header, "__8")],
    "a token within the token": ["malformed", await signTexts(key, '{"alg":"ES256","kid":"k1","cty":"JWT"}', good)],
    "JWE with dir": [
      "malformed",
      `${encode('{"alg":"dir","enc":"A256GCM"}')}..AAAAAAAAAAAAAAAA.${payload}.AAAAAAAAAAAAAAAAAAAAAA`,
    ],
    "JWE with PBES2 and two billion rounds": [
      "malformed",
      `${encode('{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":2000000000}')}.AAAA.AAAA.AAAA.AAAA`,
    ],
    "extension named critical": ["header", await signToken(key, { crit: ["x"], x: 1 }, goodClaims)],
    "payload not encoded": ["header", await signToken(key, { crit: ["b64"], b64: false }, goodClaims)],
  };
  for (const [what, [expected, token]] of Object.entries(cases)) {
    await t.step(what, async () => assertEquals(await verdictOf(token), expected));
  }
});

Deno.test("verifyIdToken() refuses where the published keys leave room for doubt", async (t) => {
  const token = await signToken(key, {}, goodClaims);
  const anonymous = await signToken(key, { kid: undefined }, goodClaims);
  const rsaOfSameKid: TestKey = await createTestKey("RS256");
  const weak = await createTestKey("RS256", "k1", 1024);
  const weakToken = await signToken(weak, {}, goodClaims);
  const cases: Readonly<Record<string, readonly [expected: string, token: string, keys: readonly object[]]>> = {
    "two keys of one kid": ["key_ambiguous", token, [key.jwk, attacker.jwk]],
    "two keys of one kid, the other way round": ["key_ambiguous", token, [attacker.jwk, key.jwk]],
    "two keys of one kid, of different kinds": ["key_ambiguous", token, [key.jwk, rsaOfSameKid.jwk]],
    "no kid, two keys": ["key_ambiguous", anonymous, [key.jwk, { ...attacker.jwk, kid: "k2" }]],
    "no kid, one key": ["verified", anonymous, [key.jwk, { ...rsaOfSameKid.jwk, kid: "k2" }]],
    "key for encryption": ["key_unknown", token, [{ ...key.jwk, use: "enc" }]],
    "key for another algorithm": ["key_unusable", token, [{ ...key.jwk, alg: "ES384" }]],
    "key of 1,024 bits": ["key_unusable", weakToken, [weak.jwk]],
    "no keys": ["key_unknown", token, []],
    "private key published": ["key_exposed", token, [{ ...key.jwk, d: "AAAA" }]],
    "shared key published": ["key_exposed", token, [key.jwk, { kty: "oct", k: "AAAA", kid: "k2" }]],
  };
  for (const [what, [expected, text, keys]] of Object.entries(cases)) {
    await t.step(what, async () => assertEquals(await verdictOf(text, { keySets: publish(...keys) }), expected));
  }
});

Deno.test("verifyIdToken() fetches no keys for a token that its text already refuses", async () => {
  let fetches = 0;
  const keySets = { find: () => (fetches++, Promise.reject(new Error("must not be called"))) };
  for (const [reason, claims] of Object.values(refusals)) {
    assertEquals(await verdictOf(await signToken(attacker, {}, { ...goodClaims, ...claims }), { keySets }), reason);
  }
  assertEquals(fetches, 0);
});

Deno.test("verifyIdToken() lets no caller allow an algorithm that does not exist here", async () => {
  const token = `${encodeBase64Url(encodeUtf8('{"alg":"HS256"}'))}.e30.AAAA`;
  assertEquals(await verdictOf(token, { algorithms: ["HS256", "none", "RS256"] }), "algorithm");
  const algorithms: readonly SignatureAlgorithm[] = ["ES256"];
  assert(await verdictOf(await signToken(key, {}, goodClaims), { algorithms }) === "verified");
});
