/**
 * `GET|POST /userinfo`.
 *
 * @module
 */

import { refuse } from "../../lib/token_service/errors.ts";
import type { OAuthRefusal } from "../../lib/token_service/mod.ts";
import type { TokenServiceDeps } from "./deps.ts";
import { queryOf, readBody, readQuery } from "./read.ts";
import { respondJson, respondRefusal, respondUnreadable } from "./respond.ts";

/** Says who an access token stands for. */
export async function anyUserinfo({ service }: TokenServiceDeps, request: Request): Promise<Response> {
  const hasBody = request.method === "POST" && request.headers.has("content-type");
  const body = hasBody ? await readBody(request, { acceptJson: false }) : null;
  if (body?.kind === "unreadable") return respondUnreadable(body.status);
  const authorization = request.headers.get("authorization");
  const inBody = body?.parameters.get("access_token") ?? null;
  const inQuery = readQuery(queryOf(request))?.get("access_token") ?? null;

  // A token in the query stands in logs and histories. It counts as a second place, never as the only one (RFC 6750, section 2).
  if ([authorization, inBody, inQuery].filter((place) => place !== null).length > 1) {
    return challenge(refuse("invalid_request", "The access token has to stand in one place"));
  }
  const token = inBody ?? readBearer(authorization);
  if (token === null) return respondJson({}, { status: 401, headers: BARE_CHALLENGE });
  const outcome = await service.userinfo(token);
  return outcome.kind === "refused" ? challenge(outcome) : respondJson(outcome.claims);
}

/** Nothing was shown, so nothing is said about it ([RFC 6750, section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)). */
const BARE_CHALLENGE = { "www-authenticate": "Bearer" };

/** The scheme in any case, one token, nothing else. Text that cannot be a token is looked up like one, and not found. */
function readBearer(authorization: string | null): string | null {
  return /^bearer +(.+)$/i.exec(authorization ?? "")?.[1] ?? null;
}

function challenge(refusal: OAuthRefusal): Response {
  const scope = refusal.error === "insufficient_scope" ? ', scope="openid"' : "";
  const value = `Bearer error="${refusal.error}", error_description="${refusal.description}"${scope}`;
  return respondRefusal(refusal, { headers: { "www-authenticate": value } });
}
