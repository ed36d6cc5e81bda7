/**
 * An identity provider for tests: real keys, and as strict as the standards allow. It enforces redirect URI, PKCE, client
 * authentication, single use and rotation, so that a token handler which gets something wrong does not get its tokens.
 *
 * A test makes it misbehave by changing what an endpoint answers ({@linkcode MockIdp.change}) or how ID tokens are made
 * ({@linkcode MockIdp.makeIdToken}).
 *
 * @module
 */

import type { Clock } from "../../lib/clock.ts";
import { digestOf, encodeBase64Url, hashOf, type JsonObject } from "../../lib/encoding.ts";
import type { Handler } from "./loopback.ts";
import { type RsaKey, rsaKey, signJwt } from "./signing_key.ts";

/** A client of the provider. */
export interface MockClient {
  readonly id: string;
  /** `null` for a public client. */
  readonly secret: string | null;
  readonly redirectUris: readonly string[];
}

/** The endpoints whose calls are counted and whose answers can be changed. */
export type MockEndpoint = "discovery" | "jwks" | "authorize" | "token" | "userinfo" | "revoke" | "logout";

/** Turns the JSON of a good answer into what is sent instead. */
export type Change = (good: JsonObject, request: Request) => Response | Promise<Response>;

/** How a provider is set up. */
export interface MockIdpOptions {
  readonly clients: readonly MockClient[];
  readonly now: Clock;
  /** With a slash at the end; `https://idp.test/` by default. */
  readonly issuer?: string;
  /** Name of its signing key. */
  readonly kid?: string;
}

/** A provider. */
export interface MockIdp {
  readonly issuer: string;
  readonly key: RsaKey;
  /** Answers its endpoints. */
  readonly handle: Handler;
  /** How often each endpoint was called. */
  readonly calls: Record<MockEndpoint, number>;
  /** Changed answers; delete an entry to heal the endpoint. */
  readonly change: { [endpoint in MockEndpoint]?: Change };
  /** Makes the ID token of the next answers. */
  makeIdToken(claims: JsonObject): Promise<string>;
  /** Whoever signs in next, where the browser has no cookie `user`. */
  user: string;
  /** Audience of access tokens. */
  audience: string;
  /** Life of access tokens in seconds. */
  accessTokenSeconds: number;
  /** More claims of access tokens, which make them longer. */
  accessTokenClaims: JsonObject;
  /** Whether PKCE is enforced. */
  requiresPkce: boolean;
  /** Users whose refresh tokens may come again, as in a replay window: they get the same answer again. */
  readonly replaying: Set<string>;
  /** Users whose refresh tokens stay good when they are used. */
  readonly unrotated: Set<string>;
  /** Public keys that are published besides its own. */
  readonly otherKeys: JsonObject[];
  /** Every secret value that it has given out. */
  readonly issued: { readonly codes: string[]; readonly accessTokens: string[]; readonly refreshTokens: string[] };
  /** The session (`sid`) that each user last signed in with. */
  readonly sessions: Map<string, string>;
}

interface Grant {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly challenge: string | null;
  readonly nonce: string | null;
  readonly scope: string;
  readonly user: string;
  readonly family: string;
  isUsed: boolean;
}

/** Makes a provider. */
export async function createMockIdp(options: MockIdpOptions): Promise<MockIdp> {
  const { clients, now, issuer = "https://idp.test/", kid = "idp-1" } = options;
  const key = await rsaKey(kid);
  const codes = new Map<string, Grant>();
  const refreshTokens = new Map<string, Grant>();
  const answers = new Map<Grant, JsonObject>();
  const revokedFamilies = new Set<string>();
  const issued = { codes: [] as string[], accessTokens: [] as string[], refreshTokens: [] as string[] };

  const idp: MockIdp = {
    issuer,
    key,
    handle,
    calls: { discovery: 0, jwks: 0, authorize: 0, token: 0, userinfo: 0, revoke: 0, logout: 0 },
    change: {},
    makeIdToken: (claims) => signJwt(key, {}, claims),
    user: "alice",
    audience: "https://upstream.test/",
    accessTokenSeconds: 3600,
    accessTokenClaims: {},
    requiresPkce: true,
    replaying: new Set(),
    unrotated: new Set(),
    otherKeys: [],
    issued,
    sessions: new Map(),
  };

  const endpoints: Record<string, readonly [MockEndpoint, (request: Request) => Response | Promise<Response>]> = {
    "/.well-known/openid-configuration": ["discovery", () => Response.json(discoveryDocument(issuer))],
    "/jwks": ["jwks", () => Response.json({ keys: [key.publicJwk, ...idp.otherKeys] })],
    "/authorize": ["authorize", (request) => authorize(new URL(request.url).searchParams, request)],
    "/token": ["token", token],
    "/userinfo": ["userinfo", userinfo],
    "/revoke": ["revoke", revoke],
    "/logout": ["logout", logout],
  };

  async function handle(request: Request): Promise<Response> {
    const [name, answer] = endpoints[new URL(request.url).pathname] ?? [];
    if (name === undefined || answer === undefined) return new Response("Not found", { status: 404 });
    idp.calls[name]++;
    const good = await answer(request);
    const change = idp.change[name];
    return change !== undefined && good.status === 200 ? await change(await good.json(), request) : good;
  }

  function authorize(search: URLSearchParams, request: Request): Response {
    const client = clients.find(({ id }) => id === search.get("client_id"));
    const redirectUri = search.get("redirect_uri") ?? "";
    if (client === undefined || !client.redirectUris.includes(redirectUri)) {
      return new Response("Unknown client or redirect URI", { status: 400 });
    }
    const answer: Record<string, string> = { state: search.get("state") ?? "", iss: issuer };
    const isAllowed = search.get("response_type") === "code" && search.get("code_challenge_method") === "S256";
    if (isAllowed) {
      answer.code = draw(issued.codes);
      codes.set(answer.code, {
        clientId: client.id,
        redirectUri,
        challenge: search.get("code_challenge"),
        nonce: search.get("nonce"),
        scope: search.get("scope") ?? "",
        user: /(?:^|; )user=([^;]+)/.exec(request.headers.get("cookie") ?? "")?.[1] ?? idp.user,
        family: crypto.randomUUID(),
        isUsed: false,
      });
    } else answer.error = "invalid_request";
    const location = new URL(redirectUri);
    for (const [name, value] of Object.entries(answer)) location.searchParams.set(name, value);
    return new Response(null, { status: 302, headers: { location: location.href } });
  }

  async function token(request: Request): Promise<Response> {
    const form = new URLSearchParams(await request.text());
    const client = authenticate(request, form);
    if (client === undefined) return refuse("invalid_client", 401);
    const type = form.get("grant_type");
    if (type !== "authorization_code" && type !== "refresh_token") return refuse("unsupported_grant_type");
    const grant = type === "authorization_code"
      ? codes.get(form.get("code") ?? "")
      : refreshTokens.get(form.get("refresh_token") ?? "");
    if (grant === undefined || grant.clientId !== client.id || revokedFamilies.has(grant.family)) {
      return refuse("invalid_grant");
    }
    if (grant.isUsed) {
      if (type === "refresh_token" && idp.replaying.has(grant.user)) return Response.json(answers.get(grant));
      revokedFamilies.add(grant.family);
      return refuse("invalid_grant");
    }
    if (type === "authorization_code" && !await isRedeemable(grant, form)) return refuse("invalid_grant");
    grant.isUsed = type === "authorization_code" || !idp.unrotated.has(grant.user);
    const tokens = await issueTokens(grant, { nonce: type === "authorization_code" ? grant.nonce : null });
    answers.set(grant, tokens);
    return Response.json(tokens);
  }

  function authenticate(request: Request, form: URLSearchParams): MockClient | undefined {
    const basic = /^Basic (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
    const [id, secret] = basic === undefined
      ? [form.get("client_id"), form.get("client_secret")]
      : atob(basic).split(":").map(decodeURIComponent);
    return clients.find((client) => client.id === id && client.secret === (secret ?? null));
  }

  async function isRedeemable(grant: Grant, form: URLSearchParams): Promise<boolean> {
    if (grant.redirectUri !== form.get("redirect_uri")) return false;
    return !idp.requiresPkce || grant.challenge === await hashOf(form.get("code_verifier") ?? "");
  }

  async function issueTokens(grant: Grant, { nonce }: { readonly nonce: string | null }): Promise<JsonObject> {
    const { clientId, scope, user, family } = grant;
    const times = { iat: now(), exp: now() + idp.accessTokenSeconds };
    const accessToken = await signJwt(key, { typ: "at+jwt" }, {
      iss: issuer,
      sub: user,
      aud: idp.audience,
      client_id: clientId,
      jti: crypto.randomUUID(),
      scope,
      ...times,
      ...idp.accessTokenClaims,
    });
    issued.accessTokens.push(accessToken);
    idp.sessions.set(user, family);
    const refreshToken = draw(issued.refreshTokens);
    refreshTokens.set(refreshToken, { ...grant, isUsed: false });
    const idToken = await idp.makeIdToken({
      iss: issuer,
      aud: clientId,
      iat: now(),
      exp: now() + 600,
      ...(nonce === null ? {} : { nonce }),
      auth_time: now(),
      at_hash: encodeBase64Url((await digestOf(accessToken)).subarray(0, 16)),
      sid: family,
      ...claimsOf(user),
    });
    return {
      access_token: accessToken,
      token_type: "Bearer",
      expires_in: idp.accessTokenSeconds,
      refresh_token: refreshToken,
      id_token: idToken,
      scope,
    };
  }

  function userinfo(request: Request): Response {
    const bearer = request.headers.get("authorization")?.replace(/^Bearer /, "") ?? "";
    if (!issued.accessTokens.includes(bearer)) return new Response(null, { status: 401 });
    const { sub } = JSON.parse(atob(bearer.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/")));
    return Response.json(claimsOf(sub));
  }

  async function revoke(request: Request): Promise<Response> {
    const form = new URLSearchParams(await request.text());
    if (authenticate(request, form) === undefined) return refuse("invalid_client", 401);
    const grant = refreshTokens.get(form.get("token") ?? "");
    if (grant !== undefined) revokedFamilies.add(grant.family);
    return new Response(null, { status: 200 });
  }

  function logout(request: Request): Response {
    const location = new URL(request.url).searchParams.get("post_logout_redirect_uri");
    return location === null ? new Response("Signed out") : new Response(null, { status: 302, headers: { location } });
  }

  return idp;
}

function discoveryDocument(issuer: string): JsonObject {
  return {
    issuer,
    authorization_endpoint: `${issuer}authorize`,
    token_endpoint: `${issuer}token`,
    jwks_uri: `${issuer}jwks`,
    userinfo_endpoint: `${issuer}userinfo`,
    revocation_endpoint: `${issuer}revoke`,
    end_session_endpoint: `${issuer}logout`,
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
    code_challenge_methods_supported: ["S256"],
    token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
    authorization_response_iss_parameter_supported: true,
  };
}

/** What the provider knows about a user. */
export function claimsOf(user: string): JsonObject {
  return {
    sub: user,
    name: `${user[0]!.toUpperCase()}${user.slice(1)}`,
    email: `${user}@acme.test`,
    email_verified: true,
  };
}

function refuse(error: string, status = 400): Response {
  return Response.json({ error }, { status, headers: { "cache-control": "no-store" } });
}

/** Draws a secret text and writes it down. */
function draw(list: string[]): string {
  const text = encodeBase64Url(crypto.getRandomValues(new Uint8Array(24)));
  list.push(text);
  return text;
}
