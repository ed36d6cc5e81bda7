/**
 * The claims of a token: their types first, then what every kind of token has to say about issuer and time.
 *
 * A claim of the wrong type is a fault of its own. Comparing before looking at the type is how `exp: "9999999999"` and
 * `iss: [ours, theirs]` have passed elsewhere.
 *
 * @module
 */

import type { JsonObject } from "../encoding.ts";

/** Claims of a verified token. Members beyond the named ones are whatever the issuer put there. */
export interface JwtClaims extends JsonObject {
  /** Who issued it. */
  readonly iss: string;
  /** Whom it is about: 1 to 255 characters, none of them a control character. */
  readonly sub: string;
  /** Whom it is meant for. */
  readonly aud: string | readonly string[];
  /** When it ends, in seconds since 1970. */
  readonly exp: number;
  /** When it was issued, in seconds since 1970. */
  readonly iat: number;
}

/** Why a token is refused. For logs: strangers learn only that it was. */
export type TokenRefusal =
  /** Not canonical compact serialization of JSON objects, or too long. */
  | "malformed"
  /** A header member asks for something that is not offered (`crit`, `b64`), or has a wrong type. */
  | "header"
  /** An algorithm that is not allowed. */
  | "algorithm"
  /** Another kind of token, by its `typ`. */
  | "type"
  /** Another kind of token, by its claims; also a token bound to a key whose proof is not checked here. */
  | "token_use"
  /** No key of this id is published. */
  | "key_unknown"
  /** Several published keys fit. */
  | "key_ambiguous"
  /** The key is for something else, too weak, or broken. */
  | "key_unusable"
  /** The issuer publishes keys that are secret, so anybody may have signed. */
  | "key_exposed"
  /** The signature does not belong to text and key. */
  | "signature"
  /** A claim is missing or of a wrong type. */
  | "claim"
  /** Another issuer. */
  | "issuer"
  /** Meant for somebody else. */
  | "audience"
  /** Issued to another client. */
  | "authorized_party"
  /** Its time is over. */
  | "expired"
  /** Its time has not come. */
  | "not_yet_valid"
  /** Issued in the future. */
  | "issued_at"
  /** Issued too long ago for an ID token that has just been fetched. */
  | "too_old"
  /** The user signed in longer ago than asked for. */
  | "authentication_too_old"
  /** It answers another authorization request. */
  | "nonce"
  /** It is about another user. */
  | "subject"
  /** It belongs to another access token. */
  | "access_token_hash";

/** Seconds that a token is honoured after its end: clocks differ. */
const EXPIRY_TOLERANCE = 60;

/** Seconds that an issuer's clock may be ahead of ours. */
export const FUTURE_TOLERANCE = 300;

/** The end of the year 9999: a later date is an accident or an attack. */
const MAX_DATE = 253_402_300_799;

// deno-lint-ignore no-control-regex
const CONTROL_REGEXP = /[\u0000-\u001f\u007f-\u009f]/;

/** Tells whether the required claims are there, and every registered claim that is there has its type. */
export function hasTypedClaims(claims: JsonObject, isSubjectOptional = false): claims is JwtClaims {
  const { iss, sub = isSubjectOptional ? "x" : undefined, aud, exp, iat } = claims;
  const { nbf = 0, auth_time = 0, nonce = "", azp = "", at_hash = "", jti = "", sid = "x" } = claims;
  return isName(iss) && isName(sub) && isAudience(aud) &&
    [exp, iat, nbf, auth_time].every(isDate) &&
    [nonce, azp, at_hash, jti].every((claim) => typeof claim === "string") && isName(sid);
}

/** Checks what holds for every kind of token. */
export function decideClaims(
  claims: JwtClaims,
  expected: { readonly issuer: string; readonly now: number },
): TokenRefusal | null {
  const { issuer, now } = expected;
  const { iss, exp, iat, nbf } = claims;
  if (iss !== issuer) return "issuer";
  if (exp + EXPIRY_TOLERANCE <= now) return "expired";
  if (typeof nbf === "number" && nbf > now + FUTURE_TOLERANCE) return "not_yet_valid";
  if (iat > now + FUTURE_TOLERANCE) return "issued_at";
  return null;
}

/** The audience as a list. */
export function audienceOf({ aud }: JwtClaims): readonly string[] {
  return typeof aud === "string" ? [aud] : aud;
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value.length >= 1 && value.length <= 255 && value.isWellFormed() &&
    !CONTROL_REGEXP.test(value);
}

function isAudience(value: unknown): value is string | readonly string[] {
  return Array.isArray(value) ? value.length > 0 && value.every(isName) : isName(value);
}

function isDate(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= MAX_DATE;
}
