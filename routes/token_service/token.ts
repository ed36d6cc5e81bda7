/**
 * `POST /oauth/token` and `POST /oauth/revoke`.
 *
 * @module
 */

import { type ClientCall, isBasic } from "../../lib/token_service/client_authentication.ts";
import type { OAuthRefusal } from "../../lib/token_service/mod.ts";
import type { TokenServiceDeps } from "./deps.ts";
import { readBody } from "./read.ts";
import { respondJson, respondRefusal, respondUnreadable } from "./respond.ts";

/** Answers a token request. */
export async function postToken(deps: TokenServiceDeps, request: Request): Promise<Response> {
  return await respondCall(deps, request, async (call) => {
    const outcome = await deps.service.token(call);
    return outcome.kind === "refused" ? outcome : respondJson({ ...outcome.response });
  });
}

/** Answers a revocation request. */
export async function postRevoke(deps: TokenServiceDeps, request: Request): Promise<Response> {
  return await respondCall(deps, request, async (call) => {
    const outcome = await deps.service.revoke(call);
    return outcome.kind === "refused" ? outcome : respondJson({});
  });
}

async function respondCall(
  { clientAddress }: TokenServiceDeps,
  request: Request,
  answer: (call: ClientCall) => Promise<Response | OAuthRefusal>,
): Promise<Response> {
  const body = await readBody(request, { acceptJson: true });
  if (body.kind === "unreadable") return respondUnreadable(body.status);
  const authorization = request.headers.get("authorization");
  const { parameters } = body;
  const answered = await answer({ authorization, parameters, clientAddress: clientAddress(request) });
  if (answered instanceof Response) return answered;
  // Only a client that tried Basic is told to use it (RFC 6749, section 5.2); others would take it for a challenge.
  const isChallenged = answered.error === "invalid_client" && isBasic(authorization);
  return respondRefusal(answered, { headers: isChallenged ? { "www-authenticate": 'Basic realm="clients"' } : {} });
}
