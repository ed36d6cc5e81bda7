/**
 * ID tokens that come back to us: they say whom a client expects, or whose session it wants to end.
 *
 * @module
 */

import { compactVerify, createLocalJWKSet, type JWK } from "@panva/jose";
import { readJsonObject, readUtf8 } from "../encoding.ts";
import type { Context } from "./context.ts";
import { SIGNING_ALGS } from "./signing_keys.ts";

/** Whom an ID token is about. */
export interface HintedUser {
  /** The user. */
  readonly sub: string;
  /** The browser session. */
  readonly sid: string;
  /** The client it was issued to. */
  readonly clientId: string;
}

/**
 * Reads an ID token of ours. It may have expired: it is a hint about a person, not a proof of anything
 * ([RP-Initiated Logout 1.0, section 2](https://openid.net/specs/openid-connect-rpinitiated-1_0.html#RPLogout)).
 *
 * @returns Whom it is about; `null` if we did not sign it as an ID token.
 */
export async function readIdTokenHint(
  { signingKeys, issuer }: Pick<Context, "signingKeys" | "issuer">,
  token: string,
): Promise<HintedUser | null> {
  try {
    const keys = createLocalJWKSet({ keys: await signingKeys.jwks() as JWK[] });
    const { payload, protectedHeader } = await compactVerify(token, keys, { algorithms: [...SIGNING_ALGS] });
    const claims = readJsonObject(readUtf8(payload) ?? "");
    // An access token of ours has another type and must not pass for an ID token.
    if (protectedHeader.typ !== "JWT" || claims?.iss !== issuer) return null;
    const { sub, sid, aud } = claims;
    return typeof sub === "string" && typeof sid === "string" && typeof aud === "string"
      ? { sub, sid, clientId: aud }
      : null;
  } catch {
    return null;
  }
}
