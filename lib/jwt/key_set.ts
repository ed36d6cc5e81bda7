/**
 * JSON Web Key sets ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)): reading one, and finding the one key in it that
 * a token may have been signed with.
 *
 * @module
 */

import { importJWK } from "@panva/jose/key/import";
import { isJsonObject, type JsonObject, readBase64Url } from "../encoding.ts";
import { factsOf, type SignatureAlgorithm } from "./algorithms.ts";

/** Which key a token names. */
export interface KeyQuery {
  /** The token's algorithm. */
  readonly alg: SignatureAlgorithm;
  /** The token's key id; `null` where it names none. */
  readonly kid: string | null;
}

/** A key set that has been read: only keys that may verify signatures are left. */
export interface KeySet {
  /** The keys. */
  readonly keys: readonly PublicKey[];
}

/** A public key, imported on first use. */
interface PublicKey {
  readonly kid: string | null;
  readonly jwk: JsonObject;
  readonly imported: Map<SignatureAlgorithm, Promise<CryptoKey | null>>;
}

/** What looking for a key in a set leads to. */
export type KeySelection =
  | { readonly kind: "found"; readonly key: CryptoKey }
  /** No key fits the query. */
  | { readonly kind: "unknown" }
  /** More than one key fits: which of them counts would be a guess. */
  | { readonly kind: "ambiguous" }
  /** The named key is not for this algorithm, too weak, or not a key at all. */
  | { readonly kind: "unusable" };

/** Most keys that a set may hold. */
const MAX_KEYS = 100;

/** Members that only private keys have ([RFC 7518, section 6](https://www.rfc-editor.org/rfc/rfc7518#section-6)). */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/**
 * Reads a key set.
 *
 * A set that publishes a private or a shared key is refused as a whole: whoever does that has lost control of it. Keys
 * of an unknown kind or for other uses are passed over.
 *
 * @param document The JSON document of the set.
 * @returns The set; `null` if it cannot be trusted.
 */
export function readKeySet(document: JsonObject): KeySet | null {
  const { keys } = document;
  if (!Array.isArray(keys) || keys.length > MAX_KEYS || isExposed(document)) return null;
  return {
    keys: keys.filter(isJsonObject).filter(isForSignatures).map((jwk) => ({
      kid: typeof jwk.kid === "string" ? jwk.kid : null,
      jwk,
      imported: new Map(),
    })),
  };
}

/** Tells whether a document publishes a private or a shared key: from then on anybody may have signed anything. */
export function isExposed({ keys }: JsonObject): boolean {
  return Array.isArray(keys) &&
    keys.filter(isJsonObject).some((jwk) =>
      jwk.kty === "oct" || PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member))
    );
}

/** Finds the one key that a token may have been signed with. */
export async function findKey(set: KeySet, query: KeyQuery): Promise<KeySelection> {
  const candidates = candidatesFor(set, query);
  const [candidate] = candidates;
  if (candidate === undefined) return { kind: "unknown" };
  if (candidates.length > 1) return { kind: "ambiguous" };
  const key = fits(candidate.jwk, query.alg) ? await importOnce(candidate, query.alg) : null;
  return key === null ? { kind: "unusable" } : { kind: "found", key };
}

/** Tells whether a set holds any key that a query could mean. */
export function hasKeyFor(set: KeySet, query: KeyQuery): boolean {
  return candidatesFor(set, query).length > 0;
}

/** Keys by id; where the token names none, every key that its algorithm could use. */
function candidatesFor(set: KeySet, { alg, kid }: KeyQuery): PublicKey[] {
  return set.keys.filter((key) => kid === null ? fits(key.jwk, alg) : key.kid === kid);
}

function isForSignatures({ use = "sig", key_ops = ["verify"] }: JsonObject): boolean {
  return use === "sig" && Array.isArray(key_ops) && key_ops.includes("verify");
}

/** Whether a key is of the kind that an algorithm needs, and not meant for another one. */
function fits(jwk: JsonObject, alg: SignatureAlgorithm): boolean {
  const { kty, crv } = factsOf(alg);
  if (jwk.kty !== kty || (crv !== null && jwk.crv !== crv)) return false;
  return jwk.alg === undefined || nameOf(jwk.alg) === nameOf(alg);
}

/** `EdDSA` and `Ed25519` are two names of one algorithm ([RFC 9864](https://www.rfc-editor.org/rfc/rfc9864)). */
function nameOf(alg: unknown): unknown {
  return alg === "EdDSA" ? "Ed25519" : alg;
}

function importOnce(key: PublicKey, alg: SignatureAlgorithm): Promise<CryptoKey | null> {
  const known = key.imported.get(alg);
  if (known !== undefined) return known;
  const imported = importPublicKey(key.jwk, alg);
  key.imported.set(alg, imported);
  return imported;
}

/** Imports a key from the members that make it up, and no others; `null` where they do not make a sound key. */
async function importPublicKey(jwk: JsonObject, alg: SignatureAlgorithm): Promise<CryptoKey | null> {
  const { kty } = factsOf(alg);
  const members = readMembers(jwk, { RSA: ["n", "e"], EC: ["crv", "x", "y"], OKP: ["crv", "x"] }[kty]);
  if (members === null || (kty === "RSA" && !isSoundRsaKey(members.n!, members.e!))) return null;
  try {
    const key = await importJWK({ kty, ...members }, alg) as CryptoKey;
    return kty !== "EC" || await isPoint(key, members) ? key : null;
  } catch {
    return null;
  }
}

/** Deno imports any coordinates, and only an export shows whether they are those of a point on the curve. */
async function isPoint(key: CryptoKey, { x, y }: Record<string, string>): Promise<boolean> {
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", key)).toHex();
  return point === `04${readBase64Url(x!)!.toHex()}${readBase64Url(y!)!.toHex()}`;
}

function readMembers(jwk: JsonObject, names: readonly string[]): Record<string, string> | null {
  const members: Record<string, string> = {};
  for (const name of names) {
    const value = jwk[name];
    if (typeof value !== "string" || (name !== "crv" && readBase64Url(value) === null)) return null;
    members[name] = value;
  }
  return members;
}

/** RSA keys between 2,048 and 8,192 bits with an odd exponent from 3 to 2^32. */
function isSoundRsaKey(n: string, e: string): boolean {
  const modulus = readInteger(n);
  const exponent = readInteger(e);
  const bits = modulus.toString(2).length;
  return bits >= 2048 && bits <= 8192 && exponent >= 3n && exponent < 2n ** 32n && exponent % 2n === 1n &&
    !isRoca(modulus);
}

function readInteger(base64Url: string): bigint {
  return BigInt(`0x0${readBase64Url(base64Url)!.toHex()}`);
}

/** Small primes by which the moduli of a flawed key generator are recognised. */
const ROCA_PRIMES = [11n, 13n, 17n, 19n, 37n, 53n, 61n, 71n, 73n, 79n, 97n, 103n, 107n, 109n, 127n, 151n, 157n];

/**
 * Recognises keys of the generator of CVE-2017-15361 (ROCA), which can be factored: modulo each of these primes their
 * modulus is a power of 65537. A sound key looks like that once in 2^27.
 */
function isRoca(modulus: bigint): boolean {
  return ROCA_PRIMES.every((prime) => {
    const residue = modulus % prime;
    let power = 1n;
    do {
      if (power === residue) return true;
      power = power * 65537n % prime;
    } while (power !== 1n);
    return false;
  });
}
