/**
 * Everything that no other route owns: API calls, forwarded with the session's access token (contract, section 3).
 *
 * @module
 */

import { verifyAccessToken } from "../lib/jwt/mod.ts";
import { answerHeaders, upstreamHeaders } from "../lib/proxy/headers.ts";
import type { CookieValues } from "../lib/token_handler/sessions.ts";
import { vendorIdOf } from "../lib/token_handler/vendor_keys.ts";
import type { Vendor } from "../lib/token_handler/vendors.ts";
import { matchUpstream, type Upstream } from "../lib/vendor/mod.ts";
import type { AppDeps } from "./deps.ts";
import type { Edge } from "./edge.ts";
import { passedCookies, setSessionCookies, valueOf } from "./shared/cookies.ts";
import { respondProblem } from "./shared/respond.ts";
import {
  judgeOrigin,
  openVisit,
  recognise,
  respondPreflight,
  respondUnrecognised,
  respondVisitProblem,
  type Visit,
  withCors,
} from "./shared/visit.ts";

/** Milliseconds until an upstream must have begun to answer. */
const DEFAULT_TIMEOUT_MS = 30_000;

/** Largest request body. */
const MAX_BODY_BYTES = 10 * 1024 * 1024;

/** Statuses whose answers have no body. */
const NULL_BODY_STATUSES: ReadonlySet<number> = new Set([101, 204, 205, 304]);

/** Finds the vendor of a request whose path names none (contract, section 3). */
export async function findVendor(deps: AppDeps, edge: Edge): Promise<Visit | null> {
  const cookie = edge.request.headers.get("cookie") ?? "";
  const at = valueOf(cookie, "at") ?? valueOf(cookie, "__Host-at");
  const vendorId = at === null ? null : vendorIdOf(at);
  const byCookie = vendorId === null ? null : await deps.vendors.find(vendorId);
  const visit = byCookie === null ? null : await openVisit(deps, edge, byCookie);
  if (visit !== null) return visit;
  const byHost = await deps.vendors.findByHost(edge.forwardedHost ?? edge.host) ??
    await deps.vendors.findByHost(edge.host);
  return byHost === null ? null : await openVisit(deps, edge, byHost);
}

/** Forwards an API call. */
export async function handleProxy(deps: AppDeps, edge: Edge): Promise<Response> {
  const { request, requestId } = edge;
  const visit = await findVendor(deps, edge);
  if (visit === null) return await respondProblem(request, "not_found", { requestId });
  if (edge.method === "OPTIONS" && request.headers.has("access-control-request-method")) return respondPreflight(visit);
  return withCors(visit, await forward(deps, visit));
}

async function forward(deps: AppDeps, visit: Visit): Promise<Response> {
  const { edge, vendor } = visit;
  const match = matchUpstream(vendor.upstreams, edge);
  if (match.kind === "not_found") return await respondVisitProblem(visit, "not_found");
  if (match.kind === "method_refused") {
    return await respondVisitProblem(visit, "method_refused", { headers: { allow: match.methods.join(", ") } });
  }
  if (Number(edge.request.headers.get("content-length") ?? 0) > MAX_BODY_BYTES) {
    return await respondVisitProblem(visit, "body_too_large");
  }
  const credentials = await readCredentials(deps, visit, match.upstream);
  if (credentials instanceof Response) return credentials;
  const response = await call(deps, visit, { upstream: match.upstream, authorization: credentials.authorization });
  if (credentials.cookies !== null) setSessionCookies(response.headers, visit.jar, credentials.cookies);
  return response;
}

interface Credentials {
  readonly authorization: string | null;
  /** New session cookies for the answer. */
  readonly cookies: CookieValues | null;
}

/** Bearer first, then the cookies, then nothing where the upstream takes that; otherwise the refusal. */
async function readCredentials(deps: AppDeps, visit: Visit, upstream: Upstream): Promise<Credentials | Response> {
  const header = visit.edge.request.headers.get("authorization") ?? "";
  const [, bearer] = /^Bearer +(\S+)$/i.exec(header) ?? [];
  if (bearer !== undefined) return await acceptBearer(deps, visit, bearer);

  const recognition = await recognise(deps, visit);
  if (recognition.kind === "anonymous" && upstream.anonymous === true) return { authorization: null, cookies: null };
  if (recognition.kind !== "alive") return await respondUnrecognised(visit, recognition);
  const refusal = judgeOrigin(visit);
  if (refusal !== null) return await respondVisitProblem(visit, refusal);
  const readiness = await deps.sessions.ready(visit.vendor, recognition.session);
  if (readiness.kind === "ended") return await respondUnrecognised(visit, readiness);
  if (readiness.kind === "unavailable") {
    const headers = { "retry-after": `${readiness.retryAfterSeconds}` };
    return await respondVisitProblem(visit, "token_service_unreachable", { headers });
  }
  return { authorization: `Bearer ${readiness.accessToken}`, cookies: readiness.cookies };
}

/** A Bearer is verified, never merely relayed, unless the vendor says so. */
async function acceptBearer(deps: AppDeps, visit: Visit, token: string): Promise<Credentials | Response> {
  const accepted = { authorization: `Bearer ${token}`, cookies: null };
  if (visit.vendor.relayUnverifiedBearer) return accepted;
  const verdict = await verifyBearer(deps, visit.vendor, token);
  if (verdict === "verified") return accepted;
  if (verdict === "unavailable") {
    return await respondVisitProblem(visit, "token_service_unreachable", { headers: { "retry-after": "5" } });
  }
  return await respondVisitProblem(visit, "token_refused", {
    headers: { "www-authenticate": 'Bearer error="invalid_token"' },
  });
}

async function verifyBearer(
  deps: AppDeps,
  vendor: Vendor,
  token: string,
): Promise<"verified" | "refused" | "unavailable"> {
  if (vendor.audience.length === 0) return "refused";
  const found = await deps.metadata.find(vendor.issuer);
  if (found.kind !== "found") return "unavailable";
  const { keySets, now } = deps;
  const { jwksUri, issuer } = found.metadata;
  return (await verifyAccessToken(token, { keySets, jwksUri, issuer, audience: vendor.audience, now })).kind;
}

/** Calls the upstream and streams its answer back. A browser that goes away takes the upstream call with it. */
async function call(
  deps: AppDeps,
  visit: Visit,
  { upstream, authorization }: { readonly upstream: Upstream; readonly authorization: string | null },
): Promise<Response> {
  const { edge, vendor } = visit;
  const { request, method } = edge;
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), upstream.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  try {
    const answer = await deps.fetch(`${upstream.target}${edge.path}${edge.search}`, {
      method,
      headers: upstreamHeaders(request.headers, {
        authorization,
        cookie: passedCookies(request.headers.get("cookie"), vendor.passCookies),
        clientAddress: edge.clientAddress,
        host: visit.publicHost,
        scheme: edge.scheme,
      }),
      body: method === "GET" || method === "HEAD" ? null : limitBody(request.body),
      redirect: "manual",
      signal: AbortSignal.any([request.signal, timeout.signal]),
    });
    const headers = answerHeaders(answer.headers, {
      isPersonal: authorization !== null,
      passCookies: vendor.passCookies,
      target: upstream.target,
      path: edge.path,
      publicBase: visit.publicBase,
    });
    const body = NULL_BODY_STATUSES.has(answer.status) ? null : answer.body;
    return new Response(body, { status: answer.status, headers });
  } catch (error) {
    if (error instanceof BodyTooLargeError || (error instanceof Error && error.cause instanceof BodyTooLargeError)) {
      return await respondVisitProblem(visit, "body_too_large");
    }
    const code = timeout.signal.aborted ? "upstream_timeout" : "upstream_unreachable";
    deps.log({
      level: "warn",
      event: code,
      vendor: vendor.id,
      requestId: edge.requestId,
      host: new URL(upstream.target).host,
    });
    return await respondVisitProblem(visit, code);
  } finally {
    clearTimeout(timer);
  }
}

class BodyTooLargeError extends Error {
  override readonly name = "BodyTooLargeError";
}

/** Counts a body while it streams, since its length header may be missing or wrong. */
function limitBody(
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
): ReadableStream<Uint8Array<ArrayBuffer>> | null {
  let bytes = 0;
  return body?.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        bytes += chunk.byteLength;
        if (bytes > MAX_BODY_BYTES) controller.error(new BodyTooLargeError());
        else controller.enqueue(chunk);
      },
    }),
  ) ?? null;
}
