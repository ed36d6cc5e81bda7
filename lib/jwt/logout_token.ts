/**
 * Logout tokens: a token service says that a session, or all sessions of a user, are over
 * ([OpenID Connect Back-Channel Logout 1.0](https://openid.net/specs/openid-connect-backchannel-1_0.html)).
 *
 * @module
 */

import { type Clock, systemClock } from "../clock.ts";
import { isJsonObject } from "../encoding.ts";
import { signatureAlgorithms } from "./algorithms.ts";
import { audienceOf, decideClaims, type JwtClaims, type TokenRefusal } from "./claims.ts";
import type { KeySets } from "./key_sets.ts";
import { type TokenVerdict, verifyToken } from "./verify.ts";

/** The member of `events` that makes a token a logout token (section 2.4). */
const LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout";

/** Oldest `iat`: a token service that could not reach us for longer has to make a new one. */
const MAX_AGE_SECONDS = 600;

/** How to verify a logout token. */
export interface VerifyLogoutTokenOptions {
  /** Where keys come from. */
  readonly keySets: KeySets;
  /** Address of the issuer's keys, from its metadata. */
  readonly jwksUri: string;
  /** The issuer of the vendor whose address was called; never the token's own word. */
  readonly issuer: string;
  /** The vendor's client. */
  readonly clientId: string;
  /** Allowed algorithms, if fewer than all. */
  readonly algorithms?: readonly string[];
  /** Seconds since 1970. */
  readonly now?: Clock;
}

/**
 * Verifies a logout token. Whether its `jti` was seen before is the caller's business.
 *
 * @param token The token as it came.
 * @param options What it has to say, and where keys come from.
 * @returns Its claims, why it is refused, or that the keys cannot be had.
 */
export async function verifyLogoutToken(token: string, options: VerifyLogoutTokenOptions): Promise<TokenVerdict> {
  const { keySets, jwksUri, algorithms = signatureAlgorithms, now = systemClock } = options;
  return await verifyToken(token, {
    keySets,
    jwksUri,
    algorithms,
    isSubjectOptional: true,
    decide: ({ typ }, claims) => decideLogoutToken(claims, { ...options, typ, now: now() }),
  });
}

/** Checks type and claims of a logout token (section 2.6). */
export function decideLogoutToken(
  claims: JwtClaims,
  expected: Pick<VerifyLogoutTokenOptions, "issuer" | "clientId"> & {
    readonly typ: string | null;
    readonly now: number;
  },
): TokenRefusal | null {
  const { clientId, typ, now } = expected;
  if (typ !== "logout+jwt" && typ !== "jwt" && typ !== null) return "type";
  const { events, nonce, jti, sid, iat } = claims;
  const { sub }: { readonly sub?: unknown } = claims;
  if (nonce !== undefined) return "nonce";
  if (!isJsonObject(events) || !isJsonObject(events[LOGOUT_EVENT])) return "token_use";
  if (typeof jti !== "string" || jti === "" || jti.length > 255) return "claim";
  if (sid === undefined && sub === undefined) return "claim";
  const refusal = decideClaims(claims, expected);
  if (refusal !== null) return refusal;
  if (iat + MAX_AGE_SECONDS < now) return "too_old";
  return audienceOf(claims).includes(clientId) ? null : "audience";
}
