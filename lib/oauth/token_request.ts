/**
 * Requests to the token and revocation endpoints.
 *
 * None of them is tied to the browser's connection: a refresh that is cut off after the server has rotated the token
 * costs the session.
 *
 * @module
 */

import { type Fetch, type OutboundAnswer, sendForJson } from "../outbound.ts";
import type { ClientAuthentication } from "./client_authentication.ts";
import type { ServerMetadata } from "./server_metadata.ts";
import { readTokenResponse, type TokenOutcome } from "./token_response.ts";

/** How to send a request. */
export interface TokenRequestOptions {
  /** Sends it. */
  readonly fetch: Fetch;
  /** Who sends it. */
  readonly authentication: ClientAuthentication;
  /** Milliseconds until the answer must have arrived; 10,000 by default. */
  readonly timeoutMs?: number;
}

/** A code to redeem ([RFC 6749, section 4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3)). */
export interface CodeExchange {
  /** The code. */
  readonly code: string;
  /** The redirect URI of the authorization request. */
  readonly redirectUri: string;
  /** The verifier of its challenge (RFC 7636). */
  readonly codeVerifier: string;
}

/** A refresh ([RFC 6749, section 6](https://www.rfc-editor.org/rfc/rfc6749#section-6)). */
export interface Refresh {
  /** The refresh token. */
  readonly refreshToken: string;
}

/** A token to revoke ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)). */
export interface Revocation {
  /** The token. */
  readonly token: string;
  /** What kind it is. */
  readonly tokenTypeHint: "refresh_token" | "access_token";
}

/** Largest answer in bytes: more than any use of it, so that a token which is too large is refused as what it is. */
const MAX_BYTES = 4_194_304;

/**
 * Redeems an authorization code.
 *
 * @param metadata The authorization server.
 * @param request The code and what belongs to it.
 * @param options How to send it.
 * @returns What it led to.
 */
export async function sendCodeExchange(
  metadata: ServerMetadata,
  request: CodeExchange,
  options: TokenRequestOptions,
): Promise<TokenOutcome> {
  const { code, redirectUri, codeVerifier } = request;
  const body = { grant_type: "authorization_code", code, redirect_uri: redirectUri, code_verifier: codeVerifier };
  return readTokenResponse(await sendForm(metadata.tokenEndpoint, body, options));
}

/**
 * Redeems a refresh token.
 *
 * @param metadata The authorization server.
 * @param request The refresh token.
 * @param options How to send it.
 * @returns What it led to.
 */
export async function sendRefresh(
  metadata: ServerMetadata,
  request: Refresh,
  options: TokenRequestOptions,
): Promise<TokenOutcome> {
  const body = { grant_type: "refresh_token", refresh_token: request.refreshToken };
  return readTokenResponse(await sendForm(metadata.tokenEndpoint, body, options));
}

/**
 * Revokes a token.
 *
 * @param metadata The authorization server.
 * @param request The token.
 * @param options How to send it.
 * @returns Whether the server has confirmed it; `false` too where it has no revocation endpoint.
 */
export async function sendRevocation(
  metadata: ServerMetadata,
  request: Revocation,
  options: TokenRequestOptions,
): Promise<boolean> {
  if (metadata.revocationEndpoint === null) return false;
  const body = { token: request.token, token_type_hint: request.tokenTypeHint };
  const answer = await sendForm(metadata.revocationEndpoint, body, options);
  return answer.kind === "answered" && answer.status >= 200 && answer.status <= 299;
}

async function sendForm(
  url: string,
  parameters: Record<string, string>,
  options: TokenRequestOptions,
): Promise<OutboundAnswer> {
  const { fetch, authentication, timeoutMs = 10_000 } = options;
  const headers = new Headers({ accept: "application/json" });
  const body = new URLSearchParams(parameters);
  await authentication({ headers, body });
  // `fetch` adds the content type of a form to a `URLSearchParams` body.
  return await sendForJson(fetch, { url, init: { method: "POST", headers, body } }, { timeoutMs, maxBytes: MAX_BYTES });
}
