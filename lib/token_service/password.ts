/**
 * Passwords: PBKDF2-HMAC-SHA-256, the one slow hash that Web Crypto has.
 *
 * ```ts
 * import { assert, assertFalse } from "@std/assert";
 * import { createPasswordHash, verifyPassword } from "@cloakroom/token-handler/token-service";
 *
 * const hash = await createPasswordHash("open sesame", { rounds: 1000 });
 * assert(hash.startsWith("pbkdf2-sha256$1000$"));
 * assert(await verifyPassword("open sesame", hash));
 * assertFalse(await verifyPassword("open barley", hash));
 * ```
 *
 * A hash is one text, `pbkdf2-sha256$<rounds>$<salt>$<hash>` with the last two as base64url, so that it can be written
 * into a configuration and the number of rounds can grow.
 *
 * @module
 */

import { encodeBase64Url, encodeUtf8, equalsConstantTime, readBase64Url } from "../encoding.ts";
import { type Random, systemRandom } from "../random.ts";

/** What OWASP asks of PBKDF2 with SHA-256: about a tenth of a second. */
export const DEFAULT_PASSWORD_ROUNDS = 600_000;

const HASH_REGEXP = /^pbkdf2-sha256\$([1-9][0-9]{0,7})\$([A-Za-z0-9_-]{22,86})\$([A-Za-z0-9_-]{43})$/;

/** How a password is hashed. */
export interface PasswordHashOptions {
  /** Rounds of PBKDF2; {@linkcode DEFAULT_PASSWORD_ROUNDS} unless told otherwise. */
  readonly rounds?: number;
  /** Where the salt comes from. */
  readonly random?: Random;
}

/**
 * Hashes a password with a new salt.
 *
 * @param password The password.
 * @param options Rounds and randomness.
 * @returns The text to store.
 */
export async function createPasswordHash(password: string, options: PasswordHashOptions = {}): Promise<string> {
  const { rounds = DEFAULT_PASSWORD_ROUNDS, random = systemRandom } = options;
  const salt = random(16);
  return `pbkdf2-sha256$${rounds}$${encodeBase64Url(salt)}$${await derive(password, { rounds, salt })}`;
}

/** Tells whether a text is a password hash that {@linkcode verifyPassword} can use. */
export function isPasswordHash(text: string): boolean {
  return HASH_REGEXP.test(text);
}

/**
 * Tells whether a password belongs to a hash.
 *
 * @param password What somebody typed.
 * @param hash What {@linkcode createPasswordHash} made.
 * @returns `true` only if it does.
 */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const parts = HASH_REGEXP.exec(hash);
  const salt = readBase64Url(parts?.[2] ?? "");
  if (parts === null || salt === null) return false;
  return equalsConstantTime(await derive(password, { rounds: Number(parts[1]), salt }), parts[3]);
}

/** The same password typed on two keyboards may be two sequences of code points; NFC makes it one (RFC 8265). */
async function derive(
  password: string,
  { rounds, salt }: { readonly rounds: number; readonly salt: Uint8Array<ArrayBuffer> },
): Promise<string> {
  const key = await crypto.subtle.importKey("raw", encodeUtf8(password.normalize("NFC")), "PBKDF2", false, [
    "deriveBits",
  ]);
  const bits = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", iterations: rounds, salt }, key, 256);
  return encodeBase64Url(new Uint8Array(bits));
}
