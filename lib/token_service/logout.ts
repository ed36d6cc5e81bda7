/**
 * Leaving the token service: Auth0's `/v2/logout` and OpenID Connect's
 * [RP-initiated logout](https://openid.net/specs/openid-connect-rpinitiated-1_0.html), without HTTP.
 *
 * The browser is sent on only to an address that the client registered. A request that does not prove whose session it
 * wants to end gets a question instead of a logout.
 *
 * @module
 */

import type { Client } from "./client.ts";
import type { Context } from "./context.ts";
import { type OAuthRefusal, refuse } from "./errors.ts";
import { type HintedUser, readIdTokenHint } from "./id_token_hint.ts";
import type { RequestParameters } from "./parameters.ts";
import type { BrowserSession } from "./session.ts";

/** What a logout request leads to. `location` is where the browser goes afterwards; `null` shows a page. */
export type LogoutOutcome =
  /** End the browser's session, if there is one, and go on. */
  | { readonly kind: "end"; readonly location: string | null }
  /** Ask the person first. */
  | { readonly kind: "ask"; readonly location: string | null }
  | OAuthRefusal;

/** Decides about `/v2/logout`: `client_id`, and `returnTo` from the client's list. */
export async function decideAuth0Logout({ clients }: Context, parameters: RequestParameters): Promise<LogoutOutcome> {
  if (parameters.repeated.size > 0) return refuse("invalid_request", "A parameter occurs more than once");
  const clientId = parameters.get("client_id");
  const returnTo = parameters.get("returnTo");
  const client = clientId === null ? null : await clients.find(clientId);
  if (clientId !== null && client === null) return refuse("invalid_request", "Unknown client");
  if (returnTo === null) return { kind: "end", location: client?.postLogoutRedirectUris[0] ?? null };
  if (client === null) return refuse("invalid_request", "A returnTo needs a client_id");
  if (!client.postLogoutRedirectUris.includes(returnTo)) {
    return refuse("invalid_request", "The returnTo is not registered for this client");
  }
  return { kind: "end", location: returnTo };
}

/** Decides about `/oidc/logout`. */
export async function decideOidcLogout(
  context: Context,
  parameters: RequestParameters,
  session: BrowserSession | null,
): Promise<LogoutOutcome> {
  if (parameters.repeated.size > 0) return refuse("invalid_request", "A parameter occurs more than once");
  const token = parameters.get("id_token_hint");
  const hint = token === null ? null : await readIdTokenHint(context, token);
  if (token !== null && hint === null) {
    return refuse("invalid_request", "The id_token_hint is not an ID token of this issuer");
  }
  const clientId = parameters.get("client_id") ?? hint?.clientId ?? null;
  if (hint !== null && clientId !== hint.clientId) {
    return refuse("invalid_request", "The id_token_hint was issued to another client");
  }
  const client = clientId === null ? null : await context.clients.find(clientId);
  const target = readTarget(parameters, client);
  if (target.kind === "refused") return target;
  return { kind: decideQuestion(session, hint), location: target.location };
}

/** Nobody is signed out by a request that does not show an ID token of this very session. */
export function decideQuestion(session: BrowserSession | null, hint: HintedUser | null): "end" | "ask" {
  return session === null || hint?.sid === session.sid ? "end" : "ask";
}

type Target = { readonly kind: "target"; readonly location: string | null } | OAuthRefusal;

function readTarget(parameters: RequestParameters, client: Client | null): Target {
  const uri = parameters.get("post_logout_redirect_uri");
  const state = parameters.get("state");
  if (uri === null) return { kind: "target", location: null };
  if (client === null) return refuse("invalid_request", "A post_logout_redirect_uri needs a client");
  if (!client.postLogoutRedirectUris.includes(uri)) {
    return refuse("invalid_request", "The post_logout_redirect_uri is not registered for this client");
  }
  if (state === null) return { kind: "target", location: uri };
  return { kind: "target", location: `${uri}${uri.includes("?") ? "&" : "?"}${new URLSearchParams({ state })}` };
}
