/**
 * `GET|POST /management/vendors/:vendorId/token-handler/keys` and `DELETE …/keys/:keyId`: the vendor's sealing keys
 * (contract, section 4).
 *
 * @module
 */

import type { VendorKeyInfo } from "../../lib/token_handler/vendor_keys.ts";
import type { AppDeps } from "../deps.ts";
import type { Edge } from "../edge.ts";
import { readManager, refuseUnlessAllowed } from "../shared/bearer.ts";
import { respondJson, respondProblem } from "../shared/respond.ts";

/** Lists a vendor's keys with state and last use, or makes a new active one. */
export async function handleKeys(deps: AppDeps, edge: Edge, vendorId: string): Promise<Response> {
  const refusal = await refuse(deps, edge, vendorId);
  if (refusal !== null) return refusal;
  if (edge.method !== "POST") return respondJson((await deps.keys.list(vendorId)).map(describe));
  const keyId = await deps.keys.rotate(vendorId);
  deps.log({ level: "info", event: "key_rotated", vendor: vendorId, keyId, requestId: edge.requestId });
  const made = (await deps.keys.list(vendorId)).find((key) => key.keyId === keyId);
  return respondJson(made === undefined ? { keyId } : describe(made), { status: 201 });
}

/** Retires one key at once: what it sealed is worth nothing from then on. */
export async function handleKey(
  deps: AppDeps,
  edge: Edge,
  { vendorId, keyId }: { readonly vendorId: string; readonly keyId: string },
): Promise<Response> {
  const refusal = await refuse(deps, edge, vendorId);
  if (refusal !== null) return refusal;
  if (!await deps.keys.retire(vendorId, keyId)) {
    return await respondProblem(edge.request, "not_found", { requestId: edge.requestId });
  }
  deps.log({ level: "info", event: "key_retired", vendor: vendorId, keyId, requestId: edge.requestId });
  return new Response(null, { status: 204, headers: { "cache-control": "no-store" } });
}

async function refuse(deps: AppDeps, edge: Edge, vendorId: string): Promise<Response | null> {
  const manager = await readManager(deps, edge);
  if (manager instanceof Response) return manager;
  const scope = edge.method === "GET" || edge.method === "HEAD" ? "read:vendors" : "write:keys";
  const refusal = await refuseUnlessAllowed(edge, manager, { scope, vendorId });
  if (refusal !== null) return refusal;
  if (await deps.vendors.read(vendorId) !== null) return null;
  return await respondProblem(edge.request, "vendor_unknown", { requestId: edge.requestId });
}

function describe({ keyId, state, createdAt, lastUsedAt }: VendorKeyInfo) {
  const timeOf = (seconds: number | null) => seconds === null ? null : new Date(seconds * 1000).toISOString();
  return { keyId, state, createdAt: timeOf(createdAt), lastUsedAt: timeOf(lastUsedAt) };
}
