/**
 * Answers of the token service: JSON for clients, pages for people, redirects for browsers.
 *
 * @module
 */

import type { JsonObject } from "../../lib/encoding.ts";
import { type OAuthRefusal, refuse, statusOf } from "../../lib/token_service/errors.ts";
import { respondFaultPage } from "../pages/token_service.ts";

/** Headers of every answer that nobody may keep (RFC 6749, section 5.1). */
const NO_STORE = { "cache-control": "no-store", "pragma": "no-cache" };

/** Answers with JSON that is not kept. */
export function respondJson(
  body: JsonObject,
  options: { readonly status?: number; readonly headers?: HeadersInit } = {},
) {
  const headers = new Headers({ ...NO_STORE, "content-type": "application/json", "x-content-type-options": "nosniff" });
  new Headers(options.headers).forEach((value, name) => headers.set(name, value));
  return new Response(JSON.stringify(body), { status: options.status ?? 200, headers });
}

/** Answers a client with the reason of a refusal. */
export function respondRefusal(
  refusal: OAuthRefusal,
  options: { readonly status?: number; readonly headers?: HeadersInit } = {},
): Response {
  const { error, description, retryAfterSeconds } = refusal;
  const headers = new Headers(options.headers);
  if (retryAfterSeconds !== undefined) headers.set("retry-after", `${retryAfterSeconds}`);
  const body = { error, error_description: description };
  return respondJson(body, { status: options.status ?? statusOf(refusal), headers });
}

/** Answers a client whose body could not be read. */
export function respondUnreadable(status: 400 | 413 | 415): Response {
  return respondRefusal(refuse("invalid_request", UNREADABLE[status]), { status });
}

const UNREADABLE = {
  400: "The body is not a flat list of parameters",
  413: "The body is too large",
  415: "Expected a form or JSON body in UTF-8",
};

/** Tells a person what is wrong with a request. */
export async function respondRefusalPage(refusal: OAuthRefusal, status = statusOf(refusal)): Promise<Response> {
  return await respondFaultPage({ code: refusal.error, detail: refusal.description }, { status });
}

/** Sends the browser on. The status after a POST is 303, so that the form is not posted again to somebody else. */
export function respondRedirect(location: string, method: string): Response {
  const headers = { ...NO_STORE, "referrer-policy": "no-referrer", location };
  return new Response(null, { status: method === "POST" ? 303 : 302, headers });
}

/** Answers a method that the address does not know. */
export function respondMethodNotAllowed(allow: string): Response {
  return respondRefusal(refuse("invalid_request", "The method is not allowed here"), {
    status: 405,
    headers: { allow },
  });
}

/** Adds a cookie to an answer. */
export function withCookie(response: Response, cookie: string): Response {
  response.headers.append("set-cookie", cookie);
  return response;
}
