/**
 * The authorization endpoint, without HTTP: facts in, outcome out.
 *
 * There is no state between the first request and the sign-in form: the form carries the request, which is read again. So
 * there is no link that one person could begin and another finish.
 *
 * @module
 */

import { hashOf } from "../encoding.ts";
import { drawToken } from "../random.ts";
import {
  type AnswerTarget,
  type AuthorizationRequest,
  createAnswerUrl,
  readAuthorizationRequest,
} from "./authorization_request.ts";
import type { Context } from "./context.ts";
import { type OAuthRefusal, refuse } from "./errors.ts";
import { type HintedUser, readIdTokenHint } from "./id_token_hint.ts";
import type { RequestParameters } from "./parameters.ts";
import type { BrowserSession } from "./session.ts";
import type { CodeRecord, GrantRecord } from "./token_store.ts";

/** A request as it came. */
export interface AuthorizeCall {
  /** Its parameters. */
  readonly parameters: RequestParameters;
  /** Who is signed in in this browser; `null` if nobody. */
  readonly session: BrowserSession | null;
  /** Whether that person signed in for this very request, so that nothing is asked again. */
  readonly isFresh: boolean;
}

/** What an authorization request leads to. */
export type AuthorizeOutcome =
  /** Send the browser to the client, with a code or an error. */
  | { readonly kind: "redirect"; readonly location: string }
  /** Ask the person to sign in. */
  | { readonly kind: "sign_in"; readonly request: AuthorizationRequest }
  /** Ask the person for consent. */
  | { readonly kind: "consent"; readonly request: AuthorizationRequest }
  /** Tell the person. */
  | OAuthRefusal;

/** Answers an authorization request. */
export async function authorize(
  context: Context,
  { parameters, session, isFresh }: AuthorizeCall,
): Promise<AuthorizeOutcome> {
  const { clients, users, issuer, now, defaultScopes } = context;
  const client = await clients.find(parameters.get("client_id") ?? "");
  const reading = readAuthorizationRequest(parameters, client, { defaultScopes });
  if (reading.kind === "refused") return reading;
  const person = session !== null && await users.find(session.sub) !== null ? session : null;
  if (reading.kind === "refused_to_client") return refuseCautiously(reading.target, reading.refusal);

  const { request } = reading;
  const hint = request.idTokenHint === null ? null : await readIdTokenHint(context, request.idTokenHint);
  if (hint === null && request.idTokenHint !== null) {
    return refuseCautiously(request, refuse("invalid_request", "The id_token_hint is not an ID token of this issuer"));
  }
  const decision = decideAuthorization(request, { session: person, hint, isFresh, now: now() });
  switch (decision.kind) {
    case "refused":
      return refuseToClient(request, decision);
    case "issue":
      return { kind: "redirect", location: await issueCode(context, request, decision.session) };
    default:
      return { ...decision, request };
  }

  function refuseToClient(target: AnswerTarget, { error, description }: OAuthRefusal): AuthorizeOutcome {
    return { kind: "redirect", location: createAnswerUrl(target, issuer, { error, error_description: description }) };
  }

  /**
   * A client that nobody vouches for could use a faulty request to make us send strangers to its site. So the person has to
   * be signed in before a fault is delivered there ([RFC 9700, section 4.11.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.11.2)).
   */
  function refuseCautiously(target: AnswerTarget, refusal: OAuthRefusal): AuthorizeOutcome {
    return target.client.firstParty || person !== null ? refuseToClient(target, refusal) : refusal;
  }
}

/** What is known besides the request. */
export interface AuthorizationFacts {
  /** Who is signed in; `null` if nobody. */
  readonly session: BrowserSession | null;
  /** Who is expected; `null` if the request does not say. */
  readonly hint: HintedUser | null;
  /** Whether that person signed in for this very request. */
  readonly isFresh: boolean;
  /** The present time. */
  readonly now: number;
}

/** What the facts lead to. */
export type AuthorizationDecision =
  | { readonly kind: "issue"; readonly session: BrowserSession }
  | { readonly kind: "sign_in" }
  | { readonly kind: "consent" }
  | OAuthRefusal;

/** Decides whether a code can be issued, or what has to happen before. */
export function decideAuthorization(
  { client, prompt, maxAge }: AuthorizationRequest,
  { session, hint, isFresh, now }: AuthorizationFacts,
): AuthorizationDecision {
  const isSilent = prompt.has("none");
  const isExpected = session !== null && (hint === null || hint.sub === session.sub);
  const isRecent = session !== null && (maxAge === null || now - session.authTime <= maxAge);
  const isAsked = !isFresh && (prompt.has("login") || prompt.has("select_account") || prompt.has("create"));
  if (session === null || !isExpected || !isRecent || isAsked) {
    // Somebody else than expected has just signed in: asking once more would go on for ever.
    return isSilent || isFresh ? refuse("login_required", "The person has to sign in") : { kind: "sign_in" };
  }
  if (client.firstParty) return { kind: "issue", session };
  return isSilent ? refuse("consent_required", "The person has to agree") : { kind: "consent" };
}

/** Issues a code and answers the address that carries it to the client. */
async function issueCode(context: Context, request: AuthorizationRequest, session: BrowserSession): Promise<string> {
  const { tokens, issuer, lifetimes, now, random } = context;
  const code = drawToken(random);
  const grant: GrantRecord = {
    id: drawToken(random, 16),
    clientId: request.client.clientId,
    sub: session.sub,
    scopes: request.scopes,
    audience: request.audience,
    sid: session.sid,
    authTime: session.authTime,
    createdAt: now(),
    expiresAt: now() + lifetimes.refreshTokenAbsolute,
  };
  const record: CodeRecord = {
    grantId: grant.id,
    clientId: grant.clientId,
    redirectUri: request.redirectUri,
    challenge: request.challenge,
    nonce: request.nonce,
    expiresAt: now() + lifetimes.code,
    isUsed: false,
  };
  await tokens.saveApproval(grant, { hash: await hashOf(code), record });
  return createAnswerUrl(request, issuer, { code });
}
