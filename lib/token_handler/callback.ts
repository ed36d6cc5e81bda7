/**
 * The token service's answer in the browser: believed only if it belongs to a sign-in that this browser began here.
 *
 * @module
 */

import { equalsConstantTime } from "../encoding.ts";
import { readParameters } from "./parameters.ts";
import { type Transaction, TRANSACTION_SECONDS } from "./transaction.ts";

/** What an authorization response carries ([RFC 6749, section 4.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2)). */
export interface AuthorizationResponse {
  /** The state we sent. */
  readonly state: string;
  /** The code to redeem; `null` in an error answer. */
  readonly code: string | null;
  /** The error; `null` in a good answer. */
  readonly error: string | null;
  /** The error in words. */
  readonly errorDescription: string | null;
  /** Who answers ([RFC 9207](https://www.rfc-editor.org/rfc/rfc9207)). */
  readonly issuer: string | null;
}

/** The parameters of an authorization response that mean something here. */
export const RESPONSE_NAMES: readonly string[] = ["state", "code", "error", "error_description", "iss"];

/** State values are ours: 43 characters of base64url. */
const STATE_REGEXP = /^[A-Za-z0-9_-]{43}$/;

/** Codes and errors are visible ASCII ([RFC 6749, appendix A](https://www.rfc-editor.org/rfc/rfc6749#appendix-A)). */
const VISIBLE_REGEXP = /^[\u0020-\u007e]{1,2048}$/;
const ERROR_REGEXP = /^[a-z_]{1,64}$/;

/** Reads an authorization response; `null` if it cannot be one of ours. */
export function readAuthorizationResponse(search: URLSearchParams): AuthorizationResponse | null {
  const parameters = readParameters(search, RESPONSE_NAMES);
  const state = parameters?.get("state") ?? "";
  if (parameters === null || !STATE_REGEXP.test(state)) return null;
  const code = parameters.get("code") ?? null;
  const error = parameters.get("error") ?? null;
  if ((code === null) === (error === null)) return null;
  if (code !== null && !VISIBLE_REGEXP.test(code)) return null;
  const errorDescription = parameters.get("error_description") ?? null;
  return { state, code, error, errorDescription, issuer: parameters.get("iss") ?? null };
}

/** The facts about a callback. */
export interface CallbackFacts {
  /** The answer. */
  readonly response: AuthorizationResponse;
  /** The sign-in that its state names, as far as the cookie could be opened. */
  readonly transaction: Transaction | null;
  /** The vendor whose callback was called, with its present issuer and client. */
  readonly vendor: { readonly id: string; readonly issuer: string; readonly clientId: string };
  /** The address that was called. */
  readonly redirectUri: string;
  /** Whether the issuer announces that it always sends `iss`. */
  readonly issuerAnnounced: boolean;
  /** Seconds since 1970. */
  readonly now: number;
}

/** What a callback leads to. */
export type CallbackOutcome =
  | { readonly kind: "redeem"; readonly code: string; readonly transaction: Transaction }
  | {
    /** The token service ended the sign-in with an error. */
    readonly kind: "failed";
    readonly transaction: Transaction;
    /** A code of RFC 6749 or OpenID Connect; anything else has become `server_error`. */
    readonly error: string;
    /** Plain words; `null` if there are none, or none that can be shown. */
    readonly errorDescription: string | null;
  }
  | { readonly kind: "refused"; readonly reason: "transaction" | "state" | "expired" | "vendor" | "issuer" };

/** Decides about a callback. Nothing in the answer is believed before state and issuer have been. */
export function decideCallback(facts: CallbackFacts): CallbackOutcome {
  const { response, transaction, vendor, redirectUri, issuerAnnounced, now } = facts;
  if (transaction === null) return { kind: "refused", reason: "transaction" };
  if (!equalsConstantTime(transaction.state, response.state)) return { kind: "refused", reason: "state" };
  if (transaction.createdAt + TRANSACTION_SECONDS <= now || transaction.createdAt > now + TRANSACTION_SECONDS) {
    return { kind: "refused", reason: "expired" };
  }
  const isSameVendor = transaction.vendorId === vendor.id && transaction.issuer === vendor.issuer &&
    transaction.clientId === vendor.clientId && transaction.redirectUri === redirectUri;
  if (!isSameVendor) return { kind: "refused", reason: "vendor" };
  if (response.issuer === null ? issuerAnnounced : response.issuer !== transaction.issuer) {
    return { kind: "refused", reason: "issuer" };
  }
  if (response.code !== null) return { kind: "redeem", code: response.code, transaction };
  const { error, errorDescription } = response;
  return {
    kind: "failed",
    transaction,
    error: error !== null && ERROR_REGEXP.test(error) ? error : "server_error",
    errorDescription: errorDescription !== null && isPlain(errorDescription) ? errorDescription : null,
  };
}

/** The characters of RFC 6749 for descriptions, less those that mean something in HTML. */
function isPlain(text: string): boolean {
  return /^[\u0020-\u0021\u0023-\u0025\u0027-\u003b\u003d\u003f-\u005b\u005d-\u007e]{1,256}$/.test(text);
}
