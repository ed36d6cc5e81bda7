/**
 * Management tokens: who may call the management API (contract, section 4).
 *
 * @module
 */

import { verifyAccessToken } from "../../lib/jwt/mod.ts";
import type { AppDeps } from "../deps.ts";
import type { Edge } from "../edge.ts";
import { respondProblem } from "./respond.ts";

/** A caller of the management API. */
export interface Manager {
  /** What the token allows. */
  readonly scopes: ReadonlySet<string>;
  /** The only vendor that the caller may touch; `null` = every vendor. */
  readonly vendorId: string | null;
}

/** Reads the caller of a management call, or the refusal. */
export async function readManager(deps: AppDeps, edge: Edge): Promise<Manager | Response> {
  const { request, requestId } = edge;
  const refuse = () =>
    respondProblem(request, "token_refused", { requestId, headers: { "www-authenticate": "Bearer" } });
  const [, token] = /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
  if (token === undefined || deps.management === null) return await refuse();
  const { issuer, audience } = deps.management;
  const found = await deps.metadata.find(issuer);
  const unavailable = () => {
    deps.log({ level: "warn", event: "management_keys_unavailable", host: new URL(issuer).host, requestId });
    return respondProblem(request, "token_service_unreachable", { requestId, headers: { "retry-after": "5" } });
  };
  if (found.kind === "refused") {
    deps.log({ level: "error", event: "management_metadata_refused", reason: found.reason, requestId });
    return await respondProblem(request, "token_service_error", { requestId });
  }
  if (found.kind === "unavailable") return await unavailable();
  const { keySets, now } = deps;
  const verdict = await verifyAccessToken(token, { keySets, jwksUri: found.metadata.jwksUri, issuer, audience, now });
  if (verdict.kind === "unavailable") return await unavailable();
  if (verdict.kind === "refused") return await refuse();
  const { scope = "", vendor_id = null } = verdict.claims;
  const isBoundOddly = vendor_id !== null && typeof vendor_id !== "string";
  if (typeof scope !== "string" || isBoundOddly) return await refuse();
  return { scopes: new Set(scope.split(" ")), vendorId: vendor_id as string | null };
}

/** Refuses a caller that lacks a scope or is bound to another vendor; `null` if there is nothing to refuse. */
export async function refuseUnlessAllowed(
  edge: Edge,
  manager: Manager,
  needed: { readonly scope: string; readonly vendorId: string },
): Promise<Response | null> {
  const isOwn = manager.vendorId === null || manager.vendorId === needed.vendorId;
  if (isOwn && manager.scopes.has(needed.scope)) return null;
  const headers = { "www-authenticate": `Bearer error="insufficient_scope", scope="${needed.scope}"` };
  return await respondProblem(edge.request, "forbidden", { requestId: edge.requestId, headers });
}
