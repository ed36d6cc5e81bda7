/**
 * `GET /auth/:vendorId/userinfo` and `GET /auth/userinfo`: who is signed in (contract, section 2.4).
 *
 * @module
 */

import { decideFreshness } from "../../lib/token_handler/session.ts";
import type { LiveSession } from "../../lib/token_handler/sessions.ts";
import { pickClaims } from "../../lib/token_handler/userinfo.ts";
import type { AppDeps } from "../deps.ts";
import { setSessionCookies } from "../shared/cookies.ts";
import { respondJson } from "../shared/respond.ts";
import {
  addressOf,
  judgeOrigin,
  recognise,
  respondUnrecognised,
  respondVisitProblem,
  type Visit,
} from "../shared/visit.ts";

/** Tells who is signed in. A token service that is down changes nothing about that. */
export async function handleUserinfo(deps: AppDeps, visit: Visit): Promise<Response> {
  const refusal = judgeOrigin(visit);
  if (refusal !== null) return await respondVisitProblem(visit, refusal);
  const touch = new URLSearchParams(visit.edge.search).get("touch") !== "false";
  const recognition = await recognise(deps, visit, { touch });
  if (recognition.kind === "alone") {
    return mayStandAlone(deps, visit, recognition.session)
      ? respondClaims(visit, recognition.session, { appState: null })
      : await respondUnrecognised(visit, recognition);
  }
  if (recognition.kind !== "alive") return await respondUnrecognised(visit, recognition);
  const { session } = recognition;
  const readiness = await deps.sessions.ready(visit.vendor, session);
  if (readiness.kind === "ended") return await respondUnrecognised(visit, readiness);
  const appState = await deps.sessions.takeAppState(session);
  const expiresAt = readiness.kind === "ready" ? readiness.expiresAt : session.tokens.expiresAt;
  const response = respondClaims(visit, session, { appState, expiresAt });
  if (readiness.kind === "ready" && readiness.cookies !== null) {
    setSessionCookies(response.headers, visit.jar, readiness.cookies);
  }
  return response;
}

/** For rendering on a publisher's server: `at` alone, while the token in it lives and the vendor does not forbid it. */
function mayStandAlone(deps: AppDeps, { vendor }: Visit, { tokens }: LiveSession): boolean {
  return vendor.userinfoWithAccessCookieAlone && decideFreshness(tokens.expiresAt ?? 0, deps.now()) !== "dead";
}

function respondClaims(
  visit: Visit,
  { record, content, tokens }: LiveSession,
  { appState, expiresAt = tokens.expiresAt }: {
    readonly appState: string | null;
    readonly expiresAt?: number | undefined;
  },
): Response {
  const body = {
    ...pickClaims(content.claims, visit.vendor.claims),
    vendor_id: visit.vendor.id,
    ...(expiresAt === undefined ? {} : { exp: expiresAt }),
    // Without a refresh token a session lives as long as its access token.
    session_expires_at: tokens.refreshToken == null
      ? Math.min(record.expiresAt, expiresAt ?? Infinity)
      : record.expiresAt,
    logout_url: `${addressOf(visit, "logout")}?${new URLSearchParams({ sid: record.id })}`,
    ...(appState === null ? {} : { app_state: appState }),
  };
  return respondJson(body, { headers: { vary: "Cookie" } });
}
