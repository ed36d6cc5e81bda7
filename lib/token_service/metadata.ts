/**
 * What the token service says about itself: [RFC 8414](https://www.rfc-editor.org/rfc/rfc8414) and
 * [OpenID Connect Discovery 1.0](https://openid.net/specs/openid-connect-discovery-1_0.html), one document for both.
 *
 * @module
 */

import type { JsonObject } from "../encoding.ts";
import { USER_CLAIMS } from "./claims.ts";
import { OFFLINE_ACCESS, OIDC_SCOPES } from "./scope.ts";
import { SIGNING_ALGS } from "./signing_keys.ts";

/** How clients may authenticate. */
const CLIENT_AUTHENTICATION = ["client_secret_basic", "client_secret_post", "none"];

/**
 * Creates the metadata document.
 *
 * @param issuer The issuer, with or without a slash at its end.
 * @returns The document.
 */
export function createMetadata(issuer: string): JsonObject {
  const base = issuer.endsWith("/") ? issuer : `${issuer}/`;
  return {
    issuer,
    authorization_endpoint: `${base}authorize`,
    token_endpoint: `${base}oauth/token`,
    userinfo_endpoint: `${base}userinfo`,
    jwks_uri: `${base}.well-known/jwks.json`,
    revocation_endpoint: `${base}oauth/revoke`,
    end_session_endpoint: `${base}oidc/logout`,
    response_types_supported: ["code"],
    response_modes_supported: ["query"],
    grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
    code_challenge_methods_supported: ["S256"],
    authorization_response_iss_parameter_supported: true,
    token_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION,
    revocation_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION,
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: SIGNING_ALGS,
    scopes_supported: [...OIDC_SCOPES, OFFLINE_ACCESS],
    claims_supported: ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", ...USER_CLAIMS],
    prompt_values_supported: ["none", "login"],
    claims_parameter_supported: false,
    request_parameter_supported: false,
    request_uri_parameter_supported: false,
  };
}
