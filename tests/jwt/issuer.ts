/**
 * An issuer for tests: keys, tokens that are good unless a test says otherwise, and a server for its key set.
 *
 * @module
 */

import { exportJWK, type JWK } from "@panva/jose";
import { encodeBase64Url, encodeUtf8, type JsonObject } from "../../lib/encoding.ts";
import { factsOf, type SignatureAlgorithm } from "../../lib/jwt/algorithms.ts";
import { createKeySets, type KeySets } from "../../lib/jwt/mod.ts";

/** The time of all these tests. */
export const NOW = 1_800_000_000;

/** Who issues. */
export const ISSUER = "https://id.test/";

/** Where the keys are, for tests whose `fetch` does not care. */
export const JWKS_URI = "https://id.test/jwks";

/** A signing key and what is published of it. */
export interface TestKey {
  readonly alg: SignatureAlgorithm;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

/** Makes a key. */
export async function createTestKey(alg: SignatureAlgorithm, kid = "k1", modulusLength = 2048): Promise<TestKey> {
  const { kty, crv, hash, parameters } = factsOf(alg);
  const { name } = parameters as Algorithm;
  const algorithm = kty === "RSA"
    ? { name, hash, modulusLength, publicExponent: Uint8Array.of(1, 0, 1) }
    : { name, namedCurve: crv! };
  const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as CryptoKeyPair;
  const { kty: type = "", n, e, crv: curve, x, y } = await exportJWK(pair.publicKey);
  const members = { n, e, crv: curve, x, y };
  const jwk = { kty: type, ...withoutAbsent(members), kid };
  return { alg, privateKey: pair.privateKey, jwk };
}

/** The members that are not `undefined`: a test leaves one out by giving it that value. */
export function withoutAbsent(members: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Record<
    string,
    string
  >;
}

/** Signs two texts, whatever they are. */
export async function signTexts(key: TestKey, header: string, payload: string): Promise<string> {
  return await signParts(key, encodeBase64Url(encodeUtf8(header)), encodeBase64Url(encodeUtf8(payload)));
}

/** Signs two encoded parts as they are. */
export async function signParts(key: TestKey, header: string, payload: string): Promise<string> {
  const signed = `${header}.${payload}`;
  const { parameters } = factsOf(key.alg);
  return `${signed}.${
    encodeBase64Url(new Uint8Array(await crypto.subtle.sign(parameters, key.privateKey, encodeUtf8(signed))))
  }`;
}

/** Signs header and claims; members of value `undefined` are left out. */
export async function signToken(key: TestKey, header: JsonObject, claims: JsonObject): Promise<string> {
  const whole = { alg: key.alg, kid: key.jwk.kid, ...header };
  return await signTexts(key, JSON.stringify(whole), JSON.stringify(claims));
}

/** Key sets of an issuer that publishes these keys. */
export function publish(...keys: readonly object[]): KeySets {
  return createKeySets({ fetch: () => Promise.resolve(Response.json({ keys })), now: () => NOW });
}
