/**
 * Access tokens in the form of JWTs: what somebody may do at an API
 * ([RFC 9068](https://www.rfc-editor.org/rfc/rfc9068)), and the older form that Auth0 and others issue, whose type is
 * plain `JWT`.
 *
 * @module
 */

import { type Clock, systemClock } from "../clock.ts";
import { signatureAlgorithms } from "./algorithms.ts";
import { audienceOf, decideClaims, type JwtClaims, type TokenRefusal } from "./claims.ts";
import type { KeySets } from "./key_sets.ts";
import { type TokenVerdict, verifyToken } from "./verify.ts";

/** What an access token has to say. */
export interface AccessTokenExpectation {
  /** The issuer, exactly as it writes itself. */
  readonly issuer: string;
  /** The API it has to be meant for; one of several, if there are several names. */
  readonly audience: string | readonly string[];
}

/** How to verify an access token. */
export interface VerifyAccessTokenOptions extends AccessTokenExpectation {
  /** Where keys come from. */
  readonly keySets: KeySets;
  /** Address of the issuer's keys, from its metadata. */
  readonly jwksUri: string;
  /** Allowed algorithms, if fewer than all of `signatureAlgorithms`; other names have no effect. */
  readonly algorithms?: readonly string[];
  /** Seconds since 1970. */
  readonly now?: Clock;
}

/** Claims that only tokens about a sign-in have. */
const ID_TOKEN_CLAIMS = ["nonce", "at_hash", "c_hash", "s_hash"];

/**
 * Verifies an access token that somebody presents as a bearer. ID tokens, logout tokens, refresh tokens and tokens bound
 * to a key are not that, even if the issuer signed them.
 *
 * @param token The access token as it came.
 * @param options What it has to say, and where keys come from.
 * @returns Its claims, why it is refused, or that the keys cannot be had.
 */
export async function verifyAccessToken(token: string, options: VerifyAccessTokenOptions): Promise<TokenVerdict> {
  const { keySets, jwksUri, algorithms = signatureAlgorithms, now = systemClock } = options;
  return await verifyToken(token, {
    keySets,
    jwksUri,
    algorithms,
    decide: ({ typ }, claims) => decideAccessToken(claims, { ...options, typ, now: now() }),
  });
}

/** Checks type and claims of an access token. */
export function decideAccessToken(
  claims: JwtClaims,
  expected: AccessTokenExpectation & { readonly typ: string | null; readonly now: number },
): TokenRefusal | null {
  const { audience, typ } = expected;
  if (typ !== "at+jwt" && typ !== "jwt") return "type";
  if (typ === "jwt" && !looksLikeAccessToken(claims)) return "token_use";
  // `cnf`: only good together with a proof of possession (RFC 9449, RFC 8705), which nobody has asked for here.
  if (claims.events !== undefined || claims.cnf !== undefined) return "token_use";
  const refusal = decideClaims(claims, expected);
  if (refusal !== null) return refusal;
  const accepted = typeof audience === "string" ? [audience] : audience;
  return audienceOf(claims).some((name) => accepted.includes(name)) ? null : "audience";
}

/** Where the type does not tell, the claims have to. */
function looksLikeAccessToken(claims: JwtClaims): boolean {
  const { typ = "Bearer", token_use = "access", azp, client_id } = claims;
  // Keycloak names the kind in a claim `typ`, Cognito in `token_use`.
  if (typ !== "Bearer" || token_use !== "access") return false;
  if (ID_TOKEN_CLAIMS.some((claim) => claims[claim] !== undefined)) return false;
  // A token for nobody but the client that asked for it is an ID token.
  return audienceOf(claims).some((name) => name !== azp && name !== client_id);
}
