/**
 * The authorization request: where the browser is sent to sign in
 * ([RFC 6749, section 4.1.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1)).
 *
 * @module
 */

import type { ServerMetadata } from "./server_metadata.ts";

/** What is asked of the authorization server. */
export interface AuthorizationRequest {
  /** Our client id. */
  readonly clientId: string;
  /** Where the answer goes; registered there, character by character. */
  readonly redirectUri: string;
  /** Scopes, separated by spaces. */
  readonly scope: string;
  /** Ties the answer to this browser. */
  readonly state: string;
  /** Ties the ID token to this request. */
  readonly nonce: string;
  /** The S256 challenge of the code verifier. */
  readonly codeChallenge: string;
  /** The API that the access token is for. */
  readonly audience?: string;
  /** Further parameters, from a list of allowed names. None of the above can be changed by them. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** Parameters that would replace the request as a whole (RFC 9101): never from outside. */
const REPLACING = ["request", "request_uri"];

/**
 * The address of an authorization request.
 *
 * @param metadata The authorization server.
 * @param request What is asked.
 * @returns The address; a query that the endpoint has of its own is kept.
 */
export function authorizationUrl(metadata: ServerMetadata, request: AuthorizationRequest): string {
  const url = new URL(metadata.authorizationEndpoint);
  const own = {
    client_id: request.clientId,
    redirect_uri: request.redirectUri,
    response_type: "code",
    scope: request.scope,
    state: request.state,
    nonce: request.nonce,
    code_challenge: request.codeChallenge,
    code_challenge_method: "S256",
    ...(request.audience === undefined ? {} : { audience: request.audience }),
  };
  for (const [name, value] of Object.entries({ ...request.extra, ...own })) {
    if (!REPLACING.includes(name)) url.searchParams.set(name, value);
  }
  return url.href;
}
