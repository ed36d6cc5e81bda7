/**
 * Which headers cross the proxy. Towards the upstream an allow-list, so that nothing leaks by omission; back to the
 * browser everything but what belongs to the connection, to us, or to the upstream's inner life.
 *
 * @module
 */

/** Request headers that upstreams get as the browser sent them. */
const PASSED_REQUEST_HEADERS = [
  "accept",
  "accept-language",
  "cache-control",
  "content-encoding",
  "content-language",
  "content-type",
  "idempotency-key",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "last-event-id",
  "pragma",
  "prefer",
  "range",
  "traceparent",
  "tracestate",
  "user-agent",
  "x-requested-with",
  "x-sesamy-client",
  "cache-timestamp",
] as const;

/** Response headers that stay behind: the connection's (RFC 9110, section 7.6.1), or ours to set. */
const DROPPED_RESPONSE_HEADERS = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "set-cookie",
  "set-cookie2",
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-allow-headers",
  "access-control-allow-methods",
  "access-control-expose-headers",
  "access-control-max-age",
  "clear-site-data",
  "refresh",
  "service-worker-allowed",
  "strict-transport-security",
  "public-key-pins",
  "alt-svc",
  "server",
  "x-powered-by",
] as const;

/** What `fetch` decodes on the way; anything else goes on as it is, with its length. */
const DECODED_REGEXP = /^(?:gzip|br)$/i;

/** What an upstream call carries besides the browser's own headers. */
export interface UpstreamCredentials {
  /** The whole `Authorization` value; `null` for a call without a token. */
  readonly authorization: string | null;
  /** Cookies that the vendor passes on. */
  readonly cookie: string | null;
  /** Address of the browser. */
  readonly clientAddress: string;
  /** Host and scheme that the browser sees. */
  readonly host: string;
  /** `http` or `https`. */
  readonly scheme: string;
}

/** The headers for an upstream call. */
export function upstreamHeaders(request: Headers, credentials: UpstreamCredentials): [string, string][] {
  const headers: [string, string][] = [];
  const named = namesInConnection(request);
  for (const name of PASSED_REQUEST_HEADERS) {
    const value = request.get(name);
    if (value !== null && !named.includes(name)) headers.push([name, value]);
  }
  const { authorization, cookie, clientAddress, host, scheme } = credentials;
  if (authorization !== null) headers.push(["authorization", authorization]);
  if (cookie !== null) headers.push(["cookie", cookie]);
  if (clientAddress !== "") headers.push(["x-forwarded-for", clientAddress]);
  headers.push(["x-forwarded-host", host], ["x-forwarded-proto", scheme]);
  return headers;
}

/** Headers that are for the next hop only, by their own word (RFC 9110, section 7.6.1). */
function namesInConnection(headers: Headers): readonly string[] {
  const names = headers.get("connection")?.toLowerCase().split(",").map((name) => name.trim()) ?? [];
  return names.filter((name) => /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name));
}

/** What decides about an upstream's answer. */
export interface AnswerOptions {
  /** Whether the call carried a token: such an answer is for one person. */
  readonly isPersonal: boolean;
  /** Names of cookies that the upstream may set. */
  readonly passCookies: readonly string[];
  /** Where the upstream's paths begin: an address there must not reach the browser as it is. */
  readonly target: string;
  /** The path that was called below it. */
  readonly path: string;
  /** Where the browser finds the same paths. */
  readonly publicBase: string;
}

/** The headers of an upstream's answer as the browser gets them. */
export function answerHeaders(upstream: Headers, options: AnswerOptions): Headers {
  const { isPersonal, passCookies } = options;
  const headers = new Headers(upstream);
  for (const name of namesInConnection(upstream)) headers.delete(name);
  for (const name of DROPPED_RESPONSE_HEADERS) headers.delete(name);
  if (DECODED_REGEXP.test(headers.get("content-encoding") ?? "")) {
    headers.delete("content-encoding");
    headers.delete("content-length");
  }
  for (const cookie of upstream.getSetCookie()) {
    if (passCookies.includes(cookie.split("=", 1)[0]!.trim()) && !/;\s*domain\s*=/i.test(cookie)) {
      headers.append("set-cookie", cookie);
    }
  }
  const location = headers.get("location");
  if (location !== null) {
    const seen = translateLocation(location, options);
    if (seen === null) headers.delete("location");
    else headers.set("location", seen);
  }
  if (isPersonal && !headers.has("cache-control")) headers.set("cache-control", "private");
  return headers;
}

/**
 * An address in an upstream's answer as the browser may have it: below the target it is one of ours, elsewhere it has to be
 * `https`, so that inner names stay behind.
 */
function translateLocation(location: string, { target, path, publicBase }: AnswerOptions): string | null {
  const url = URL.parse(location, `${target}${path}`);
  if (url === null) return null;
  const { origin, pathname } = new URL(target);
  if (url.origin !== origin) return url.protocol === "https:" ? url.href : null;
  const base = pathname.replace(/\/$/, "");
  if (url.pathname !== base && !url.pathname.startsWith(`${base}/`)) return null;
  return `${publicBase}${url.pathname.slice(base.length) || "/"}${url.search}${url.hash}`;
}
