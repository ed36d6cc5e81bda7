/**
 * What a call and a WebSocket to an upstream have in common: address, headers, time limit, and the answer where none comes.
 *
 * @module
 */

import { createCallWatch, type WatchedCall } from "../../lib/proxy/call_watch.ts";
import { upstreamHeaders } from "../../lib/proxy/headers.ts";
import type { Upstream } from "../../lib/vendor/mod.ts";
import type { AppDeps } from "../deps.ts";
import { passedCookies } from "./cookies.ts";
import { respondVisitProblem, type Visit } from "./visit.ts";

/** Milliseconds until an upstream must have begun to answer. */
const DEFAULT_TIMEOUT_MS = 30_000;

/** Where a call goes: path and query are those that were judged, unchanged. */
export function upstreamAddress({ target }: Upstream, { edge: { path, search } }: Visit): string {
  return `${target}${path}${search}`;
}

/** The headers that it carries. */
export function headersFor({ edge, vendor, publicHost }: Visit, authorization: string | null): [string, string][] {
  const { request: { headers }, clientAddress, scheme } = edge;
  return upstreamHeaders(headers, {
    authorization,
    cookie: passedCookies(edge.cookie, vendor.passCookies),
    clientAddress,
    host: publicHost,
    scheme,
  });
}

const calls = createCallWatch();

/** Looks after a call: it is given up when the upstream takes too long to begin, or the browser leaves. */
export function watchCall({ timeoutMs = DEFAULT_TIMEOUT_MS }: Upstream, request: Request): WatchedCall {
  return calls.watch(timeoutMs, () => request.signal);
}

/** Answers where the upstream did not. Where the browser has left, nobody failed, and nobody reads the answer. */
export async function respondFailedCall(
  deps: AppDeps,
  visit: Visit,
  { upstream, isTimeout }: { readonly upstream: Upstream; readonly isTimeout: boolean },
): Promise<Response> {
  const { request, requestId } = visit.edge;
  const code = isTimeout ? "upstream_timeout" : "upstream_unreachable";
  const { host } = new URL(upstream.target);
  if (!request.signal.aborted) deps.log({ level: "warn", event: code, vendor: visit.vendor.id, requestId, host });
  return await respondVisitProblem(visit, code);
}
