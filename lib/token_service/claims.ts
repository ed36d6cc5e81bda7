/**
 * What tokens and the userinfo endpoint say about a person.
 *
 * @module
 */

import { digestOf, encodeBase64Url, type JsonObject } from "../encoding.ts";
import type { User } from "./user.ts";

/** Claims by scope ([OpenID Connect Core, section 5.4](https://openid.net/specs/openid-connect-core-1_0.html#ScopeClaims)). */
const CLAIMS_BY_SCOPE: Readonly<Record<string, readonly string[]>> = {
  profile: [
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
  ],
  email: ["email", "email_verified"],
};

/** Every claim about a person that can be released. */
export const USER_CLAIMS: readonly string[] = Object.values(CLAIMS_BY_SCOPE).flat();

/**
 * The claims about a user that scopes release. Names that belong to the protocol are never among them.
 *
 * @param user The user.
 * @param scopes What was granted.
 * @returns Claims without `sub`.
 */
export function userClaimsOf(user: User, scopes: readonly string[]): JsonObject {
  const known: JsonObject = { ...user.claims, name: user.name, email: user.email };
  const names = scopes.flatMap((scope) => CLAIMS_BY_SCOPE[scope] ?? []);
  return Object.fromEntries(names.filter((name) => name in known).map((name) => [name, known[name]]));
}

/**
 * `at_hash`: binds an ID token to the access token it came with
 * ([section 3.1.3.6](https://openid.net/specs/openid-connect-core-1_0.html#CodeIDToken)). Both our algorithms use SHA-256.
 */
export async function accessTokenHashOf(accessToken: string): Promise<string> {
  return encodeBase64Url((await digestOf(accessToken)).slice(0, 16));
}
