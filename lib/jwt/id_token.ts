/**
 * ID tokens: who has signed in, told to the client that asked
 * ([OpenID Connect Core, section 3.1.3.7](https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation)).
 *
 * @module
 */

import { type Clock, systemClock } from "../clock.ts";
import { encodeBase64Url, encodeUtf8, equalsConstantTime } from "../encoding.ts";
import { factsOf, type SignatureAlgorithm, signatureAlgorithms } from "./algorithms.ts";
import { audienceOf, decideClaims, type JwtClaims, type TokenRefusal } from "./claims.ts";
import type { KeySets } from "./key_sets.ts";
import { type TokenVerdict, verifyToken } from "./verify.ts";

/** What an ID token has to say. */
export interface IdTokenExpectation {
  /** The issuer, exactly as it writes itself. */
  readonly issuer: string;
  /** Our client id there. */
  readonly clientId: string;
  /** The nonce of the authorization request; `null` for an ID token that came with a refresh. */
  readonly nonce: string | null;
  /** The user who signed in, for an ID token that came with a refresh. */
  readonly subject?: string;
  /** The `max_age` that was asked for: seconds since the user last typed a password or the like. */
  readonly maxAgeSeconds?: number;
}

/** How to verify an ID token. */
export interface VerifyIdTokenOptions extends IdTokenExpectation {
  /** Where keys come from. */
  readonly keySets: KeySets;
  /** Address of the issuer's keys, from its metadata. */
  readonly jwksUri: string;
  /** The access token that came with it: compared where the ID token has an `at_hash`. */
  readonly accessToken?: string;
  /** Allowed algorithms, if fewer than all of `signatureAlgorithms`; other names have no effect. */
  readonly algorithms?: readonly string[];
  /** Seconds since 1970. */
  readonly now?: Clock;
}

/** Seconds since its issue after which an ID token cannot be the answer to what we have just asked. */
const MAX_AGE = 600;

/** Seconds that an asked `max_age` is stretched: signing in itself takes time. */
const AUTHENTICATION_TOLERANCE = 60;

/**
 * Verifies an ID token.
 *
 * The issuer's clock may be five minutes ahead of ours or behind. An ID token older than ten minutes is refused even if
 * it has not ended: it was not made for this sign-in.
 *
 * @param token The ID token as it came.
 * @param options What it has to say, and where keys come from.
 * @returns Its claims, why it is refused, or that the keys cannot be had.
 */
export async function verifyIdToken(token: string, options: VerifyIdTokenOptions): Promise<TokenVerdict> {
  const { keySets, jwksUri, accessToken, algorithms = signatureAlgorithms, now = systemClock } = options;
  return await verifyToken(token, {
    keySets,
    jwksUri,
    algorithms,
    decide: async ({ typ, alg }, claims) => {
      if (typ !== null && typ !== "jwt") return "type";
      const refusal = decideIdToken(claims, { ...options, now: now() });
      if (refusal !== null || accessToken === undefined || claims.at_hash === undefined) return refusal;
      return claims.at_hash === await hashAccessToken(accessToken, alg) ? null : "access_token_hash";
    },
  });
}

/** Checks the claims of an ID token. */
export function decideIdToken(
  claims: JwtClaims,
  expected: IdTokenExpectation & { readonly now: number },
): TokenRefusal | null {
  const { clientId, nonce, subject, maxAgeSeconds, now } = expected;
  // `events` makes it a logout token or another message of RFC 8417, whatever its type says.
  if (claims.events !== undefined) return "token_use";
  const refusal = decideClaims(claims, expected);
  if (refusal !== null) return refusal;
  const audience = audienceOf(claims);
  if (!audience.includes(clientId)) return "audience";
  if (claims.azp === undefined ? audience.length > 1 : claims.azp !== clientId) return "authorized_party";
  if (claims.iat < now - MAX_AGE) return "too_old";
  if (nonce !== null && !equalsConstantTime(claims.nonce as string | undefined, nonce)) return "nonce";
  if (subject !== undefined && claims.sub !== subject) return "subject";
  return maxAgeSeconds === undefined ? null : decideAuthenticationAge(claims, maxAgeSeconds);
}

/** Both times are the issuer's, so its clock does not matter here. */
function decideAuthenticationAge({ auth_time, iat }: JwtClaims, maxAgeSeconds: number): TokenRefusal | null {
  if (typeof auth_time !== "number") return "claim";
  return iat - auth_time > maxAgeSeconds + AUTHENTICATION_TOLERANCE ? "authentication_too_old" : null;
}

/**
 * The `at_hash` of an access token: the left half of its digest
 * ([OpenID Connect Core, section 3.1.3.6](https://openid.net/specs/openid-connect-core-1_0.html#CodeIDToken)).
 */
async function hashAccessToken(accessToken: string, alg: SignatureAlgorithm): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest(factsOf(alg).hash, encodeUtf8(accessToken)));
  return encodeBase64Url(digest.subarray(0, digest.length / 2));
}
