/**
 * The userinfo endpoint, without HTTP: who an access token stands for.
 *
 * @module
 */

import { hashOf, type JsonObject } from "../encoding.ts";
import { userClaimsOf } from "./claims.ts";
import type { Context } from "./context.ts";
import { type OAuthRefusal, refuse } from "./errors.ts";
import { isLive } from "./liveness.ts";

/** What an access token shows. */
export type UserinfoOutcome = { readonly kind: "claims"; readonly claims: JsonObject } | OAuthRefusal;

const REFUSED = refuse("invalid_token", "The access token is unknown, expired or revoked");

/** Says who an access token stands for. */
export async function readUserinfo(context: Context, accessToken: string): Promise<UserinfoOutcome> {
  const { tokens, clients, users, now } = context;
  const token = await tokens.findAccessToken(await hashOf(accessToken));
  if (token === null) return REFUSED;
  const [client, user, grant] = await Promise.all([
    clients.find(token.clientId),
    users.find(token.sub),
    token.grantId === null ? null : tokens.findGrant(token.grantId),
  ]);
  const isRevoked = token.grantId !== null && grant === null;
  if (!isLive(token, client, now()) || isRevoked) return REFUSED;
  if (!token.scopes.includes("openid")) return refuse("insufficient_scope", "The access token lacks the scope openid");
  if (user === null) return REFUSED;
  return { kind: "claims", claims: { ...userClaimsOf(user, token.scopes), sub: user.sub } };
}
