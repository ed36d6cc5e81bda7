/**
 * RSA keys for tests, made once a process: making one takes up to half a second.
 *
 * @module
 */

import { encodeBase64Url, encodeUtf8, type JsonObject } from "../../lib/encoding.ts";

/** A key pair with its halves as JWK. */
export interface RsaKey {
  readonly kid: string;
  readonly privateJwk: JsonWebKey;
  /** What is published of it. */
  readonly publicJwk: JsonObject;
}

const RS256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };

const keys = new Map<string, Promise<RsaKey>>();

/** The key of a name: the same one every time. */
export function rsaKey(kid: string): Promise<RsaKey> {
  const known = keys.get(kid) ?? makeKey(kid);
  keys.set(kid, known);
  return known;
}

async function makeKey(kid: string): Promise<RsaKey> {
  const algorithm = { ...RS256, modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };
  const { privateKey } = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as CryptoKeyPair;
  const privateJwk = await crypto.subtle.exportKey("jwk", privateKey);
  const { n, e } = privateJwk;
  return { kid, privateJwk, publicJwk: { kty: "RSA", n, e, kid, use: "sig", alg: "RS256" } };
}

/** Signs a text with RSASSA-PKCS1-v1_5. */
export async function signRsa(
  { privateJwk }: RsaKey,
  signed: string,
  hash = "SHA-256",
): Promise<Uint8Array<ArrayBuffer>> {
  const { alg: _alg, key_ops: _ops, ext: _ext, ...members } = privateJwk;
  const key = await crypto.subtle.importKey("jwk", members, { ...RS256, hash }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign(RS256.name, key, encodeUtf8(signed)));
}

/** JSON as a part of a compact serialization. */
export function encodePart(value: unknown): string {
  return encodeBase64Url(encodeUtf8(JSON.stringify(value)));
}

/** Signs header and claims as a JWS; `alg` and `kid` of the key unless the header has others. */
export async function signJwt(key: RsaKey, header: JsonObject, claims: JsonObject): Promise<string> {
  const signed = `${encodePart({ alg: "RS256", kid: key.kid, ...header })}.${encodePart(claims)}`;
  return `${signed}.${encodeBase64Url(await signRsa(key, signed))}`;
}
