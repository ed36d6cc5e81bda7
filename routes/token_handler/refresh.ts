/**
 * `POST /auth/:vendorId/refresh`: new tokens now, whatever life is left in the present ones (contract, section 2.5).
 *
 * @module
 */

import type { AppDeps } from "../deps.ts";
import { setSessionCookies } from "../shared/cookies.ts";
import { respondJson } from "../shared/respond.ts";
import { judgeOrigin, recognise, respondUnrecognised, respondVisitProblem, type Visit } from "../shared/visit.ts";

/** Forces a refresh and says how long the new access token lives. */
export async function handleRefresh(deps: AppDeps, visit: Visit): Promise<Response> {
  const refusal = judgeOrigin(visit);
  if (refusal !== null) return await respondVisitProblem(visit, refusal);
  const recognition = await recognise(deps, visit);
  if (recognition.kind !== "alive") return await respondUnrecognised(visit, recognition);
  const readiness = await deps.sessions.ready(visit.vendor, recognition.session, { force: true });
  if (readiness.kind === "ended") return await respondUnrecognised(visit, readiness);
  if (readiness.kind === "unavailable") {
    const headers = { "retry-after": `${readiness.retryAfterSeconds}` };
    return await respondVisitProblem(visit, "token_service_unreachable", { headers });
  }
  const response = respondJson({ expires_at: readiness.expiresAt });
  if (readiness.cookies !== null) setSessionCookies(response.headers, visit.jar, readiness.cookies);
  return response;
}
