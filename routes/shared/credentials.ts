/**
 * What an API call is forwarded with: the caller's Bearer, the session's access token, or nothing (contract, section 3).
 *
 * @module
 */

import { type TokenVerdict, verifyAccessToken } from "../../lib/jwt/mod.ts";
import { isGranted, scopeOf } from "../../lib/proxy/grant.ts";
import type { ProblemCode } from "../../lib/problem.ts";
import type { CookieValues } from "../../lib/token_handler/sessions.ts";
import type { StreamOwner } from "../../lib/token_handler/streams.ts";
import type { Vendor } from "../../lib/token_handler/vendors.ts";
import type { Upstream } from "../../lib/vendor/mod.ts";
import type { AppDeps } from "../deps.ts";
import { recognise, respondUnrecognised, respondVisitProblem, type Visit } from "./visit.ts";

/** What a call is forwarded with. */
export interface Credentials {
  /** The whole `Authorization` value; `null` for a call without a token. */
  readonly authorization: string | null;
  /** New session cookies for the answer. */
  readonly cookies: CookieValues | null;
  /** On whose behalf the answer streams, if it does. */
  readonly owner: StreamOwner;
}

/** Nobody's call. */
const ANONYMOUS: Credentials = { authorization: null, cookies: null, owner: { kind: "nobody" } };

/** Where a call goes, and what it has to be besides signed in. */
export interface CredentialsOptions {
  /** The row of the table. */
  readonly upstream: Upstream;
  /** Says why a call with cookies is refused because of where it comes from; `null` if it is not. */
  readonly judge: (visit: Visit) => ProblemCode | null;
}

/** The caller's own Bearer; `null` if there is none. */
export function readBearer(headers: Headers): string | null {
  return /^Bearer +(\S+)$/i.exec(headers.get("authorization") ?? "")?.[1] ?? null;
}

/** Bearer first, then the cookies, then nothing where the upstream takes that; otherwise the refusal. */
export async function readCredentials(
  deps: AppDeps,
  visit: Visit,
  { upstream, judge }: CredentialsOptions,
): Promise<Credentials | Response> {
  const bearer = readBearer(visit.edge.request.headers);
  if (bearer !== null) return await acceptBearer(deps, visit, { upstream, token: bearer });

  const recognition = await recognise(deps, visit);
  // `at` alone signs nobody in. It comes alone behind a link on another site, since its partner is Strict.
  const isNobody = recognition.kind === "anonymous" || recognition.kind === "alone";
  if (isNobody && upstream.anonymous === true) return ANONYMOUS;
  if (recognition.kind !== "alive") return await respondUnrecognised(visit, recognition);
  const refusal = judge(visit);
  if (refusal !== null) return await respondVisitProblem(visit, refusal);
  const { session } = recognition;
  if (!isGranted(upstream, session.content)) return await respondUngranted(visit, upstream);
  const readiness = await deps.sessions.ready(visit.vendor, session);
  if (readiness.kind === "ended") return await respondUnrecognised(visit, readiness);
  if (readiness.kind === "unavailable") {
    const headers = { "retry-after": `${readiness.retryAfterSeconds}` };
    return await respondVisitProblem(visit, "token_service_unreachable", { headers });
  }
  return {
    authorization: `Bearer ${readiness.accessToken}`,
    cookies: readiness.cookies,
    owner: { kind: "session", vendor: visit.vendor, session },
  };
}

/** A Bearer is verified, never merely relayed, unless the vendor says so. */
async function acceptBearer(
  deps: AppDeps,
  visit: Visit,
  { upstream, token }: { readonly upstream: Upstream; readonly token: string },
): Promise<Credentials | Response> {
  const accepted = { ...ANONYMOUS, authorization: `Bearer ${token}` };
  if (visit.vendor.relayUnverifiedBearer) return accepted;
  const verdict = await verifyBearer(deps, visit.vendor, { upstream, token });
  if (verdict === "unavailable") {
    return await respondVisitProblem(visit, "token_service_unreachable", { headers: { "retry-after": "5" } });
  }
  if (verdict === "refused") {
    const headers = { "www-authenticate": 'Bearer error="invalid_token"' };
    return await respondVisitProblem(visit, "token_refused", { headers });
  }
  const { claims } = verdict;
  if (!isGranted(upstream, { scope: scopeOf(claims), audience: null })) return await respondUngranted(visit, upstream);
  return { ...accepted, owner: { kind: "token", expiresAt: claims.exp } };
}

async function verifyBearer(
  deps: AppDeps,
  vendor: Vendor,
  { upstream, token }: { readonly upstream: Upstream; readonly token: string },
): Promise<Extract<TokenVerdict, { kind: "verified" }> | "refused" | "unavailable"> {
  const audience = upstream.audience ?? vendor.audience;
  if (audience.length === 0) return "refused";
  const found = await deps.metadata.find(vendor.issuer);
  if (found.kind !== "found") return "unavailable";
  const { keySets, now } = deps;
  const { jwksUri, issuer } = found.metadata;
  const verdict = await verifyAccessToken(token, { keySets, jwksUri, issuer, audience, now });
  if (verdict.kind !== "verified") return verdict.kind;
  const { vendor_id: named = vendor.id } = verdict.claims;
  return named === vendor.id ? verdict : "refused";
}

async function respondUngranted(visit: Visit, upstream: Upstream): Promise<Response> {
  const scope = upstream.scopes === undefined ? "" : `, scope="${upstream.scopes.join(" ")}"`;
  const headers = { "www-authenticate": `Bearer error="insufficient_scope"${scope}` };
  return await respondVisitProblem(visit, "forbidden", { headers });
}
