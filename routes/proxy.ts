/**
 * Everything that no other route owns: API calls, forwarded with the session's access token (contract, section 3).
 *
 * @module
 */

import { readBase64Url, readJsonObject, readUtf8 } from "../lib/encoding.ts";
import { createEndableBody, isEventStream } from "../lib/proxy/event_stream.ts";
import type { WatchedCall } from "../lib/proxy/call_watch.ts";
import { answerHeaders } from "../lib/proxy/headers.ts";
import { limitUpload, MAX_BODY_BYTES, type UploadCut, type UploadOptions } from "../lib/proxy/upload.ts";
import { isWebSocketHandshake } from "../lib/proxy/websocket.ts";
import type { StreamOwner } from "../lib/token_handler/streams.ts";
import { vendorIdOf } from "../lib/token_handler/vendor_keys.ts";
import { isVendorId, matchUpstream, type Upstream } from "../lib/vendor/mod.ts";
import type { AppDeps } from "./deps.ts";
import type { Edge } from "./edge.ts";
import { forwardWebSocket } from "./proxy_websocket.ts";
import { setSessionCookies, valueOf } from "./shared/cookies.ts";
import { type Credentials, readBearer, readCredentials } from "./shared/credentials.ts";
import { respondFailure } from "./shared/failure.ts";
import { respondProblem } from "./shared/respond.ts";
import { headersFor, respondFailedCall, upstreamAddress, watchCall } from "./shared/upstream_call.ts";
import { judgeOrigin, openVisit, respondPreflight, respondVisitProblem, type Visit, withCors } from "./shared/visit.ts";

/** Bodies up to this size are read before they are sent on. */
const MAX_READ_BYTES = 65_536;

/** Statuses whose answers have no body. */
const NULL_BODY_STATUSES: ReadonlySet<number> = new Set([101, 204, 205, 304]);

/** Cookies whose key id names the vendor; `at` lives shorter than its partner. */
const VENDOR_COOKIES = ["at", "__Host-at", "__Host-rt", "rt"];

/** Finds the vendor of a request whose path names none (contract, section 3). */
export async function findVendor(deps: AppDeps, edge: Edge): Promise<Visit | null> {
  const { headers } = edge.request;
  const cookie = edge.cookie ?? "";
  const sealed = VENDOR_COOKIES.map((name) => valueOf(cookie, name)).find((value) => value !== null);
  const bearer = readBearer(headers);
  for (
    const vendorId of [
      sealed === undefined ? null : vendorIdOf(sealed),
      bearer === null ? null : claimedVendorOf(bearer),
    ]
  ) {
    const vendor = vendorId === null ? null : await deps.vendors.find(vendorId);
    const visit = vendor === null ? null : await openVisit(deps, edge, vendor);
    if (visit !== null) return visit;
  }
  const byHost = await deps.vendors.findByHost(edge.forwardedHost ?? edge.host) ??
    await deps.vendors.findByHost(edge.host);
  return byHost === null ? null : await openVisit(deps, edge, byHost);
}

/** The vendor that a token says it is for; nothing is verified yet. */
function claimedVendorOf(token: string): string | null {
  const payload = readBase64Url(token.split(".", 2)[1] ?? "");
  const { vendor_id } = readJsonObject(payload === null ? "" : readUtf8(payload) ?? "") ?? {};
  return typeof vendor_id === "string" && isVendorId(vendor_id) ? vendor_id : null;
}

/** Forwards an API call. */
export async function handleProxy(deps: AppDeps, edge: Edge): Promise<Response> {
  const { request, requestId } = edge;
  const visit = await findVendor(deps, edge);
  if (visit === null) return await respondProblem(request, "not_found", { requestId });
  if (edge.method === "OPTIONS" && request.headers.has("access-control-request-method")) return respondPreflight(visit);
  const answer = await forward(deps, visit).catch((error) => respondFailure(deps, edge, error));
  // After an upgrade nobody may look at the request any more.
  return answer.status === 101 ? answer : withCors(visit, answer);
}

async function forward(deps: AppDeps, visit: Visit): Promise<Response> {
  const { edge, vendor } = visit;
  const match = matchUpstream(vendor.upstreams, edge);
  if (match.kind === "not_found") return await respondVisitProblem(visit, "not_found");
  if (match.kind === "method_refused") {
    return await respondVisitProblem(visit, "method_refused", { headers: { allow: match.methods.join(", ") } });
  }
  if (isWebSocketHandshake(edge.method, edge.request.headers)) {
    return await forwardWebSocket(deps, visit, match.upstream);
  }
  if (Number(edge.request.headers.get("content-length") ?? 0) > maxBodyOf(match.upstream)) {
    return await respondVisitProblem(visit, "body_too_large");
  }
  const credentials = await readCredentials(deps, visit, { upstream: match.upstream, judge: judgeOrigin });
  if (credentials instanceof Response) return credentials;
  const response = await call(deps, visit, { upstream: match.upstream, credentials });
  if (credentials.cookies !== null) {
    setSessionCookies(response.headers, visit.jar, credentials.cookies);
    response.headers.set("cache-control", "no-store");
  }
  return response;
}

function maxBodyOf(upstream: Upstream): number {
  return upstream.maxBodyBytes ?? MAX_BODY_BYTES;
}

/** Calls the upstream and streams its answer back. A browser that goes away takes the upstream call with it. */
async function call(
  deps: AppDeps,
  visit: Visit,
  { upstream, credentials }: { readonly upstream: Upstream; readonly credentials: Credentials },
): Promise<Response> {
  const { edge, vendor } = visit;
  const { request } = edge;
  const { authorization, owner } = credentials;
  const watched = watchCall(upstream, request);
  let cutOff: UploadCut | null = null;
  const limits = { maxBytes: maxBodyOf(upstream), watched, onCut: (cut: UploadCut) => void (cutOff = cut) };
  try {
    const answer = await deps.fetch(upstreamAddress(upstream, visit), {
      method: edge.method,
      headers: headersFor(visit, authorization),
      body: hasBody(edge) ? await readBody(request, limits) : null,
      redirect: "manual",
      signal: watched.signal,
    });
    const headers = answerHeaders(answer.headers, {
      isPersonal: authorization !== null,
      passCookies: vendor.passCookies,
      target: upstream.target,
      path: edge.path,
      publicBase: visit.publicBase,
    });
    const body = NULL_BODY_STATUSES.has(answer.status) ? null : answer.body;
    const isEndless = body !== null && isEventStream(headers);
    return new Response(isEndless ? tieTo(owner, body, deps) : body, { status: answer.status, headers });
  } catch {
    // What `fetch` throws does not tell why its body failed.
    if (cutOff !== null) return await respondVisitProblem(visit, cutOff);
    return await respondFailedCall(deps, visit, { upstream, isTimeout: watched.isTimedOut });
  } finally {
    watched.end();
  }
}

/** Over HTTP/1.1 the headers tell whether there is a body (RFC 9112, section 6.3); HTTP/2, which has no `Host`, may not. */
function hasBody({ method, request: { headers } }: Edge): boolean {
  if (method === "GET" || method === "HEAD") return false;
  const length = headers.get("content-length");
  return length === null ? headers.has("transfer-encoding") || !headers.has("host") : length !== "0";
}

/**
 * The body for the upstream. A small one is read first, so that it goes on with its length: not every server takes a body
 * of unknown length. Any other is streamed.
 */
async function readBody(
  request: Request,
  { maxBytes, watched, onCut }: Pick<UploadOptions, "maxBytes" | "onCut"> & { readonly watched: WatchedCall },
): Promise<BodyInit | null> {
  if (request.body === null) return null;
  const onTurn = (turn: "browser" | "upstream") => turn === "browser" ? watched.stop() : watched.start();
  const body = limitUpload(request.body, { maxBytes, onTurn, onCut });
  const length = Number(request.headers.get("content-length") ?? Infinity);
  return length <= MAX_READ_BYTES ? await new Response(body).bytes() : body;
}

/** Lets a stream end with the session that opened it. */
function tieTo(
  owner: StreamOwner,
  source: ReadableStream<Uint8Array<ArrayBuffer>>,
  { streams }: AppDeps,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let leave = () => {};
  const { body, end } = createEndableBody(source, () => leave());
  leave = streams.open(owner, end);
  return body;
}
