/**
 * Reading an authorization request: who asks, where the answer goes, and what is asked.
 *
 * The order matters. As long as client and redirect URI are not both known good, the person is told and nobody is
 * redirected; afterwards every fault goes to the client, with `state` and `iss`.
 *
 * @module
 */

import { readJsonObject } from "../encoding.ts";
import { isChallenge } from "../pkce.ts";
import { decideAudience } from "./audience.ts";
import type { Client } from "./client.ts";
import { type OAuthErrorCode, type OAuthRefusal, refuse } from "./errors.ts";
import type { RequestParameters } from "./parameters.ts";
import { decideUserScopes } from "./scope.ts";

/** Where an answer goes. */
export interface AnswerTarget {
  /** The client that asked. */
  readonly client: Client;
  /** Where it wants the answer: one of its registered addresses. */
  readonly redirectUri: string;
  /** What it wants to have back; `null` if nothing. */
  readonly state: string | null;
}

/** A request that can be answered with a code once the person agrees. */
export interface AuthorizationRequest extends AnswerTarget {
  /** What is asked for. */
  readonly scopes: readonly string[];
  /** The API that the tokens are for. */
  readonly audience: string | null;
  /** The `S256` challenge. */
  readonly challenge: string;
  /** What the ID token has to repeat. */
  readonly nonce: string | null;
  /** What the person has to be asked in any case. */
  readonly prompt: ReadonlySet<Prompt>;
  /** How long ago the password may have been checked, in seconds; `null` for any time. */
  readonly maxAge: number | null;
  /** The address that the person probably signs in with. */
  readonly loginHint: string | null;
  /** An ID token that says who is expected. */
  readonly idTokenHint: string | null;
}

/** What a client may insist on ([OpenID Connect Core, section 3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest)). */
export type Prompt = "none" | "login" | "consent" | "select_account" | "create";

/** What reading leads to. */
export type AuthorizationReading =
  | { readonly kind: "request"; readonly request: AuthorizationRequest }
  /** Client or redirect URI cannot be trusted: tell the person. */
  | OAuthRefusal
  /** Anything else is wrong: tell the client. */
  | { readonly kind: "refused_to_client"; readonly target: AnswerTarget; readonly refusal: OAuthRefusal };

const PROMPTS: ReadonlySet<string> = new Set<Prompt>(["none", "login", "consent", "select_account", "create"]);

/** Parameters whose presence asks for something that is not offered. */
const UNSUPPORTED: readonly (readonly [string, OAuthErrorCode])[] = [
  ["request", "request_not_supported"],
  ["request_uri", "request_uri_not_supported"],
  ["registration", "registration_not_supported"],
];

/**
 * Reads an authorization request.
 *
 * @param parameters Its parameters.
 * @param client The client that `client_id` names; `null` if there is none.
 * @param options What stands in for a request without scope.
 * @returns The request, or who has to be told what is wrong.
 */
export function readAuthorizationRequest(
  parameters: RequestParameters,
  client: Client | null,
  options: { readonly defaultScopes: readonly string[] },
): AuthorizationReading {
  const redirectUri = parameters.get("redirect_uri");
  if (parameters.repeated.has("client_id") || parameters.repeated.has("redirect_uri")) {
    return refuse("invalid_request", "A parameter occurs more than once");
  }
  if (client === null || client.isDisabled) return refuse("invalid_request", "Unknown client");
  // Simple string comparison (RFC 9700, section 4.1.3): no parsing, hence nothing to confuse a parser with.
  if (redirectUri === null || !client.redirectUris.includes(redirectUri)) {
    return refuse("invalid_request", "The redirect_uri is missing or not registered for this client");
  }
  const target: AnswerTarget = { client, redirectUri, state: parameters.get("state") };
  const rest = readRest(parameters, client, options);
  return rest.kind === "refused"
    ? { kind: "refused_to_client", target, refusal: rest }
    : { kind: "request", request: { ...target, ...rest.asked } };
}

type Rest =
  | { readonly kind: "asked"; readonly asked: Omit<AuthorizationRequest, keyof AnswerTarget> }
  | OAuthRefusal;

function readRest(
  parameters: RequestParameters,
  client: Client,
  options: { readonly defaultScopes: readonly string[] },
): Rest {
  // RFC 8707 lets `resource` occur more than once; decideAudience says what comes of it.
  if ([...parameters.repeated].some((name) => name !== "resource")) {
    return refuse("invalid_request", "A parameter occurs more than once");
  }
  const unsupported = UNSUPPORTED.find(([name]) => parameters.get(name) !== null);
  if (unsupported !== undefined) return refuse(unsupported[1], "Send the parameters one by one");

  const responseType = parameters.get("response_type");
  if (responseType === null) return refuse("invalid_request", "Missing response_type");
  if (responseType !== "code") return refuse("unsupported_response_type", "Only code is supported");
  if ((parameters.get("response_mode") ?? "query") !== "query") {
    return refuse("invalid_request", "Only the response_mode query is supported");
  }
  if (!client.grantTypes.includes("authorization_code")) {
    return refuse("unauthorized_client", "The client may not ask for codes");
  }

  const scopes = decideUserScopes(parameters.get("scope"), client.scopes, options);
  if (scopes === null) return refuse("invalid_scope", "The scope is malformed or beyond what the client may ask for");

  const challenge = parameters.get("code_challenge");
  if (challenge === null) return refuse("invalid_request", "Missing code_challenge");
  if (parameters.get("code_challenge_method") !== "S256") {
    return refuse("invalid_request", "The code_challenge_method has to be S256");
  }
  if (!isChallenge(challenge)) return refuse("invalid_request", "The code_challenge is not 32 bytes as base64url");

  const audience = decideAudience(parameters, client);
  if (audience.kind === "refused") return audience;

  const prompt = readPrompt(parameters.get("prompt"));
  if (prompt === null) return refuse("invalid_request", "The prompt is unknown, or none together with others");
  const maxAge = parameters.get("max_age");
  if (maxAge !== null && !/^\d{1,9}$/.test(maxAge)) return refuse("invalid_request", "The max_age is not a number");
  const claims = parameters.get("claims");
  if (claims !== null && readJsonObject(claims) === null) return refuse("invalid_request", "The claims are not JSON");

  return {
    kind: "asked",
    asked: {
      scopes,
      audience: audience.audience,
      challenge,
      nonce: parameters.get("nonce"),
      prompt,
      maxAge: maxAge === null ? null : Number(maxAge),
      loginHint: parameters.get("login_hint"),
      idTokenHint: parameters.get("id_token_hint"),
    },
  };
}

function readPrompt(text: string | null): ReadonlySet<Prompt> | null {
  const prompts = new Set((text ?? "").split(" ").filter((prompt) => prompt !== ""));
  if (!prompts.isSubsetOf(PROMPTS)) return null;
  return prompts.has("none") && prompts.size > 1 ? null : prompts as ReadonlySet<Prompt>;
}

/**
 * The address that carries an answer to the client. The registered address stays as it is, its query included.
 *
 * @param target Where the answer goes.
 * @param issuer Who answers: a client of several servers must be able to tell ([RFC 9207](https://www.rfc-editor.org/rfc/rfc9207)).
 * @param answer The members of the answer.
 */
export function createAnswerUrl(
  { redirectUri, state }: AnswerTarget,
  issuer: string,
  answer: Readonly<Record<string, string>>,
): string {
  const query = new URLSearchParams({ ...answer, ...(state !== null && { state }), iss: issuer });
  return `${redirectUri}${redirectUri.includes("?") ? "&" : "?"}${query}`;
}
