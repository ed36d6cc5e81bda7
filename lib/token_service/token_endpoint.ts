/**
 * The token endpoint, without HTTP.
 *
 * @module
 */

import { authenticateClient, type ClientCall } from "./client_authentication.ts";
import type { GrantType } from "./client.ts";
import type { Context } from "./context.ts";
import { refuse } from "./errors.ts";
import { createAuthorizationCodeGrant } from "./grants/authorization_code.ts";
import { createClientCredentialsGrant } from "./grants/client_credentials.ts";
import type { GrantHandler, TokenOutcome } from "./grants/grant_handler.ts";
import { createRefreshTokenGrant } from "./grants/refresh_token.ts";

/** Creates the endpoint: the grants by name. */
export function createTokenEndpoint(context: Context): (call: ClientCall) => Promise<TokenOutcome> {
  const grants: Readonly<Record<GrantType, GrantHandler>> = {
    authorization_code: createAuthorizationCodeGrant(context),
    refresh_token: createRefreshTokenGrant(context),
    client_credentials: createClientCredentialsGrant(context),
  };

  return async (call: ClientCall): Promise<TokenOutcome> => {
    const { parameters } = call;
    if (parameters.repeated.size > 0) return refuse("invalid_request", "A parameter occurs more than once");
    const grantType = parameters.get("grant_type");
    if (grantType === null) return refuse("invalid_request", "Missing grant_type");
    if (!Object.hasOwn(grants, grantType)) return refuse("unsupported_grant_type", "The grant type is not supported");
    const authenticated = await authenticateClient(context, call);
    if (authenticated.kind === "refused") return authenticated;
    const { client } = authenticated;
    if (!client.grantTypes.includes(grantType as GrantType)) {
      return refuse("unauthorized_client", "The client may not use this grant type");
    }
    return await grants[grantType as GrantType](client, parameters);
  };
}
