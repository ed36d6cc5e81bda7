/**
 * The token service on the web. It stands at the root of a host of its own, or under the path of its issuer.
 *
 * @module
 */

import { Hono } from "@hono/hono";
import { type Logger, silentLogger } from "../../lib/log.ts";
import { StoreUnavailableError } from "../../lib/store/records.ts";
import { refuse } from "../../lib/token_service/errors.ts";
import type { TokenService } from "../../lib/token_service/mod.ts";
import { getAuthorize, postAuthorize, postSignIn } from "./authorize.ts";
import type { TokenServiceDeps } from "./deps.ts";
import { getAuth0Logout, getOidcLogout, postOidcLogout, postSignOut } from "./logout.ts";
import { getKeys, getMetadata } from "./metadata.ts";
import { respondMethodNotAllowed, respondRefusal, respondRefusalPage } from "./respond.ts";
import { postRevoke, postToken } from "./token.ts";
import { anyUserinfo } from "./userinfo.ts";

/** What the web needs on top of the service. */
export interface TokenServiceAppOptions {
  /** The peer's address, which limits on guessing are counted by. */
  readonly clientAddress: (request: Request) => string;
  /** The log. */
  readonly log?: Logger;
}

/** Something that answers requests. */
export interface TokenServiceApp {
  /** Answers a request; addresses that are none of ours get 404. */
  fetch(request: Request): Promise<Response>;
}

type Handler = (deps: TokenServiceDeps, request: Request) => Response | Promise<Response>;

/** Each address below the issuer, its methods, and who answers. */
const ROUTES: readonly (readonly [string, Readonly<Record<string, Handler>>])[] = [
  ["authorize", { GET: getAuthorize, POST: postAuthorize }],
  ["oauth/authorize", { GET: getAuthorize, POST: postAuthorize }],
  ["login", { POST: postSignIn }],
  ["oauth/token", { POST: postToken }],
  ["oauth/revoke", { POST: postRevoke }],
  ["userinfo", { GET: anyUserinfo, POST: anyUserinfo }],
  ["oauth/userinfo", { GET: anyUserinfo, POST: anyUserinfo }],
  ["v2/logout", { GET: getAuth0Logout }],
  ["oidc/logout", { GET: getOidcLogout, POST: postOidcLogout }],
  ["logout", { POST: postSignOut }],
  [".well-known/openid-configuration", { GET: getMetadata }],
  [".well-known/oauth-authorization-server", { GET: getMetadata }],
  [".well-known/jwks.json", { GET: getKeys }],
  ["jwks", { GET: getKeys }],
];

/**
 * Puts a token service on the web.
 *
 * @param service What decides and remembers.
 * @param options What the web needs on top.
 * @returns Something that answers requests.
 */
export function createTokenServiceApp(service: TokenService, options: TokenServiceAppOptions): TokenServiceApp {
  const { clientAddress, log = silentLogger } = options;
  const path = new URL(service.issuer).pathname.replace(/\/$/, "");
  const deps: TokenServiceDeps = { service, base: `${path}/`, clientAddress };
  const app = new Hono();
  for (const [address, handlers] of ROUTES) mount(`${path}/${address}`, handlers);
  if (path !== "") {
    // RFC 8414 puts the issuer's path behind the well-known segment; some clients look there for both documents.
    mount(`/.well-known/oauth-authorization-server${path}`, { GET: getMetadata });
    mount(`/.well-known/openid-configuration${path}`, { GET: getMetadata });
  }
  app.notFound(() => respondRefusal(refuse("invalid_request", "There is nothing here"), { status: 404 }));
  app.onError((error, c) => respondFailure(error, c.req.raw));
  return { fetch: async (request) => await app.fetch(request) };

  function mount(address: string, handlers: Readonly<Record<string, Handler>>): void {
    for (const [method, handler] of Object.entries(handlers)) app.on(method, address, (c) => handler(deps, c.req.raw));
    app.all(address, () => respondMethodNotAllowed(Object.keys(handlers).join(", ")));
  }

  /** Our own faults and those of the store. A person gets a page, a client JSON; neither gets a stack. */
  async function respondFailure(error: unknown, request: Request): Promise<Response> {
    const isStore = error instanceof StoreUnavailableError;
    log({ level: "error", event: "token_service_failed", reason: isStore ? error.code : "unexpected" });
    const refusal = isStore
      ? refuse("temporarily_unavailable", "The service cannot reach its store, try again in a moment")
      : refuse("server_error", "The service failed to answer");
    const isPerson = request.headers.get("accept")?.includes("text/html") ?? false;
    const response = isPerson ? await respondRefusalPage(refusal) : respondRefusal(refusal);
    if (isStore) response.headers.set("retry-after", "5");
    return response;
  }
}
