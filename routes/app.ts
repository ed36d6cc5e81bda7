/**
 * The application: every route in reading order, and the single place where failures become answers.
 *
 * ```text
 * request ─▶ edge guard ─▶ own routes (Hono) ─▶ or the proxy
 * ```
 *
 * @module
 */

import { Hono } from "@hono/hono";
import { isVendorId } from "../lib/vendor/mod.ts";
import type { AppDeps } from "./deps.ts";
import { type Edge, readEdge } from "./edge.ts";
import { respondAlive, respondReadiness } from "./health.ts";
import { handleKey, handleKeys } from "./management/keys.ts";
import { handleTokenHandlerSettings } from "./management/token_handler.ts";
import { findVendor, handleProxy } from "./proxy.ts";
import { respondFailure } from "./shared/failure.ts";
import { respondProblem } from "./shared/respond.ts";
import { openVisit, respondPreflight, respondVisitProblem, type Visit, withCors } from "./shared/visit.ts";
import { handleBackchannelLogout, handleFrontchannelLogout } from "./token_handler/backchannel_logout.ts";
import { handleCallback } from "./token_handler/callback.ts";
import { handleLogin } from "./token_handler/login.ts";
import { handleLogout } from "./token_handler/logout.ts";
import { handleRefresh } from "./token_handler/refresh.ts";
import { handleSession, handleSessions } from "./token_handler/sessions.ts";
import { handleUserinfo } from "./token_handler/userinfo.ts";

/** An application: answers requests. */
export interface App {
  /** Answers a request; `clientAddress` is the peer's. Never rejects. */
  fetch(request: Request, clientAddress?: string): Promise<Response>;
}

type Env = { Bindings: { readonly edge: Edge } };
type Handler = (deps: AppDeps, visit: Visit) => Promise<Response>;

/** Paths that are ours: they never reach an upstream, whatever its prefix. */
const OWN_PATH_REGEXP = /^\/(?:auth|management)(?:\/|$)|^\/(?:healthz|readyz)$/;

/** The endpoints of the token handler: which methods they take and who answers. */
const ENDPOINTS: Readonly<Record<string, { readonly methods: readonly string[]; readonly handler: Handler }>> = {
  login: { methods: ["GET", "HEAD"], handler: handleLogin },
  callback: { methods: ["GET", "POST"], handler: handleCallback },
  userinfo: { methods: ["GET", "HEAD"], handler: handleUserinfo },
  refresh: { methods: ["POST"], handler: handleRefresh },
  logout: { methods: ["GET", "POST"], handler: handleLogout },
  sessions: { methods: ["GET", "DELETE"], handler: handleSessions },
  "backchannel-logout": { methods: ["POST"], handler: handleBackchannelLogout },
  "frontchannel-logout": { methods: ["GET"], handler: handleFrontchannelLogout },
};

/** Endpoints that also exist without a vendor in the path, because the documents of the field name them so. */
const VENDORLESS_ENDPOINTS = ["userinfo", "refresh", "logout", "sessions"];

/**
 * Creates the application.
 *
 * @param deps Everything it needs.
 * @returns The application.
 */
export function createApp(deps: AppDeps): App {
  const own = new Hono<Env>({ getPath: (_request, options) => routePath(options!.env!.edge.path) });

  own.get("/healthz", respondAlive);
  own.get("/readyz", () => respondReadiness(deps.isReady));
  for (const [name, endpoint] of Object.entries(ENDPOINTS)) {
    if (VENDORLESS_ENDPOINTS.includes(name)) {
      own.all(
        `/auth/${name}`,
        (c) => answer(deps, c.env.edge, { ...endpoint, find: () => findVendor(deps, c.env.edge) }),
      );
    }
    own.all(`/auth/:vendorId/${name}`, (c) => {
      const { edge } = c.env;
      return answer(deps, edge, { ...endpoint, find: () => findNamedVendor(deps, edge, c.req.param("vendorId")) });
    });
  }
  own.all("/auth/:vendorId/sessions/:sessionId", (c) => {
    const { edge } = c.env;
    const { vendorId, sessionId } = c.req.param();
    return answer(deps, edge, {
      methods: ["DELETE"],
      handler: (deps, visit) => handleSession(deps, visit, sessionId),
      find: () => findNamedVendor(deps, edge, vendorId),
    });
  });
  for (const base of ["/management", "/management/v1"]) {
    const settings = `${base}/vendors/:vendorId/token-handler` as const;
    own.all(settings, (c) => {
      const { edge } = c.env;
      return onlyFor(edge, ["GET", "HEAD", "PUT", "DELETE"], () => {
        return handleTokenHandlerSettings(deps, edge, c.req.param("vendorId"));
      });
    });
    own.all(`${settings}/keys`, (c) => {
      const { edge } = c.env;
      return onlyFor(edge, ["GET", "HEAD", "POST"], () => handleKeys(deps, edge, c.req.param("vendorId")));
    });
    own.all(`${settings}/keys/:keyId`, (c) => {
      const { edge } = c.env;
      return onlyFor(edge, ["DELETE"], () => handleKey(deps, edge, c.req.param()));
    });
  }
  own.notFound((c) => respondProblem(c.env.edge.request, "not_found", { requestId: c.env.edge.requestId }));
  own.onError((error) => {
    throw error;
  });

  async function route(edge: Edge): Promise<Response> {
    if (OWN_PATH_REGEXP.test(edge.path)) return await own.fetch(edge.request, { edge });
    const page = edge.method === "GET" ? deps.demoPages?.get(edge.path) : undefined;
    return await (page?.() ?? handleProxy(deps, edge));
  }

  return {
    async fetch(request: Request, clientAddress = ""): Promise<Response> {
      const { trustedProxies, random } = deps;
      const outcome = readEdge(request, { clientAddress, trustedProxies, random });
      const { requestId } = outcome.kind === "passed" ? outcome.edge : outcome;
      try {
        if (outcome.kind === "refused") return await respondProblem(request, outcome.code, { requestId });
        return await route(outcome.edge);
      } catch (error) {
        return await respondFailure(deps, { request, requestId }, error);
      }
    },
  };
}

/** `/auth/auth/…` arises where a prefix is mapped to `/auth` and pages ask below it: it means `/auth/…`. */
function routePath(path: string): string {
  return path.startsWith("/auth/auth/") ? path.slice("/auth".length) : path;
}

async function findNamedVendor(deps: AppDeps, edge: Edge, vendorId: string): Promise<Visit | null> {
  const vendor = isVendorId(vendorId) ? await deps.vendors.find(vendorId) : null;
  return vendor === null ? null : await openVisit(deps, edge, vendor);
}

/** Answers only the methods that a path takes. Hono would hand `HEAD` to whoever takes `GET`. */
async function onlyFor(edge: Edge, methods: readonly string[], handle: () => Promise<Response>): Promise<Response> {
  if (methods.includes(edge.method)) return await handle();
  const headers = { allow: methods.join(", ") };
  return await respondProblem(edge.request, "method_refused", { requestId: edge.requestId, headers });
}

/** Opens the visit and answers it, with CORS headers on whatever comes out. */
async function answer(
  deps: AppDeps,
  edge: Edge,
  endpoint: {
    readonly methods: readonly string[];
    readonly handler: Handler;
    readonly find: () => Promise<Visit | null>;
  },
): Promise<Response> {
  const visit = await endpoint.find();
  if (visit === null) return await respondProblem(edge.request, "vendor_unknown", { requestId: edge.requestId });
  if (edge.method === "OPTIONS") return respondPreflight(visit);
  if (endpoint.methods.includes(edge.method)) {
    const answered = endpoint.handler(deps, visit).catch((error) => respondFailure(deps, edge, error));
    return withCors(visit, await answered);
  }
  const headers = { allow: endpoint.methods.join(", ") };
  return withCors(visit, await respondVisitProblem(visit, "method_refused", { headers }));
}
