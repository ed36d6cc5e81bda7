/**
 * Randomness as a dependency, and the tokens drawn from it.
 *
 * @module
 */

import { encodeBase64Url } from "./encoding.ts";

/** Answers so many bytes from a cryptographically secure source. */
export type Random = (byteLength: number) => Uint8Array<ArrayBuffer>;

/** The random source of Web Crypto. */
export const systemRandom: Random = (byteLength) => crypto.getRandomValues(new Uint8Array(byteLength));

/** Draws an unguessable text: 256 bits as 43 characters of base64url unless told otherwise. */
export function drawToken(random: Random, byteLength = 32): string {
  return encodeBase64Url(random(byteLength));
}
