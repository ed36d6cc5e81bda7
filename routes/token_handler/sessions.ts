/**
 * `GET|DELETE /auth/:vendorId/sessions[/:id]`: a user's own sessions, listed and ended (contract, section 2.6).
 *
 * @module
 */

import type { LiveSession } from "../../lib/token_handler/sessions.ts";
import type { AppDeps } from "../deps.ts";
import { clearSessionCookies } from "../shared/cookies.ts";
import { respondJson } from "../shared/respond.ts";
import { judgeOrigin, recognise, respondUnrecognised, respondVisitProblem, type Visit } from "../shared/visit.ts";

/** Activity is told to five minutes, as it is kept. */
const COARSE_SECONDS = 300;

/** Lists the user's living sessions, or ends all but the present one; with `?all=true`, that one too. */
export async function handleSessions(deps: AppDeps, visit: Visit): Promise<Response> {
  const own = await readOwnSession(deps, visit);
  if (own instanceof Response) return own;
  const { id: ownId, subject } = own.record;
  const sessions = await deps.sessions.list(visit.vendor, subject);
  if (visit.edge.method === "GET") {
    return respondJson(sessions.map(({ id, createdAt, lastSeenAt, device }) => ({
      id,
      current: id === ownId,
      created_at: createdAt,
      last_seen_at: Math.max(createdAt, lastSeenAt - lastSeenAt % COARSE_SECONDS),
      device,
    })));
  }
  const isAll = new URLSearchParams(visit.edge.search).get("all") === "true";
  const others = sessions.map(({ id }) => id).filter((id) => id !== ownId);
  // The present one may have ended in another process just now, and is then listed no more: it ends here all the same.
  const doomed = isAll ? [...others, ownId] : others;
  await Promise.all(doomed.map((id) => deps.sessions.end(visit.vendor.id, id, "everywhere")));
  return respondEnded(visit, isAll);
}

/** Ends one of the user's sessions. */
export async function handleSession(deps: AppDeps, visit: Visit, sessionId: string): Promise<Response> {
  const own = await readOwnSession(deps, visit);
  if (own instanceof Response) return own;
  const sessions = await deps.sessions.list(visit.vendor, own.record.subject);
  if (!sessions.some(({ id }) => id === sessionId)) return await respondVisitProblem(visit, "session_unknown");
  await deps.sessions.end(visit.vendor.id, sessionId, "user");
  return respondEnded(visit, sessionId === own.record.id);
}

async function readOwnSession(deps: AppDeps, visit: Visit): Promise<LiveSession | Response> {
  const refusal = judgeOrigin(visit);
  if (refusal !== null) return await respondVisitProblem(visit, refusal);
  const recognition = await recognise(deps, visit);
  return recognition.kind === "alive" ? recognition.session : await respondUnrecognised(visit, recognition);
}

function respondEnded(visit: Visit, isOwn: boolean): Response {
  const response = new Response(null, { status: 204, headers: { "cache-control": "no-store" } });
  if (isOwn) clearSessionCookies(response.headers, visit.jar);
  return response;
}
