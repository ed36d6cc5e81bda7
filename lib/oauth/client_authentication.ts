/**
 * How a client shows the authorization server who it is
 * ([RFC 6749, section 2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)). The secret stays inside the closure.
 *
 * @module
 */

import type { Secret } from "../secret.ts";

/** Adds the client's credentials to a request to the token or revocation endpoint. */
export type ClientAuthentication = (
  request: { readonly headers: Headers; readonly body: URLSearchParams },
) => void | Promise<void>;

/** Sends id and secret in the `Authorization` header. */
export function clientSecretBasic(clientId: string, secret: Secret): ClientAuthentication {
  return ({ headers }) => {
    headers.set("authorization", `Basic ${btoa(`${encodeForm(clientId)}:${encodeForm(secret.reveal())}`)}`);
  };
}

/** Sends id and secret in the body. */
export function clientSecretPost(clientId: string, secret: Secret): ClientAuthentication {
  return ({ body }) => {
    body.set("client_id", clientId);
    body.set("client_secret", secret.reveal());
  };
}

/** Sends the id alone: for clients that cannot keep a secret, and rely on PKCE. */
export function publicClient(clientId: string): ClientAuthentication {
  return ({ body }) => body.set("client_id", clientId);
}

/**
 * Both halves of Basic credentials are form-encoded first (RFC 6749, section 2.3.1). Characters that mean the same with
 * and without it are left alone, because there are servers that forget to decode.
 */
function encodeForm(text: string): string {
  return encodeURIComponent(text).replaceAll("%20", "+");
}
