/**
 * Who is signed in: the claims that the vendor shows to its pages.
 *
 * @module
 */

import type { JsonObject } from "../encoding.ts";

/**
 * Picks the claims that pages may see.
 *
 * @param claims All claims of the user.
 * @param shown The vendor's list.
 * @returns The listed claims, without anything that could be a token.
 */
export function pickClaims(claims: JsonObject, shown: readonly string[]): JsonObject {
  const picked: Record<string, unknown> = {};
  for (const name of shown) {
    if (Object.hasOwn(claims, name) && !name.endsWith("_token")) picked[name] = claims[name];
  }
  return picked;
}

/** Protocol claims of an ID token that say nothing about the user (OpenID Connect Core 1.0, section 2). */
const PROTOCOL_CLAIMS: ReadonlySet<string> = new Set([
  "iss",
  "aud",
  "exp",
  "iat",
  "nbf",
  "nonce",
  "azp",
  "at_hash",
  "c_hash",
  "jti",
]);

/** The claims to keep for a session: those of the ID token, completed by those of the userinfo endpoint. */
export function mergeClaims(idToken: JsonObject, userinfo: JsonObject | null): JsonObject {
  const own = Object.entries(idToken).filter(([name]) => !PROTOCOL_CLAIMS.has(name));
  return { ...userinfo, ...Object.fromEntries(own) };
}
