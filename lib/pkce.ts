/**
 * PKCE: whoever redeems an authorization code must also have asked for it.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { challengeOf } from "@cloakroom/token-handler/pkce";
 *
 * // RFC 7636, Appendix B
 * assertEquals(
 *   await challengeOf("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
 *   "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
 * );
 * ```
 *
 * Only `S256` exists here: `plain` protects nobody who can read the authorization request.
 *
 * @module
 */

import { equalsConstantTime, hashOf } from "./encoding.ts";
import { drawToken, type Random, systemRandom } from "./random.ts";

/** What a verifier may look like ([RFC 7636, section 4.1](https://www.rfc-editor.org/rfc/rfc7636#section-4.1)). */
const VERIFIER_REGEXP = /^[A-Za-z0-9\-._~]{43,128}$/;

/** What an `S256` challenge looks like: 32 bytes as base64url. */
const CHALLENGE_REGEXP = /^[A-Za-z0-9_-]{43}$/;

/**
 * Draws a code verifier: 32 random bytes, the length that RFC 7636 recommends, as 43 characters.
 *
 * @param random Where the bytes come from; the system's source by default.
 * @returns A new verifier.
 */
export function createVerifier(random: Random = systemRandom): string {
  return drawToken(random, 32);
}

/**
 * The `S256` challenge of a verifier ([RFC 7636, section 4.2](https://www.rfc-editor.org/rfc/rfc7636#section-4.2)).
 *
 * @param verifier The code verifier.
 * @returns The challenge for the authorization request.
 * @throws {RangeError} If the text cannot be a verifier: 43 to 128 unreserved characters.
 */
export async function challengeOf(verifier: string): Promise<string> {
  if (!VERIFIER_REGEXP.test(verifier)) {
    throw new RangeError("Cannot derive a code challenge: expected a verifier of 43 to 128 unreserved characters");
  }
  return await hashOf(verifier);
}

/** Tells whether a text can be an `S256` challenge. */
export function isChallenge(text: string): boolean {
  return CHALLENGE_REGEXP.test(text);
}

/**
 * Tells whether a verifier belongs to a challenge ([RFC 7636, section 4.6](https://www.rfc-editor.org/rfc/rfc7636#section-4.6)).
 *
 * @param verifier What the token request carried.
 * @param challenge What the authorization request carried.
 * @returns `true` only if the verifier is well-formed and its challenge is the given one.
 */
export async function verifyVerifier(verifier: string, challenge: string): Promise<boolean> {
  if (!VERIFIER_REGEXP.test(verifier)) return false;
  return equalsConstantTime(await hashOf(verifier), challenge);
}
