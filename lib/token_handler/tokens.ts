/**
 * A pair of tokens as a session holds it.
 *
 * @module
 */

/** Life of an access token whose server does not tell (RFC 6749, section 5.1 only recommends `expires_in`). */
const DEFAULT_TOKEN_SECONDS = 300;

/** One pair of tokens. */
export interface TokenPair {
  /** The access token. */
  readonly accessToken: string;
  /** Its end, in seconds since 1970. */
  readonly expiresAt: number;
  /** The refresh token; `null` where the token service gives none. */
  readonly refreshToken: string | null;
}

/** When a token ends that was received now. */
export function expiryOf(expiresIn: number | null, now: number): number {
  return now + (expiresIn ?? DEFAULT_TOKEN_SECONDS);
}
