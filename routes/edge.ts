/**
 * The guard that every request passes once: host, path, method and sizes in their normal form, or not at all.
 *
 * What it hands on is the only view of the address that routes have, so that no two parsers can disagree about it:
 * `Deno.serve` takes over whatever stands in the request line and in `Host`.
 *
 * @module
 */

import { drawToken, type Random } from "../lib/random.ts";
import type { ProblemCode } from "../lib/problem.ts";
import { isHost, nameOfHost } from "../lib/vendor/mod.ts";
import type { TrustedProxies } from "./shared/proxies.ts";

/** Longest path and query together. */
const MAX_TARGET_LENGTH = 16_384;

/** Largest header block. */
const MAX_HEADER_BYTES = 32_768;

/** Methods that exist here. */
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Segments of characters that a URL parser leaves alone, without an empty one; a hundred of them at the most. */
const PATH_REGEXP = /^\/(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=:@|[\]]|%[0-9A-Fa-f]{2})+(?:\/|$)){0,100}$/;

/** A dot segment or an empty one, also with path parameters behind it, in whatever spelling of the semicolon. */
const DOT_SEGMENT_REGEXP = /\/(?:\.{1,2}(?:[/;%]|$)|;|%3[Bb])/;

/**
 * Escapes of characters that need none, that somebody could take for a separator or control, or that are the beginning of
 * another escape.
 */
const ODD_ESCAPE_REGEXP =
  /%(?:[01][0-9A-Fa-f]|7[Ff]|2[3EeFfDd]|5[CcFf]|7[Ee]|3[0-9Ff]|[46][1-9A-Fa-f]|[57][0-9Aa]|25[0-9A-Fa-f]{2})/;

const QUERY_REGEXP = /^\?[\u0021\u0024-\u0026\u0028-\u003b\u003d\u003f-\u007e]*$/;
const REQUEST_ID_REGEXP = /^[A-Za-z0-9_-]{8,64}$/;
const PREFIX_REGEXP = /^(?:\/[A-Za-z0-9._~-]+)+$/;

/** What routes know about a request. */
export interface Edge {
  /** The request itself: for headers and body, never for its address. */
  readonly request: Request;
  /** Names this request in answers and logs. */
  readonly requestId: string;
  /** One of the methods that exist. */
  readonly method: string;
  /** `http` or `https`, as the browser sees it. */
  readonly scheme: "http" | "https";
  /** Host in lower case, with the port where it is not the default. */
  readonly host: string;
  /** The host that a trusted proxy was asked for; counts only if the vendor lists it. */
  readonly forwardedHost: string | null;
  /** Path prefix that a trusted proxy has taken away; empty without one. */
  readonly prefix: string;
  /** The path in normal form. */
  readonly path: string;
  /** The query with its question mark; empty without one. */
  readonly search: string;
  /** Address of the browser, as far as trusted proxies tell; else of the peer. */
  readonly clientAddress: string;
  /** The `Cookie` header: long, and wanted in several places, so it is taken from the request once. */
  readonly cookie: string | null;
}

/** What the guard leads to. */
export type EdgeOutcome =
  | { readonly kind: "passed"; readonly edge: Edge }
  | { readonly kind: "refused"; readonly code: ProblemCode; readonly requestId: string };

/** What the guard needs. */
export interface EdgeOptions {
  /** Address of the peer; empty where requests do not come from a socket. */
  readonly clientAddress: string;
  /** Whose forwarded headers count. */
  readonly trustedProxies: TrustedProxies;
  /** Where request ids come from. */
  readonly random: Random;
}

/** Reads a request once and for all. */
export function readEdge(request: Request, options: EdgeOptions): EdgeOutcome {
  const { clientAddress, trustedProxies, random } = options;
  const { headers, method, url } = request;
  const isTrusted = trustedProxies.trusts(clientAddress);
  const given = headers.get("x-request-id");
  const requestId = given !== null && REQUEST_ID_REGEXP.test(given) ? given : drawToken(random, 12);
  const refuse = (code: ProblemCode): EdgeOutcome => ({ kind: "refused", code, requestId });

  const address = readAddress(url, headers.get("host"));
  const isFromSocket = clientAddress !== "";
  if (address === null || (isFromSocket && isMadeUp(address.host, headers))) return refuse("request_malformed");
  if (address.target.length > MAX_TARGET_LENGTH) return refuse("target_too_long");
  const question = address.target.indexOf("?");
  const path = question < 0 ? address.target : address.target.slice(0, question);
  const search = question < 0 ? "" : address.target.slice(question);
  if (!isNormalPath(path) || (search !== "" && !QUERY_REGEXP.test(search))) return refuse("request_malformed");
  if (!METHODS.has(method)) return refuse("method_refused");
  const cookie = headers.get("cookie");
  if (isTooLarge(headers, cookie)) return refuse("headers_too_large");

  const forwarded = isTrusted ? readForwarded(headers) : null;
  return {
    kind: "passed",
    edge: {
      request,
      requestId,
      method,
      scheme: forwarded?.scheme ?? address.scheme,
      host: address.host,
      forwardedHost: forwarded?.host ?? null,
      prefix: forwarded?.prefix ?? "",
      path,
      search,
      cookie,
      clientAddress: isTrusted ? trustedProxies.clientOf(clientAddress, headers.get("x-forwarded-for")) : clientAddress,
    },
  };
}

/** Takes the address apart without a parser that would repair it. */
function readAddress(
  url: string,
  hostHeader: string | null,
): { readonly scheme: "http" | "https"; readonly host: string; readonly target: string } | null {
  const [, scheme, authority, target] = /^(https?):\/\/([^/?#]*)(.*)$/s.exec(url) ?? [];
  if (scheme === undefined || authority === undefined || !target?.startsWith("/")) return null;
  const host = authority.toLowerCase();
  if (!isHost(host) || (hostHeader !== null && hostHeader.toLowerCase() !== host)) return null;
  const defaultPort = scheme === "https" ? ":443" : ":80";
  return {
    scheme: scheme as "http" | "https",
    host: host.endsWith(defaultPort) ? host.slice(0, -defaultPort.length) : host,
    target,
  };
}

/** Where HTTP/1.1 misses its `Host`, `Deno.serve` puts this in place of it. HTTP/2 has no `Host`, but a name in the URL. */
function isMadeUp(host: string, headers: Headers): boolean {
  return nameOfHost(host) === "localhost" && !headers.has("host");
}

function isNormalPath(path: string): boolean {
  if (!PATH_REGEXP.test(path) || DOT_SEGMENT_REGEXP.test(path)) return false;
  if (!path.includes("%")) return true;
  if (ODD_ESCAPE_REGEXP.test(path)) return false;
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

/** Headers that can grow large and are read here; walking through all of them would cost more than the rest of the guard. */
const LARGE_HEADERS = ["authorization", "referer", "user-agent", "x-forwarded-for"];

function isTooLarge(headers: Headers, cookie: string | null): boolean {
  let bytes = cookie?.length ?? 0;
  for (const name of LARGE_HEADERS) bytes += headers.get(name)?.length ?? 0;
  return bytes > MAX_HEADER_BYTES;
}

/** What the nearest proxy says about the address; the last value is the one that it wrote itself. */
function readForwarded(headers: Headers) {
  const last = (name: string) => headers.get(name)?.split(",").at(-1)?.trim() ?? "";
  const host = last("x-forwarded-host").toLowerCase();
  const scheme = last("x-forwarded-proto").toLowerCase();
  const prefix = last("x-forwarded-prefix").replace(/\/$/, "");
  return {
    host: isHost(host) ? host : null,
    scheme: scheme === "https" || scheme === "http" ? scheme : null,
    prefix: PREFIX_REGEXP.test(prefix) && !DOT_SEGMENT_REGEXP.test(prefix) ? prefix : null,
  } as const;
}
