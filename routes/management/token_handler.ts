/**
 * `PUT|GET|DELETE /management/vendors/:vendorId/token-handler`: the settings of a vendor (contract, sections 4 and 5).
 *
 * @module
 */

import { readJsonObject, readUtf8 } from "../../lib/encoding.ts";
import { readBytes } from "../../lib/outbound.ts";
import type { VendorRecord } from "../../lib/store/mod.ts";
import { isVendorId, readVendorSettings, type SettingsFault } from "../../lib/vendor/mod.ts";
import type { AppDeps } from "../deps.ts";
import type { Edge } from "../edge.ts";
import { readManager, refuseUnlessAllowed } from "../shared/bearer.ts";
import { respondJson, respondProblem } from "../shared/respond.ts";

/** Largest body of settings. */
const MAX_BODY_BYTES = 65_536;

/** Answers a call about one vendor's token handler. */
export async function handleTokenHandlerSettings(deps: AppDeps, edge: Edge, vendorId: string): Promise<Response> {
  const manager = await readManager(deps, edge);
  if (manager instanceof Response) return manager;
  const scope = edge.method === "GET" || edge.method === "HEAD" ? "read:vendors" : "write:vendors";
  const refusal = await refuseUnlessAllowed(edge, manager, { scope, vendorId });
  if (refusal !== null) return refusal;
  if (!isVendorId(vendorId)) return await respondFaults(edge, [VENDOR_ID_FAULT]);
  switch (edge.method) {
    case "PUT":
      return await save(deps, edge, vendorId);
    case "DELETE":
      return await remove(deps, edge, vendorId);
    default:
      return await read(deps, edge, vendorId);
  }
}

const VENDOR_ID_FAULT: SettingsFault = {
  pointer: "",
  detail: "The vendor id in the path must be 1 to 64 characters of a-z 0-9 - _ and no reserved word",
};

async function respondFaults(edge: Edge, errors: readonly SettingsFault[]): Promise<Response> {
  return await respondProblem(edge.request, "settings_refused", { requestId: edge.requestId, members: { errors } });
}

async function read(deps: AppDeps, edge: Edge, vendorId: string): Promise<Response> {
  const found = await deps.vendors.read(vendorId);
  if (found === null) return await respondProblem(edge.request, "vendor_unknown", { requestId: edge.requestId });
  return await respondSettings(deps, edge, { ...found, status: 200 });
}

async function save(deps: AppDeps, edge: Edge, vendorId: string): Promise<Response> {
  const { request, requestId } = edge;
  const refuse = (code: Parameters<typeof respondProblem>[1]) => respondProblem(request, code, { requestId });
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json(?:;|$)/i.test(type)) return await refuse("content_type_refused");
  const body = await readBytes(request, MAX_BODY_BYTES);
  if (body === null) return await refuse("body_too_large");
  const { insecureAllowLoopback } = deps;
  const reading = readVendorSettings(readJsonObject(readUtf8(body) ?? ""), { insecureAllowLoopback });
  if (reading.kind === "refused") return await respondFaults(edge, reading.faults);

  const precondition = await readPrecondition(deps, edge, vendorId);
  if (precondition === null) return await refuse("precondition_failed");
  const dryRun = new URLSearchParams(edge.search).get("dryRun") === "true";
  const outcome = await deps.vendors.save(vendorId, reading, { ...precondition, dryRun });
  switch (outcome.kind) {
    case "would_save":
      return respondJson({ dryRun, vendorId, ...reading.settings });
    case "saved": {
      deps.log({ level: "info", event: "vendor_saved", vendor: vendorId, requestId });
      return await respondSettings(deps, edge, { ...outcome, status: outcome.created ? 201 : 200 });
    }
    case "secret_missing":
      return await respondFaults(edge, [{
        pointer: "/clientSecret",
        detail: "Missing: this clientAuthMethod needs one",
      }]);
    case "issuer_missing":
      return await respondFaults(edge, [{ pointer: "/issuer", detail: "Missing: this service has no default issuer" }]);
    case "version_differs":
      return await refuse("precondition_failed");
    case "conflict":
      return await refuse("conflict");
    case "host_taken": {
      const index = reading.settings.hosts.indexOf(outcome.host);
      const pointer = index < 0 ? "/publicUrl" : `/hosts/${index}`;
      const errors = [{ pointer, detail: "Another vendor uses this host" }];
      return await respondProblem(request, "conflict", { requestId, members: { errors } });
    }
  }
}

/** The version that `If-Match` wants, if any; `null` if it is not the present one. A list or weak tag never is. */
async function readPrecondition(
  deps: AppDeps,
  edge: Edge,
  vendorId: string,
): Promise<{ readonly expectedVersion?: string } | null> {
  const header = edge.request.headers.get("if-match")?.trim();
  if (header === undefined) return {};
  const stored = await deps.vendors.read(vendorId);
  if (stored === null || (header !== "*" && header !== `"${stored.version}"`)) return null;
  return { expectedVersion: stored.version };
}

async function remove(deps: AppDeps, edge: Edge, vendorId: string): Promise<Response> {
  if (await readPrecondition(deps, edge, vendorId) === null) {
    return await respondProblem(edge.request, "precondition_failed", { requestId: edge.requestId });
  }
  await deps.vendors.remove(vendorId);
  await deps.keys.removeAll(vendorId);
  deps.log({ level: "info", event: "vendor_removed", vendor: vendorId, requestId: edge.requestId });
  return new Response(null, { status: 204, headers: { "cache-control": "no-store" } });
}

/** Echoes the settings; a secret is never read back. */
async function respondSettings(
  deps: AppDeps,
  edge: Edge,
  { record, version, status }: { readonly record: VendorRecord; readonly version: string; readonly status: number },
): Promise<Response> {
  const { id, settings, createdAt, updatedAt, sealedClientSecret } = record;
  const vendor = await deps.vendors.find(id);
  const bases = vendor?.publicUrl != null
    ? [vendor.publicUrl]
    : settings.hosts.length > 0
    ? settings.hosts.map((host) => `https://${host}`)
    : [`${edge.scheme}://${edge.host}${edge.prefix}`];
  const body = {
    vendorId: id,
    ...settings,
    hasClientSecret: sealedClientSecret !== null,
    callbackUrls: bases.map((base) => `${base}/auth/${id}/callback`),
    keyId: await deps.keys.activeKeyId(id),
    createdAt: new Date(createdAt * 1000).toISOString(),
    updatedAt: new Date(updatedAt * 1000).toISOString(),
  };
  return respondJson(body, { status, headers: { etag: `"${version}"` } });
}
