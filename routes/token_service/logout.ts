/**
 * `GET /v2/logout`, `GET|POST /oidc/logout`, and the question that the latter may lead to.
 *
 * @module
 */

import { refuse } from "../../lib/token_service/errors.ts";
import { createFormToken, verifyFormToken } from "../../lib/token_service/form_token.ts";
import type { LogoutOutcome } from "../../lib/token_service/mod.ts";
import { respondExpiredFormPage, respondSignedOutPage, respondSignOutPage } from "../pages/token_service.ts";
import { clearCookie, readCookie, SESSION_COOKIE } from "./cookies.ts";
import type { TokenServiceDeps } from "./deps.ts";
import { MAX_QUERY_LENGTH, queryOf, readBody, readQuery } from "./read.ts";
import { respondMethodNotAllowed, respondRedirect, respondRefusalPage, withCookie } from "./respond.ts";

const UNREADABLE = refuse("invalid_request", "The request is too long or not a list of parameters");

/** Auth0's logout. */
export async function getAuth0Logout(deps: TokenServiceDeps, request: Request): Promise<Response> {
  if (request.method === "HEAD") return respondMethodNotAllowed("GET");
  const parameters = readQuery(queryOf(request));
  if (parameters === null) return await respondRefusalPage(UNREADABLE);
  return await respondOutcome(deps, request, await deps.service.auth0Logout(parameters));
}

/** OpenID Connect's logout, as a link. */
export async function getOidcLogout(deps: TokenServiceDeps, request: Request): Promise<Response> {
  if (request.method === "HEAD") return respondMethodNotAllowed("GET, POST");
  const query = queryOf(request);
  const parameters = readQuery(query);
  if (parameters === null) return await respondRefusalPage(UNREADABLE);
  const { service, base } = deps;
  const handle = readCookie(request, SESSION_COOKIE);
  const session = handle === null ? null : await service.sessions.find(handle);
  const outcome = await service.oidcLogout(parameters, session);
  if (outcome.kind !== "ask" || handle === null) return await respondOutcome(deps, request, outcome);
  const token = await createFormToken({ form: "sign_out", cookie: handle, request: query });
  return await respondSignOutPage({ action: `${base}logout`, request: query, token, location: outcome.location });
}

/** OpenID Connect's logout, as a form: sent on as a link, like an authorization request. */
export async function postOidcLogout({ base }: TokenServiceDeps, request: Request): Promise<Response> {
  const body = await readBody(request, { acceptJson: false });
  if (body.kind === "unreadable") return await respondRefusalPage(UNREADABLE, body.status);
  const query = new URLSearchParams(body.text).toString();
  if (query.length > MAX_QUERY_LENGTH) return await respondRefusalPage(UNREADABLE);
  return respondRedirect(`${base}oidc/logout?${query}`, "POST");
}

/** Answers the question whether to sign out. */
export async function postSignOut(deps: TokenServiceDeps, request: Request): Promise<Response> {
  const { service, base } = deps;
  const body = await readBody(request, { acceptJson: false });
  if (body.kind === "unreadable") return await respondRefusalPage(UNREADABLE, body.status);
  const form = body.parameters;
  const query = form.get("request") ?? "";
  const parameters = readQuery(query);
  if (parameters === null || form.repeated.size > 0) return await respondRefusalPage(UNREADABLE);
  const handle = readCookie(request, SESSION_COOKIE);
  const isOurs = handle !== null &&
    await verifyFormToken(form.get("token"), { form: "sign_out", cookie: handle, request: query });
  if (!isOurs) return await respondExpiredFormPage(`${base}oidc/logout?${query}`);
  const outcome = await service.oidcLogout(parameters, await service.sessions.find(handle));
  return await respondOutcome(deps, request, outcome);
}

/** Ends the browser's session, unless the request was refused, and goes on. Whoever gets here was asked, or need not be. */
async function respondOutcome(
  { service }: TokenServiceDeps,
  request: Request,
  outcome: LogoutOutcome,
): Promise<Response> {
  if (outcome.kind === "refused") return await respondRefusalPage(outcome);
  const handle = readCookie(request, SESSION_COOKIE);
  if (handle !== null) await service.sessions.end(handle);
  const { location } = outcome;
  const response = location === null ? await respondSignedOutPage() : respondRedirect(location, request.method);
  return withCookie(response, clearCookie(SESSION_COOKIE));
}
