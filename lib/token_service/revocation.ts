/**
 * The revocation endpoint, without HTTP ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)).
 *
 * Every kind of token is looked for, whatever `token_type_hint` says: a wrong hint must not hide a living token.
 *
 * @module
 */

import { hashOf } from "../encoding.ts";
import { authenticateClient, type ClientCall } from "./client_authentication.ts";
import type { Context } from "./context.ts";
import { type OAuthRefusal, refuse } from "./errors.ts";

/** What a revocation leads to: unknown tokens and tokens of others are nobody's business, so they count as done. */
export type RevocationOutcome = { readonly kind: "done" } | OAuthRefusal;

/** Revokes an access token alone, or a refresh token with everything that hangs on its grant. */
export async function revokeToken(context: Context, call: ClientCall): Promise<RevocationOutcome> {
  const { parameters } = call;
  if (parameters.repeated.size > 0) return refuse("invalid_request", "A parameter occurs more than once");
  const authenticated = await authenticateClient(context, call);
  if (authenticated.kind === "refused") return authenticated;
  const shown = parameters.get("token");
  if (shown === null) return refuse("invalid_request", "Missing token");

  const { tokens } = context;
  const { clientId } = authenticated.client;
  const hash = await hashOf(shown);
  const [refresh, access] = await Promise.all([tokens.findRefreshToken(hash), tokens.findAccessToken(hash)]);
  if (refresh?.value.clientId === clientId) await tokens.revokeGrant(refresh.value.grantId);
  if (access?.clientId === clientId) await tokens.revokeAccessToken(hash);
  return { kind: "done" };
}
