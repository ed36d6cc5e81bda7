/**
 * Somebody else's token service: npm `oidc-provider`, certified for OpenID Connect, on a port of loopback. It has real
 * discovery, insists on PKCE, rotates refresh tokens at every use, and asks people with pages of its own.
 *
 * @module
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import Provider from "oidc-provider";
import { encodeBase64Url } from "../../lib/encoding.ts";
import { rsaKey } from "./signing_key.ts";

/** Life of access tokens in seconds. */
export const ACCESS_TOKEN_SECONDS = 90;

/** A client of the provider. */
export interface ForeignClient {
  readonly id: string;
  /** `null` for a public client. */
  readonly secret: string | null;
  readonly method: "client_secret_basic" | "client_secret_post" | "none";
  /** The API that its access tokens are JWTs for; without one they are opaque and good for userinfo. */
  readonly resource: string | null;
}

/** A running provider. */
export interface ForeignProvider {
  /** Without a slash at the end. */
  readonly issuer: string;
  /** Names of the events that it reported, such as `grant.revoked`. */
  readonly events: readonly string[];
  /** Stops it. */
  close(): Promise<void>;
}

/** What the provider has to know of the application. */
export interface ForeignProviderOptions {
  readonly client: ForeignClient;
  /** Its callback address. */
  readonly redirectUri: string;
  /** Where browsers go after signing out. */
  readonly postLogoutRedirectUri: string;
}

/** Starts a provider. Whoever signs in is known by the name that they type in. */
export async function startForeignProvider(options: ForeignProviderOptions): Promise<ForeignProvider> {
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  const provider = new Provider(issuer, await configure(options));
  const callback = provider.callback();
  const events: string[] = [];
  for (const name of ["grant.revoked", "grant.success", "grant.error", "end_session.success", "server_error"]) {
    provider.on(name, () => void events.push(name));
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!request.url?.startsWith("/interaction/")) return await callback(request, response);
    const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
    if (request.method === "GET") {
      response.setHeader("content-type", "text/html");
      response.end(pageFor(prompt.name, params.client_id));
      return;
    }
    const result = prompt.name === "login"
      ? { login: { accountId: new URLSearchParams(await readText(request)).get("login") } }
      : { consent: { grantId: await approve({ prompt, params, session, grantId }) } };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
  }

  // deno-lint-ignore no-explicit-any -- the package has no types
  async function approve({ prompt: { details }, params, session, grantId }: any): Promise<string> {
    const grant = await provider.Grant.find(grantId) ??
      new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(details.missingOIDCScope?.join(" ") ?? "");
    grant.addOIDCClaims(details.missingOIDCClaims ?? []);
    return await grant.save();
  }

  return {
    issuer,
    events,
    async close(): Promise<void> {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function configure({ client, redirectUri, postLogoutRedirectUri }: ForeignProviderOptions) {
  const { kid, privateJwk: { key_ops: _, ext: __, ...jwk } } = await rsaKey("foreign-1");
  return {
    clients: [{
      client_id: client.id,
      ...(client.secret === null ? {} : { client_secret: client.secret }),
      token_endpoint_auth_method: client.method,
      grant_types: ["authorization_code", "refresh_token"],
      redirect_uris: [redirectUri],
      post_logout_redirect_uris: [postLogoutRedirectUri],
    }],
    jwks: { keys: [{ ...jwk, kid, use: "sig" }] },
    cookies: { keys: [encodeBase64Url(crypto.getRandomValues(new Uint8Array(32)))] },
    claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"] },
    findAccount: (_: unknown, sub: string) => ({
      accountId: sub,
      claims: () => ({ sub, name: `Name of ${sub}`, email: `${sub}@foreign.example`, email_verified: true }),
    }),
    interactions: { url: (_: unknown, { uid }: { readonly uid: string }) => `/interaction/${uid}` },
    pkce: { required: () => true },
    rotateRefreshToken: () => true,
    ttl: {
      AccessToken: ACCESS_TOKEN_SECONDS,
      Grant: 3600,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: 3600,
      Session: 3600,
    },
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => client.resource ?? undefined,
        useGrantedResource: () => true,
        getResourceServerInfo: (_: unknown, audience: string) => ({
          scope: "",
          audience,
          accessTokenFormat: "jwt",
          accessTokenTTL: ACCESS_TOKEN_SECONDS,
          jwt: { sign: { alg: "RS256" } },
        }),
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource(context: { body: string }, form: string): void {
          context.body = `<!DOCTYPE html><link rel="icon" href="data:,"><title>Sign out</title>${form}
            <button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>`;
        },
      },
    },
  };
}

function pageFor(prompt: string, clientId: string): string {
  const field = prompt === "login" ? `<label>Login <input name="login" autofocus></label>` : "";
  const label = prompt === "login" ? "Sign in" : "Allow";
  return `<!DOCTYPE html><link rel="icon" href="data:,"><title>${prompt}</title><h1>${prompt} for ${clientId}</h1>
    <form method="post">${field}<button type="submit">${label}</button></form>`;
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}
