/**
 * The client credentials grant: a client acts for itself
 * ([RFC 6749, section 4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4)).
 *
 * @module
 */

import type { Client } from "../client.ts";
import type { Context } from "../context.ts";
import { refuse } from "../errors.ts";
import { createTokenResponse, issueAccessToken } from "../issue.ts";
import type { RequestParameters } from "../parameters.ts";
import { decideClientScopes } from "../scope.ts";
import { decideAudience } from "../audience.ts";
import type { GrantHandler, TokenOutcome } from "./grant_handler.ts";

/** Creates the grant. */
export function createClientCredentialsGrant(context: Context): GrantHandler {
  return async (client: Client, parameters: RequestParameters): Promise<TokenOutcome> => {
    const scopes = decideClientScopes(parameters.get("scope"), client.scopes);
    if (scopes === null) return refuse("invalid_scope", "The client may not ask for this scope");
    const audience = decideAudience(parameters, client);
    if (audience.kind === "refused") return audience;
    const access = await issueAccessToken(context, {
      client,
      grantId: null,
      sub: client.clientId,
      scopes,
      audience: audience.audience,
      lifeSeconds: context.lifetimes.accessToken,
    });
    await context.tokens.saveAccessToken(access);
    return { kind: "issued", response: createTokenResponse(access) };
  };
}
