/**
 * `GET|POST /authorize` and the sign-in form it may lead to.
 *
 * @module
 */

import { drawToken, systemRandom } from "../../lib/random.ts";
import { createFormToken, verifyFormToken } from "../../lib/token_service/form_token.ts";
import { refuse } from "../../lib/token_service/errors.ts";
import type { AuthorizationRequest, AuthorizeOutcome } from "../../lib/token_service/mod.ts";
import { respondConsentPage, respondExpiredFormPage } from "../pages/token_service.ts";
import { respondSignInPage, type SignInNotice } from "../pages/sign_in.ts";
import { FORM_COOKIE, readCookie, SESSION_COOKIE, writeCookie } from "./cookies.ts";
import type { TokenServiceDeps } from "./deps.ts";
import { MAX_QUERY_LENGTH, queryOf, readBody, readQuery } from "./read.ts";
import { respondMethodNotAllowed, respondRedirect, respondRefusalPage, withCookie } from "./respond.ts";

const TOO_LONG = refuse("invalid_request", "The request is too long or not a list of parameters");

/** Answers an authorization request that comes as a link. */
export async function getAuthorize({ service, base }: TokenServiceDeps, request: Request): Promise<Response> {
  // A code must not be spent on somebody who only looks, or on a page that is fetched ahead of a click.
  if (request.method === "HEAD") return respondMethodNotAllowed("GET, POST");
  if (/\bprefetch\b/.test(request.headers.get("sec-purpose") ?? "")) {
    return new Response(null, { status: 204, headers: { "cache-control": "no-store" } });
  }
  const query = queryOf(request);
  const parameters = readQuery(query);
  if (parameters === null) return await respondRefusalPage(TOO_LONG);
  const handle = readCookie(request, SESSION_COOKIE);
  const session = handle === null ? null : await service.sessions.find(handle);
  const outcome = await service.authorize({ parameters, session, isFresh: false });
  return await respondOutcome(outcome, { request, base, query });
}

/**
 * Answers an authorization request that comes as a form. It is sent on as a link: our session cookie does not come with a
 * form of another site, and a sign-in page that was posted could not be reloaded.
 */
export async function postAuthorize({ base }: TokenServiceDeps, request: Request): Promise<Response> {
  const body = await readBody(request, { acceptJson: false });
  if (body.kind === "unreadable") return await respondRefusalPage(TOO_LONG, body.status);
  const query = new URLSearchParams(body.text).toString();
  if (query.length > MAX_QUERY_LENGTH) return await respondRefusalPage(TOO_LONG);
  return respondRedirect(`${base}authorize?${query}`, "POST");
}

/** Answers the sign-in form. */
export async function postSignIn(deps: TokenServiceDeps, request: Request): Promise<Response> {
  const { service, base } = deps;
  const body = await readBody(request, { acceptJson: false });
  if (body.kind === "unreadable") return await respondRefusalPage(TOO_LONG, body.status);
  const form = body.parameters;
  const query = form.get("request") ?? "";
  const parameters = readQuery(query);
  if (parameters === null || form.repeated.size > 0) return await respondRefusalPage(TOO_LONG);
  const cookie = readCookie(request, FORM_COOKIE);
  const isOurs = cookie !== null && isOwnSite(request) &&
    await verifyFormToken(form.get("token"), { form: "sign_in", cookie, request: query });
  if (!isOurs) return await respondExpiredFormPage(`${base}authorize?${query}`);

  const email = form.get("email") ?? "";
  const attempt = { email, password: form.get("password") ?? "", clientAddress: deps.clientAddress(request) };
  const signedIn = await service.signIn(attempt);
  if (signedIn.kind !== "signed_in") {
    const outcome = await service.authorize({ parameters, session: null, isFresh: false });
    const notice: SignInNotice = signedIn.kind === "wait" ? { kind: "wait", seconds: signedIn.seconds } : signedIn;
    return await respondOutcome(outcome, { request, base, query, notice, email });
  }
  // A new handle at every sign-in: whatever the browser held before is worth nothing afterwards.
  const former = readCookie(request, SESSION_COOKIE);
  if (former !== null) await service.sessions.end(former);
  const { handle, session } = await service.sessions.create(signedIn.sub);
  const outcome = await service.authorize({ parameters, session, isFresh: true });
  return withCookie(await respondOutcome(outcome, { request, base, query }), writeCookie(SESSION_COOKIE, handle));
}

/** A browser that says where a form was sent from has to say: from us. The form's token is what counts; this comes free. */
function isOwnSite(request: Request): boolean {
  return ["same-origin", "none"].includes(request.headers.get("sec-fetch-site") ?? "none");
}

interface Situation {
  readonly request: Request;
  readonly base: string;
  readonly query: string;
  readonly notice?: SignInNotice;
  readonly email?: string;
}

async function respondOutcome(outcome: AuthorizeOutcome, situation: Situation): Promise<Response> {
  switch (outcome.kind) {
    case "redirect":
      return respondRedirect(outcome.location, situation.request.method);
    case "sign_in":
      return await respondSignIn(outcome.request, situation);
    case "consent":
      return await respondConsentPage(outcome.request.client.name);
    case "refused":
      return await respondRefusalPage(outcome);
  }
}

async function respondSignIn(asked: AuthorizationRequest, situation: Situation): Promise<Response> {
  const { request, base, query, notice, email } = situation;
  // One secret a browser, not a page: two tabs can sign in at the same time.
  const present = readCookie(request, FORM_COOKIE);
  const cookie = present ?? drawToken(systemRandom);
  const response = await respondSignInPage({
    action: `${base}login`,
    clientName: asked.client.name,
    redirectUri: asked.redirectUri,
    email: email ?? asked.loginHint ?? "",
    request: query,
    token: await createFormToken({ form: "sign_in", cookie, request: query }),
    ...(notice !== undefined && { notice }),
  });
  return present === null ? withCookie(response, writeCookie(FORM_COOKIE, cookie)) : response;
}
