/**
 * Answers of a token endpoint, read strictly
 * ([RFC 6749, section 5](https://www.rfc-editor.org/rfc/rfc6749#section-5)): what ends a session, what an operator has to
 * look at, and what is only bad weather.
 *
 * @module
 */

import type { JsonObject } from "../encoding.ts";
import type { OutboundAnswer } from "../outbound.ts";

/** Tokens that were issued. */
export interface TokenSet {
  /** The access token. */
  readonly accessToken: string;
  /** How it is used: always as a bearer. */
  readonly tokenType: "Bearer";
  /** Seconds that it lives, counted from the answer; `null` where the server does not say. */
  readonly expiresIn: number | null;
  /** The next refresh token; `null` where there is none, or the old one stays. */
  readonly refreshToken: string | null;
  /** The ID token, not yet verified. */
  readonly idToken: string | null;
  /** The granted scope; `null` where it is the asked one. */
  readonly scope: string | null;
}

/** The part of a token response that is wrong. */
export type TokenResponseFault =
  | "status"
  | "content_type"
  | "body"
  | "access_token"
  | "token_type"
  | "expires_in"
  | "refresh_token"
  | "id_token"
  | "scope";

/** What a token request leads to. */
export type TokenOutcome =
  | {
    /** Tokens were issued. */
    readonly kind: "issued";
    /** They. */
    readonly tokens: TokenSet;
  }
  | {
    /** The code or refresh token is dead. The only outcome that may end a session. */
    readonly kind: "refused";
    /** The error. */
    readonly error: "invalid_grant";
  }
  | {
    /** The request itself was refused: an operator has to act, the user has done nothing wrong. */
    readonly kind: "misconfigured";
    /** A registered error code; `unregistered_error` for anything else, never text of the server's own. */
    readonly error: string;
  }
  | {
    /** A success that cannot be used. Whatever was sent may have been used up. */
    readonly kind: "invalid_response";
    /** The first part that is wrong. */
    readonly fault: TokenResponseFault;
  }
  | {
    /** No usable answer for now. */
    readonly kind: "unavailable";
    /** When to come back, where the server says so. */
    readonly retryAfterSeconds: number | null;
    /**
     * Whether the server may have acted on the request all the same, so that a code or refresh token may be used up.
     * `false` where it said that it did not.
     */
    readonly sent: boolean;
  };

/** Codes of the IANA registry "OAuth Extensions Error" that token and revocation endpoints answer with. */
const REGISTERED_ERRORS = [
  "invalid_request",
  "invalid_client",
  "unauthorized_client",
  "unsupported_grant_type",
  "invalid_scope",
  "invalid_target",
  "unsupported_token_type",
  "access_denied",
  "invalid_dpop_proof",
  "use_dpop_nonce",
  "interaction_required",
  "login_required",
  "consent_required",
];

/** Errors that say "not now". Their place is the authorization endpoint, but they are seen here too. */
const TRANSIENT_ERRORS = ["server_error", "temporarily_unavailable", "slow_down"];

/** Client errors that say "not now" by their status. */
const TRANSIENT_STATUSES = [408, 425, 429];

/** Ten years: a longer life is an accident. */
const MAX_EXPIRES_IN = 315_360_000;

/** Longest pause that is believed. */
const MAX_RETRY_AFTER = 86_400;

/** What a bearer may consist of: visible ASCII, so that it is one word of one header line. */
const VISIBLE_REGEXP = /^[\u0021-\u007e]+$/;

/** VSCHAR and space ([RFC 6749, appendix A](https://www.rfc-editor.org/rfc/rfc6749#appendix-A)). */
const PRINTABLE_REGEXP = /^[\u0020-\u007e]*$/;

const JSON_TYPE_REGEXP = /^application\/(?:[a-z0-9.+-]+\+)?json *(?:;|$)/i;

/**
 * Reads the answer of a token endpoint.
 *
 * @param answer What came back from the call.
 * @returns What it means.
 */
export function readTokenResponse(answer: OutboundAnswer): TokenOutcome {
  if (answer.kind === "failed") {
    return { kind: "unavailable", retryAfterSeconds: null, sent: answer.reason !== "redirected" };
  }
  const { status, headers, json } = answer;
  if (status >= 200 && status <= 299) return readSuccess(status, headers, json);
  const error = json?.error;
  const isClientError = status >= 400 && status <= 499;
  const isTransient = !isClientError || TRANSIENT_STATUSES.includes(status);
  if (isTransient || typeof error !== "string" || TRANSIENT_ERRORS.includes(error)) {
    // 503 and every client error say that the request was not acted on. After 500, 502 and 504 nobody knows.
    const sent = !isClientError && status !== 503;
    return { kind: "unavailable", retryAfterSeconds: readRetryAfter(headers), sent };
  }
  if (error === "invalid_grant") return { kind: "refused", error };
  return { kind: "misconfigured", error: REGISTERED_ERRORS.includes(error) ? error : "unregistered_error" };
}

function readSuccess(status: number, headers: Headers, json: JsonObject | null): TokenOutcome {
  if (status !== 200) return { kind: "invalid_response", fault: "status" };
  if (!JSON_TYPE_REGEXP.test(headers.get("content-type") ?? "")) {
    return { kind: "invalid_response", fault: "content_type" };
  }
  if (json === null) return { kind: "invalid_response", fault: "body" };
  const fault = findFault(json);
  if (fault !== null) return { kind: "invalid_response", fault };
  const { access_token, expires_in = null, refresh_token = null, id_token = null, scope = null } = json;
  return {
    kind: "issued",
    tokens: {
      accessToken: access_token as string,
      tokenType: "Bearer",
      expiresIn: expires_in === null ? null : Math.floor(expires_in as number),
      refreshToken: refresh_token as string | null,
      idToken: id_token as string | null,
      scope: scope as string | null,
    },
  };
}

/** The first member that is missing or not what it has to be. */
function findFault(json: JsonObject): TokenResponseFault | null {
  const { access_token, token_type, expires_in = 0, refresh_token = "x", id_token = "x", scope = "" } = json;
  if (!isText(access_token, VISIBLE_REGEXP)) return "access_token";
  if (typeof token_type !== "string" || token_type.toLowerCase() !== "bearer") return "token_type";
  if (typeof expires_in !== "number" || !(expires_in >= 0 && expires_in <= MAX_EXPIRES_IN)) return "expires_in";
  if (!isText(refresh_token, PRINTABLE_REGEXP) || refresh_token === "") return "refresh_token";
  // Whether it is a token at all is for its verification to say.
  if (typeof id_token !== "string" || id_token === "") return "id_token";
  if (!isText(scope, PRINTABLE_REGEXP)) return "scope";
  return null;
}

function isText(value: unknown, form: RegExp): value is string {
  return typeof value === "string" && form.test(value);
}

/** `Retry-After` in seconds ([RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)). */
function readRetryAfter(headers: Headers): number | null {
  const value = headers.get("retry-after") ?? "";
  // A date is measured by the server's own clock.
  const seconds = /^\d+$/.test(value)
    ? Number(value)
    : Math.ceil((Date.parse(value) - Date.parse(headers.get("date") ?? "")) / 1000);
  return seconds >= 0 ? Math.min(seconds, MAX_RETRY_AFTER) : null;
}
