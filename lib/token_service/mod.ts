/**
 * An OAuth 2.1 and OpenID Connect server: sign-in, authorization codes with PKCE, rotating refresh tokens, client
 * credentials, discovery and keys.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createMemoryRecords } from "@cloakroom/token-handler/store";
 * import { createTokenService } from "@cloakroom/token-handler/token-service";
 *
 * const service = createTokenService({ issuer: "https://id.example/", records: createMemoryRecords() });
 * await service.clients.create({
 *   clientId: "reader",
 *   name: "The Daily Reader",
 *   redirectUris: ["https://www.example/auth/acme/callback"],
 *   grantTypes: ["authorization_code", "refresh_token"],
 *   scopes: ["openid", "profile", "email"],
 *   firstParty: true,
 * });
 * assertEquals(service.metadata().token_endpoint, "https://id.example/oauth/token");
 * ```
 *
 * This is the part without HTTP: it decides and remembers. `routes/token_service` puts it on the web.
 *
 * @module
 */

import { type Clock, systemClock } from "../clock.ts";
import type { JsonObject } from "../encoding.ts";
import { type Logger, silentLogger } from "../log.ts";
import { type Random, systemRandom } from "../random.ts";
import type { Records } from "../store/records.ts";
import { createAttemptLimiter } from "./attempts.ts";
import { authorize, type AuthorizeCall, type AuthorizeOutcome } from "./authorize.ts";
import { type ClientRegistry, createClientRegistry } from "./client.ts";
import type { ClientCall } from "./client_authentication.ts";
import type { Context, Lifetimes } from "./context.ts";
import type { TokenOutcome } from "./grants/grant_handler.ts";
import { issueAccessToken } from "./issue.ts";
import { decideAuth0Logout, decideOidcLogout, type LogoutOutcome } from "./logout.ts";
import { createMetadata } from "./metadata.ts";
import type { RequestParameters } from "./parameters.ts";
import { DEFAULT_PASSWORD_ROUNDS } from "./password.ts";
import { type RevocationOutcome, revokeToken } from "./revocation.ts";
import { type BrowserSession, type BrowserSessionStore, createBrowserSessionStore } from "./session.ts";
import { signIn, type SignInAttempt, type SignInOutcome } from "./sign_in.ts";
import { createSigningKeys, type SigningKeys } from "./signing_keys.ts";
import { createTokenEndpoint } from "./token_endpoint.ts";
import { createTokenStore } from "./token_store.ts";
import { createUserStore, type UserDirectory } from "./user.ts";
import { readUserinfo, type UserinfoOutcome } from "./userinfo.ts";

export type { Clock } from "../clock.ts";
export type { JsonObject } from "../encoding.ts";
export type { LogEvent, Logger } from "../log.ts";
export type { Random } from "../random.ts";
export type { Secret } from "../secret.ts";
export type { Commit, ListOptions, RecordKey, Records, Stored } from "../store/records.ts";
export type { AnswerTarget, AuthorizationRequest, Prompt } from "./authorization_request.ts";
export type { AuthorizeCall, AuthorizeOutcome } from "./authorize.ts";
export type { Client, ClientChanges, ClientRegistration, ClientRegistry, CreatedClient, GrantType } from "./client.ts";
export type { ClientCall } from "./client_authentication.ts";
export type { Lifetimes } from "./context.ts";
export type { OAuthErrorCode, OAuthRefusal } from "./errors.ts";
export type { TokenOutcome } from "./grants/grant_handler.ts";
export type { TokenResponse } from "./issue.ts";
export type { LogoutOutcome } from "./logout.ts";
export { createParameters, readFormParameters, readJsonParameters, type RequestParameters } from "./parameters.ts";
export {
  createPasswordHash,
  DEFAULT_PASSWORD_ROUNDS,
  isPasswordHash,
  type PasswordHashOptions,
  verifyPassword,
} from "./password.ts";
export type { RevocationOutcome } from "./revocation.ts";
export type { BrowserSession, BrowserSessionStore } from "./session.ts";
export type { SignInAttempt, SignInOutcome } from "./sign_in.ts";
export {
  createSigningKeys,
  type KeyWrap,
  type PublicJwk,
  type SigningAlg,
  type SigningKey,
  type SigningKeys,
  type SigningKeysOptions,
} from "./signing_keys.ts";
export type { User, UserDirectory, UserRegistration } from "./user.ts";
export type { UserinfoOutcome } from "./userinfo.ts";

/** How the service is set up. */
export interface TokenServiceOptions {
  /** The issuer, exactly as tokens name it; Auth0's software wants a slash at its end. */
  readonly issuer: string;
  /** Where everything is kept. */
  readonly records: Records;
  /** Keys that sign; in memory, and so new with each start, unless given. */
  readonly signingKeys?: SigningKeys;
  /** Lifetimes that differ from the usual ones. */
  readonly lifetimes?: Partial<Lifetimes>;
  /** Scopes of authorization requests that name none, as far as the client has them; none unless given. */
  readonly defaultScopes?: readonly string[];
  /** Rounds of new password hashes; 600,000 unless given. */
  readonly passwordRounds?: number;
  /** The clock. */
  readonly now?: Clock;
  /** The random source. */
  readonly random?: Random;
  /** The log. */
  readonly log?: Logger;
}

/** Lifetimes unless told otherwise, in seconds. */
export const DEFAULT_LIFETIMES: Lifetimes = {
  code: 60,
  accessToken: 3600,
  idToken: 3600,
  refreshTokenIdle: 30 * 86_400,
  refreshTokenAbsolute: 90 * 86_400,
  refreshReplay: 60,
  session: 7 * 86_400,
};

/** An access token made without anybody asking over HTTP: for tests and tools. */
export interface AccessTokenRequest {
  /** The client it is for. */
  readonly clientId: string;
  /** Whom it stands for; the client itself unless given. */
  readonly sub?: string;
  /** What it allows; nothing unless given. */
  readonly scopes?: readonly string[];
  /** The API it is for; opaque unless given. */
  readonly audience?: string;
  /** Seconds until it ends. */
  readonly lifeSeconds?: number;
}

/** The token service, without HTTP. */
export interface TokenService {
  /** The issuer. */
  readonly issuer: string;
  /** Clients. */
  readonly clients: ClientRegistry;
  /** Users. */
  readonly users: UserDirectory;
  /** Browser sessions. */
  readonly sessions: BrowserSessionStore;
  /** The discovery document. */
  metadata(): JsonObject;
  /** The key set. */
  jwks(): Promise<JsonObject>;
  /** Makes the signing keys, so that nobody has to wait for them later. */
  warm(): Promise<void>;
  /** Answers an authorization request. */
  authorize(call: AuthorizeCall): Promise<AuthorizeOutcome>;
  /** Checks a password. */
  signIn(attempt: SignInAttempt): Promise<SignInOutcome>;
  /** Answers a token request. */
  token(call: ClientCall): Promise<TokenOutcome>;
  /** Says who an access token stands for. */
  userinfo(accessToken: string): Promise<UserinfoOutcome>;
  /** Answers a revocation request. */
  revoke(call: ClientCall): Promise<RevocationOutcome>;
  /** Decides about Auth0's logout. */
  auth0Logout(parameters: RequestParameters): Promise<LogoutOutcome>;
  /** Decides about OpenID Connect's logout. */
  oidcLogout(parameters: RequestParameters, session: BrowserSession | null): Promise<LogoutOutcome>;
  /** Makes an access token out of hand. */
  issueAccessToken(request: AccessTokenRequest): Promise<string>;
  /** Ends everything a user has: browser sessions, grants, and the codes and tokens under them. */
  revokeAllForUser(sub: string): Promise<void>;
}

/**
 * Creates a token service.
 *
 * @param options How it is set up.
 * @returns The service. Nothing has been read, written or made yet.
 * @throws {TypeError} If the issuer cannot be one.
 */
export function createTokenService(options: TokenServiceOptions): TokenService {
  const { issuer, records, now = systemClock, random = systemRandom, log = silentLogger } = options;
  const { passwordRounds = DEFAULT_PASSWORD_ROUNDS, defaultScopes = [] } = options;
  const lifetimes: Lifetimes = { ...DEFAULT_LIFETIMES, ...options.lifetimes };
  checkIssuer(issuer);

  const context: Context = {
    issuer,
    clients: createClientRegistry({ records, random, now }),
    users: createUserStore({ records, random, now, passwordRounds }),
    sessions: createBrowserSessionStore({ records, random, now, lifeSeconds: lifetimes.session }),
    tokens: createTokenStore(records),
    attempts: createAttemptLimiter({ records, now }),
    signingKeys: options.signingKeys ?? createSigningKeys({ now }),
    lifetimes,
    defaultScopes,
    passwordRounds,
    now,
    random,
    log,
  };
  const { clients, users, sessions, tokens, signingKeys } = context;
  const metadata = createMetadata(issuer);

  return {
    issuer,
    clients,
    users,
    sessions,
    metadata: () => metadata,
    jwks: async () => ({ keys: await signingKeys.jwks() }),

    async warm(): Promise<void> {
      await signingKeys.jwks();
    },

    authorize: (call) => authorize(context, call),
    signIn: (attempt) => signIn(context, attempt),
    token: createTokenEndpoint(context),
    userinfo: (accessToken) => readUserinfo(context, accessToken),
    revoke: (call) => revokeToken(context, call),
    auth0Logout: (parameters) => decideAuth0Logout(context, parameters),
    oidcLogout: (parameters, session) => decideOidcLogout(context, parameters, session),

    async issueAccessToken(request: AccessTokenRequest): Promise<string> {
      const { clientId, sub = clientId, scopes = [], audience = null, lifeSeconds = lifetimes.accessToken } = request;
      const client = await clients.find(clientId);
      if (client === null) throw new TypeError(`Cannot issue access token: no client ${JSON.stringify(clientId)}`);
      const issued = await issueAccessToken(context, { client, grantId: null, sub, scopes, audience, lifeSeconds });
      await tokens.saveAccessToken(issued);
      return issued.token;
    },

    async revokeAllForUser(sub: string): Promise<void> {
      await Promise.all([tokens.revokeGrantsOf(sub), sessions.endAll(sub)]);
    },
  };
}

function checkIssuer(issuer: string): void {
  const url = URL.parse(issuer);
  const isHttp = url?.protocol === "https:" || url?.protocol === "http:";
  if (!isHttp || /[?#]/.test(issuer) || url.username !== "") {
    throw new TypeError(`Cannot create token service: expected an http(s) address without query as issuer`);
  }
}
