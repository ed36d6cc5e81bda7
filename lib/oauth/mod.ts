/**
 * The client's half of OAuth: find the server, send the browser there, redeem what it brings back.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import {
 *   authorizationUrl,
 *   createMetadataDirectory,
 *   publicClient,
 *   sendCodeExchange,
 * } from "@cloakroom/token-handler/oauth";
 *
 * // A server that knows itself and issues one token.
 * const fetch = (url: string) =>
 *   Promise.resolve(Response.json(
 *     url.endsWith("/token") ? { access_token: "a", token_type: "Bearer", expires_in: 3600 } : {
 *       issuer: "https://id.example/",
 *       authorization_endpoint: "https://id.example/authorize",
 *       token_endpoint: "https://id.example/token",
 *       jwks_uri: "https://id.example/jwks",
 *     },
 *   ));
 *
 * const found = await createMetadataDirectory({ fetch }).find("https://id.example/");
 * if (found.kind !== "found") throw new Error(found.kind);
 *
 * const request = { clientId: "web", redirectUri: "https://app.example/callback" };
 * const location = authorizationUrl(found.metadata, {
 *   ...request,
 *   scope: "openid",
 *   state: "drawn",
 *   nonce: "drawn",
 *   codeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
 * });
 * assertEquals(new URL(location).searchParams.get("code_challenge_method"), "S256");
 *
 * const outcome = await sendCodeExchange(
 *   found.metadata,
 *   { code: "brought back", redirectUri: request.redirectUri, codeVerifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" },
 *   { fetch, authentication: publicClient("web") },
 * );
 * assertEquals(outcome.kind === "issued" && outcome.tokens.accessToken, "a");
 * ```
 *
 * Every call has a time limit and a size limit and follows no redirect. An outcome says who has to act: nobody (`issued`),
 * the user (`refused`), the operator (`misconfigured`, `invalid_response`), or time (`unavailable`).
 *
 * @module
 */

export type { Clock } from "../clock.ts";
export type { Fetch } from "../outbound.ts";
export type { Secret } from "../secret.ts";
export { type AuthorizationRequest, authorizationUrl } from "./authorization.ts";
export {
  type ClientAuthentication,
  clientSecretBasic,
  clientSecretPost,
  publicClient,
} from "./client_authentication.ts";
export type { EndpointOptions } from "./endpoint.ts";
export {
  createMetadataDirectory,
  type MetadataDirectory,
  type MetadataDirectoryOptions,
  type MetadataLookup,
  type MetadataRefusal,
  type ServerMetadata,
} from "./server_metadata.ts";
export {
  type CodeExchange,
  type Refresh,
  type Revocation,
  sendCodeExchange,
  sendRefresh,
  sendRevocation,
  type TokenRequestOptions,
} from "./token_request.ts";
export type { TokenOutcome, TokenResponseFault, TokenSet } from "./token_response.ts";
