/**
 * One request at one vendor: the vendor found, its public address and cookies worked out, the origin of the request
 * judged, and the CORS headers put on whatever the route answers (contract, sections 2.8 and 2.9).
 *
 * @module
 */

import type { EndReason } from "../../lib/store/mod.ts";
import { describeProblem, type ProblemCode } from "../../lib/problem.ts";
import type { Recognition } from "../../lib/token_handler/sessions.ts";
import type { Vendor } from "../../lib/token_handler/vendors.ts";
import type { AppDeps } from "../deps.ts";
import type { Edge } from "../edge.ts";
import {
  clearCookies,
  clearSessionCookies,
  type CookieJar,
  cookiesOf,
  type PresentCookies,
  readCookies,
} from "./cookies.ts";
import { isNavigation, type ProblemOptions, respondProblem } from "./respond.ts";

/** Methods that change nothing. */
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** A request at a vendor. */
export interface Visit {
  /** The request. */
  readonly edge: Edge;
  /** The vendor. */
  readonly vendor: Vendor;
  /** Public base address of the token handler for this vendor, without a slash at the end. */
  readonly publicBase: string;
  /** Its host, with the port where it is not the default. */
  readonly publicHost: string;
  /** Its origin. */
  readonly ownOrigin: string;
  /** Names and attributes of the vendor's cookies. */
  readonly jar: CookieJar;
  /** The cookies that came. */
  readonly cookies: PresentCookies;
}

/**
 * Opens a visit.
 *
 * @param deps The application.
 * @param edge The request.
 * @param vendor The vendor it is for.
 * @returns The visit; `null` if the vendor is not served at this host.
 */
export async function openVisit(deps: AppDeps, edge: Edge, vendor: Vendor): Promise<Visit | null> {
  const { forwardedHost } = edge;
  const isListed = forwardedHost !== null && vendor.hosts.includes(forwardedHost);
  const host = isListed ? forwardedHost : edge.host;
  const isServed = vendor.hosts.length > 0 ? vendor.hosts.includes(host) : !await deps.vendors.isTaken(host, vendor.id);
  if (!isServed) return null;
  const publicBase = vendor.publicUrl ?? `${edge.scheme}://${host}${edge.prefix}`;
  const place = placeOf(vendor, publicBase) ?? await makePlace(vendor, publicBase, deps);
  return { edge, vendor, ...place, cookies: readCookies(edge.cookie, place.jar) };
}

/** What all visits at one public address have in common. */
type Place = Pick<Visit, "publicBase" | "publicHost" | "ownOrigin" | "jar">;

/** Public addresses kept for one vendor; hosts may be whatever strangers ask for. */
const MAX_PLACES = 100;

const places = new WeakMap<Vendor, Map<string, Place>>();

function placeOf(vendor: Vendor, publicBase: string): Place | undefined {
  return places.get(vendor)?.get(publicBase);
}

/** Works out what depends on the address alone, once for as long as the vendor's settings are the same. */
async function makePlace(vendor: Vendor, publicBase: string, deps: AppDeps): Promise<Place> {
  const { host: publicHost, origin: ownOrigin, protocol } = new URL(publicBase);
  const jar = await cookiesOf(vendor, {
    host: publicHost,
    isPlainHttp: protocol === "http:",
    plainLoopbackCookies: deps.plainLoopbackCookies,
  });
  const known = places.get(vendor) ?? new Map<string, Place>();
  if (known.size >= MAX_PLACES) known.clear();
  const place = { publicBase, publicHost, ownOrigin, jar };
  places.set(vendor, known.set(publicBase, place));
  return place;
}

/** The address of one of our own endpoints for this vendor. */
export function addressOf(visit: Visit, endpoint: string): string {
  return `${visit.publicBase}/auth/${visit.vendor.id}/${endpoint}`;
}

/** Answers with a problem that belongs to a visit; a 401 says where to sign in. */
export async function respondVisitProblem(
  visit: Visit,
  code: ProblemCode,
  options: Omit<ProblemOptions, "requestId"> = {},
): Promise<Response> {
  const loginUrl = addressOf(visit, "login");
  const isUnauthenticated = describeProblem(code).status === 401;
  const needsLogin = isUnauthenticated || code.startsWith("login_");
  return await respondProblem(visit.edge.request, code, {
    ...(needsLogin ? { action: { label: "Sign in", href: loginUrl } } : {}),
    ...options,
    requestId: visit.edge.requestId,
    members: { ...(isUnauthenticated ? { login_url: loginUrl } : {}), ...options.members },
  });
}

/** Answers a request whose cookies are worth nothing: 401, the useless ones cleared, the reason told once. */
export async function respondUnrecognised(
  visit: Visit,
  recognition: Exclude<Recognition, { kind: "alive" }> | { readonly kind: "ended"; readonly reason: EndReason },
): Promise<Response> {
  const headers = new Headers();
  if (recognition.kind === "ended") {
    clearSessionCookies(headers, visit.jar);
    return await respondVisitProblem(visit, "session_ended", { headers, members: { reason: recognition.reason } });
  }
  if (recognition.kind === "refused") clearCookies(headers, recognition.bad.map((name) => visit.jar[name]));
  return await respondVisitProblem(visit, "unauthenticated", { headers });
}

/** What the cookies of a visit are worth. */
export async function recognise(
  deps: AppDeps,
  visit: Visit,
  options?: { readonly touch: boolean },
): Promise<Recognition> {
  const { vendor, jar, cookies } = visit;
  const presented = { at: cookies.value(jar.at.name), rt: cookies.value(jar.rt.name) };
  return await deps.sessions.recognise(vendor, presented, options);
}

/** Tells whether pages on an origin may use this vendor's cookies. */
export function isAllowedOrigin({ vendor, ownOrigin }: Visit, origin: string): boolean {
  return origin === ownOrigin || vendor.allowedOrigins.includes(origin);
}

/**
 * Judges where a request with cookies comes from.
 *
 * @param visit The visit.
 * @returns Why it is refused; `null` if it is not.
 */
export function judgeOrigin(visit: Visit): "origin_refused" | "csrf_header_missing" | null {
  const { edge: { request, method }, vendor } = visit;
  const hasHeader = request.headers.get("x-csrf") === "1" || request.headers.get("token-handler-version") === "1";
  const isSafe = SAFE_METHODS.has(method);
  const origin = request.headers.get("origin");
  const site = request.headers.get("sec-fetch-site");
  if (isSafe && isNavigation(request)) return null;
  if (vendor.requireCsrfHeader && !hasHeader) return "csrf_header_missing";
  if (origin !== null) return isAllowedOrigin(visit, origin) ? null : "origin_refused";
  if (site !== null) return site === "same-origin" || (site === "none" && isSafe) ? null : "origin_refused";
  return isSafe || hasHeader ? null : "origin_refused";
}

/** Answers a preflight. */
export function respondPreflight(visit: Visit): Response {
  const { request } = visit.edge;
  const headers = new Headers({ "cache-control": "no-store" });
  const origin = request.headers.get("origin");
  if (origin !== null && isAllowedOrigin(visit, origin)) {
    headers.set("access-control-allow-methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS");
    headers.set("access-control-max-age", "600");
    const asked = request.headers.get("access-control-request-headers");
    if (asked !== null && /^[a-z0-9, _-]{1,1024}$/i.test(asked)) headers.set("access-control-allow-headers", asked);
  }
  return withCors(visit, new Response(null, { status: 204, headers }));
}

/** Adds to an answer what a page on another origin needs in order to read it. */
export function withCors(visit: Visit, response: Response): Response {
  const { headers } = response;
  headers.set("x-request-id", visit.edge.requestId);
  headers.append("vary", "Origin");
  const origin = visit.edge.request.headers.get("origin");
  if (origin !== null && origin !== visit.ownOrigin && isAllowedOrigin(visit, origin)) {
    headers.set("access-control-allow-origin", origin);
    headers.set("access-control-allow-credentials", "true");
    headers.set("access-control-expose-headers", "x-request-id, retry-after");
  }
  return response;
}
