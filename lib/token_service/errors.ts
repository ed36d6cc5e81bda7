/**
 * Why a request was refused, in the registered words of OAuth.
 *
 * @module
 */

/** The codes in use: RFC 6749, 6750 and 8707, OpenID Connect Core. */
export type OAuthErrorCode =
  | "access_denied"
  | "consent_required"
  | "insufficient_scope"
  | "invalid_client"
  | "invalid_grant"
  | "invalid_request"
  | "invalid_scope"
  | "invalid_target"
  | "invalid_token"
  | "login_required"
  | "registration_not_supported"
  | "request_not_supported"
  | "request_uri_not_supported"
  | "server_error"
  | "temporarily_unavailable"
  | "unauthorized_client"
  | "unsupported_grant_type"
  | "unsupported_response_type";

/** A refusal that goes back to whoever asked. */
export interface OAuthRefusal {
  /** Tells it from other outcomes. */
  readonly kind: "refused";
  /** The registered code. */
  readonly error: OAuthErrorCode;
  /**
   * A sentence for developers: printable ASCII without quotation mark and backslash
   * ([RFC 6749, section 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)), and never any text of the request.
   */
  readonly description: string;
  /** Seconds until another attempt makes sense, where attempts are limited. */
  readonly retryAfterSeconds?: number;
}

/** Makes a refusal. */
export function refuse(error: OAuthErrorCode, description: string): OAuthRefusal {
  return { kind: "refused", error, description };
}

/** Makes the refusal of one attempt too many. */
export function refuseForNow(retryAfterSeconds: number): OAuthRefusal {
  return {
    ...refuse("temporarily_unavailable", "Too many failed attempts, try again later"),
    retryAfterSeconds,
  };
}

/** The HTTP status that a refusal is answered with where it is not delivered by redirect. */
export function statusOf({ error, retryAfterSeconds }: OAuthRefusal): number {
  if (retryAfterSeconds !== undefined) return 429;
  switch (error) {
    case "invalid_client":
    case "invalid_token":
      return 401;
    case "access_denied":
    case "consent_required":
    case "insufficient_scope":
      return 403;
    case "server_error":
      return 500;
    case "temporarily_unavailable":
      return 503;
    default:
      return 400;
  }
}
