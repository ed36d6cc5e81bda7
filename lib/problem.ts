/**
 * Everything that can be refused, in one place: code, status and the sentence that a stranger may read.
 *
 * The sentences say what to change. They never contain secrets, tokens or text from the request.
 *
 * @module
 */

/** What a problem answers: [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) members that do not depend on the request. */
export interface ProblemText {
  /** HTTP status. */
  readonly status: number;
  /** A few words. */
  readonly title: string;
  /** What happened and what to do. */
  readonly detail: string;
}

/** The stable code of a problem. */
export type ProblemCode =
  | "request_malformed"
  | "parameter_refused"
  | "return_target_refused"
  | "login_expired"
  | "login_failed"
  | "login_refused"
  | "id_token_refused"
  | "unauthenticated"
  | "session_ended"
  | "token_refused"
  | "origin_refused"
  | "csrf_header_missing"
  | "forbidden"
  | "session_unknown"
  | "vendor_unknown"
  | "not_found"
  | "method_refused"
  | "body_timeout"
  | "conflict"
  | "precondition_failed"
  | "body_too_large"
  | "content_type_refused"
  | "target_too_long"
  | "prefetch_refused"
  | "headers_too_large"
  | "settings_refused"
  | "internal_error"
  | "websocket_unsupported"
  | "token_service_error"
  | "upstream_unreachable"
  | "token_service_unreachable"
  | "store_unavailable"
  | "upstream_timeout";

const PROBLEMS: { readonly [Code in ProblemCode]: readonly [status: number, title: string, detail: string] } = {
  request_malformed: [
    400,
    "Malformed request",
    "The host, path, method or headers are not in their normal form. Send the address as a browser would.",
  ],
  parameter_refused: [
    400,
    "Parameter refused",
    "A query parameter is repeated, too long, or has a value of the wrong form.",
  ],
  return_target_refused: [
    400,
    "Return target refused",
    "Give a path that begins with one slash, or an address on an origin listed in the vendor's allowedOrigins.",
  ],
  login_expired: [
    400,
    "This sign-in is no longer valid",
    "It was started more than 10 minutes ago, in another browser, or has been used already. Start again.",
  ],
  login_failed: [
    400,
    "The sign-in was not completed",
    "The token service ended the sign-in without a result. Start again.",
  ],
  login_refused: [401, "Sign-in refused", "The token service did not accept the authorization code. Start again."],
  id_token_refused: [
    401,
    "Identity refused",
    "The identity that the token service sent could not be verified. Start again; if it happens again, the vendor's issuer or clientId is set wrongly.",
  ],
  unauthenticated: [401, "Not signed in", "Nobody is signed in here. Sign in, then try again."],
  session_ended: [401, "The session has ended", "Sign in again."],
  token_refused: [401, "Token refused", "The bearer token is missing, expired, or not meant for this service."],
  origin_refused: [
    403,
    "Origin refused",
    "Requests with cookies must come from the same origin or from one in the vendor's allowedOrigins.",
  ],
  csrf_header_missing: [
    403,
    "Header missing",
    "This vendor requires the header X-CSRF: 1 (or token-handler-version: 1) on every call.",
  ],
  forbidden: [403, "Not allowed", "The token lacks the scope for this call, or is bound to another vendor."],
  session_unknown: [404, "Unknown session", "You have no living session of this id. Read the list again."],
  vendor_unknown: [404, "Unknown vendor", "No vendor is configured under this name or host."],
  not_found: [404, "Not found", "Nothing is served under this path."],
  method_refused: [405, "Method not allowed", "This path does not take this method."],
  body_timeout: [408, "Body too slow", "The body did not arrive in time. Send it faster, or in smaller parts."],
  conflict: [
    409,
    "Conflict",
    "Another vendor uses one of these hosts, or somebody saved meanwhile. Read the settings again and repeat.",
  ],
  precondition_failed: [
    412,
    "Changed meanwhile",
    "If-Match does not name the present version. Read the settings again and repeat.",
  ],
  body_too_large: [413, "Body too large", "Send a smaller body."],
  content_type_refused: [
    415,
    "Content type refused",
    "Send application/json; forms as application/x-www-form-urlencoded, where a form is due.",
  ],
  target_too_long: [414, "Address too long", "Send a shorter address."],
  prefetch_refused: [425, "Not now", "This address is not for prefetching. Open it."],
  headers_too_large: [
    431,
    "Headers too large",
    "Send fewer or smaller headers; clearing the cookies of this site helps.",
  ],
  settings_refused: [400, "Settings refused", "Correct every fault listed in errors."],
  internal_error: [
    500,
    "Something failed on our side",
    "Try again; give the request id to the operator if it happens again.",
  ],
  websocket_unsupported: [501, "No WebSockets", "This service was started without WebSockets."],
  token_service_error: [
    502,
    "The token service answered with an error",
    "The operator has to check the vendor's client settings.",
  ],
  upstream_unreachable: [502, "The API is not reachable", "Try again in a moment."],
  token_service_unreachable: [503, "The token service is not reachable", "Try again in a moment."],
  store_unavailable: [503, "The store is not reachable", "Try again in a moment."],
  upstream_timeout: [504, "The API did not answer in time", "Try again in a moment."],
};

/** All codes, for documentation and tests. */
export const problemCodes: readonly ProblemCode[] = Object.keys(PROBLEMS) as ProblemCode[];

/** The status and the words of a problem. */
export function describeProblem(code: ProblemCode): ProblemText {
  const [status, title, detail] = PROBLEMS[code];
  return { status, title, detail };
}
