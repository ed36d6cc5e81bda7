/**
 * The refresh token grant, with rotation: every refresh token works once
 * ([RFC 9700, section 4.14.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2)).
 *
 * A caller that repeats a request within a short time gets the same answer again: its first answer may have been lost. A
 * second use after that means that two hands hold the token, and the whole grant is revoked.
 *
 * @module
 */

import { hashOf } from "../../encoding.ts";
import type { Client } from "../client.ts";
import type { Context } from "../context.ts";
import { type OAuthRefusal, refuse } from "../errors.ts";
import { issueForPerson, type TokenResponse } from "../issue.ts";
import { isLive } from "../liveness.ts";
import type { RequestParameters } from "../parameters.ts";
import { openReplay, type ReplayBinding, sealReplay } from "../replay.ts";
import { isAllowed, readScopes } from "../scope.ts";
import type { GrantRecord, Successors } from "../token_store.ts";
import type { GrantHandler, TokenOutcome } from "./grant_handler.ts";

/** One answer for every refresh token that does not count. */
const REFUSED = refuse("invalid_grant", "The refresh token is unknown, expired, revoked, or not for this client");

/** An answer as it is kept, with the time that its `expires_in` counts from. */
interface KeptAnswer {
  readonly issuedAt: number;
  readonly response: TokenResponse;
}

/** Creates the grant. */
export function createRefreshTokenGrant(context: Context): GrantHandler {
  const { tokens, users, now, random, log, lifetimes } = context;

  return async (client: Client, parameters: RequestParameters): Promise<TokenOutcome> => {
    const shown = parameters.get("refresh_token");
    if (shown === null) return refuse("invalid_request", "Missing refresh_token");
    const binding: ReplayBinding = {
      refreshToken: shown,
      request: [client.clientId, parameters.get("scope"), parameters.get("audience"), parameters.get("resource")],
    };
    const hash = await hashOf(shown);
    while (true) {
      const token = await tokens.findRefreshToken(hash);
      if (token === null) return REFUSED;
      const grant = await tokens.findGrant(token.value.grantId);
      if (grant === null || !isLive(grant.value, client, now())) return REFUSED;
      if (token.value.isUsed) return await answerRepeated(hash, grant.value.id, binding);
      if (token.value.expiresAt <= now()) return REFUSED;
      const user = await users.find(grant.value.sub);
      if (user === null) return REFUSED;
      const scopes = decideScopes(parameters.get("scope"), grant.value, client);
      if ("kind" in scopes) return scopes;
      const { audience } = grant.value;
      if (
        [parameters.get("audience"), parameters.get("resource")].some((asked) => asked !== null && asked !== audience)
      ) {
        return refuse("invalid_target", "The grant is for another audience");
      }

      const issued = await issueForPerson(context, { client, user, grant: grant.value, scopes, nonce: null });
      const replay = await keepAnswer(issued.response, binding);
      if (await tokens.rotate(token, grant, { ...issued, replay })) {
        return { kind: "issued", response: issued.response };
      }
      // Lost against a parallel use or a revocation. What we made was never stored; look again.
    }
  };

  async function keepAnswer(response: TokenResponse, binding: ReplayBinding): Promise<Successors["replay"]> {
    if (lifetimes.refreshReplay === 0) return null;
    const answer: KeptAnswer = { issuedAt: now(), response };
    const sealed = await sealReplay(JSON.stringify(answer), binding, random);
    return { sealed, expiresAt: answer.issuedAt + lifetimes.refreshReplay };
  }

  async function answerRepeated(hash: string, grantId: string, binding: ReplayBinding): Promise<TokenOutcome> {
    const sealed = await tokens.findReplay(hash);
    if (sealed === null) {
      await tokens.revokeGrant(grantId);
      log({ level: "warn", event: "refresh_token_reused" });
      return REFUSED;
    }
    const text = await openReplay(sealed, binding);
    if (text === null) return REFUSED;
    const { issuedAt, response }: KeptAnswer = JSON.parse(text);
    const expiresIn = Math.max(0, response.expires_in - (now() - issuedAt));
    return { kind: "issued", response: { ...response, expires_in: expiresIn } };
  }
}

/** The new access token may allow less than the grant, never more; the grant itself stays as it is. */
function decideScopes(requested: string | null, grant: GrantRecord, client: Client): readonly string[] | OAuthRefusal {
  const possible = grant.scopes.filter((scope) => isAllowed(scope, client.scopes));
  if (requested === null) return possible;
  const scopes = readScopes(requested);
  if (scopes?.every((scope) => possible.includes(scope))) return scopes;
  return refuse("invalid_scope", "The scope goes beyond what was granted");
}
