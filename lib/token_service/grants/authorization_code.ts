/**
 * The authorization code grant: the code that went through the browser, once, by the client that has the verifier
 * ([OAuth 2.1, section 4.1](https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1#section-4.1)).
 *
 * @module
 */

import { hashOf } from "../../encoding.ts";
import { verifyVerifier } from "../../pkce.ts";
import type { Client } from "../client.ts";
import type { Context } from "../context.ts";
import { refuse } from "../errors.ts";
import { issueForPerson } from "../issue.ts";
import type { RequestParameters } from "../parameters.ts";
import { isAllowed } from "../scope.ts";
import { isLive } from "../liveness.ts";
import type { GrantHandler, TokenOutcome } from "./grant_handler.ts";

/** One answer for every code that does not count, so that nobody learns which part was wrong. */
const REFUSED = refuse("invalid_grant", "The code is unknown, expired, used, or not for this client and verifier");

/** Creates the grant. */
export function createAuthorizationCodeGrant(context: Context): GrantHandler {
  const { tokens, users, now, log } = context;

  return async (client: Client, parameters: RequestParameters): Promise<TokenOutcome> => {
    const shown = parameters.get("code");
    const verifier = parameters.get("code_verifier");
    if (shown === null) return refuse("invalid_request", "Missing code");
    if (verifier === null) return refuse("invalid_request", "Missing code_verifier");

    const hash = await hashOf(shown);
    const code = await tokens.findCode(hash);
    if (code === null || code.value.clientId !== client.clientId) return REFUSED;
    // OAuth 2.1 clients do not send it any more; where it is sent, it has to be the one the code went to.
    const redirectUri = parameters.get("redirect_uri");
    if (redirectUri !== null && redirectUri !== code.value.redirectUri) return REFUSED;
    if (!await verifyVerifier(verifier, code.value.challenge)) {
      // Burnt at the first wrong guess. A used code stays: it is the evidence of its use.
      if (!code.value.isUsed) await tokens.burnCode(hash);
      return REFUSED;
    }
    if (code.value.isUsed) return await refuseReplay(code.value.grantId);
    const grant = await tokens.findGrant(code.value.grantId);
    if (grant === null || !isLive(grant.value, client, now())) return REFUSED;
    const user = await users.find(grant.value.sub);
    if (user === null) return REFUSED;

    const scopes = grant.value.scopes.filter((scope) => isAllowed(scope, client.scopes));
    const { nonce } = code.value;
    const issued = await issueForPerson(context, { client, user, grant: grant.value, scopes, nonce });
    const exchanged = await tokens.exchangeCode(code, grant, issued);
    return exchanged ? { kind: "issued", response: issued.response } : await refuseReplay(grant.value.id);
  };

  /**
   * Whoever shows a used code with the right verifier proves that code and verifier are in two hands, so what the first
   * hand got is revoked ([RFC 9700, section 4.5.3](https://www.rfc-editor.org/rfc/rfc9700#section-4.5.3)). Without the
   * verifier nothing is revoked: else anybody who sees a code in passing could end the session.
   */
  async function refuseReplay(grantId: string): Promise<TokenOutcome> {
    await tokens.revokeGrant(grantId);
    log({ level: "warn", event: "code_replayed" });
    return REFUSED;
  }
}
