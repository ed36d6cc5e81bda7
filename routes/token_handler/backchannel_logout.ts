/**
 * `POST /auth/:vendorId/backchannel-logout` and `GET /auth/:vendorId/frontchannel-logout`: the token service ends sessions
 * (contract, section 2.6).
 *
 * @module
 */

import { hashOf, readUtf8 } from "../../lib/encoding.ts";
import { verifyLogoutToken } from "../../lib/jwt/mod.ts";
import { readBytes } from "../../lib/outbound.ts";
import { readParameters } from "../../lib/token_handler/parameters.ts";
import type { AppDeps } from "../deps.ts";
import { clearSessionCookies } from "../shared/cookies.ts";
import { respondJson } from "../shared/respond.ts";
import type { Visit } from "../shared/visit.ts";

/** Longest `sid`, as for claims. */
const MAX_SID_LENGTH = 255;

/** Largest body: a logout token is small. */
const MAX_BODY_BYTES = 32_768;

/** Ends what a logout token names. The address that was called decides whose keys count, never the token. */
export async function handleBackchannelLogout(deps: AppDeps, visit: Visit): Promise<Response> {
  const { vendor, edge } = visit;
  const token = await readLogoutToken(edge.request);
  if (token === null) return respondRefused();
  const found = await deps.metadata.find(vendor.issuer);
  if (found.kind !== "found") return respondUnavailable();
  const { keySets, now } = deps;
  const { jwksUri, issuer } = found.metadata;
  const verdict = await verifyLogoutToken(token, { keySets, jwksUri, issuer, clientId: vendor.clientId, now });
  if (verdict.kind === "unavailable") return respondUnavailable();
  const log = { event: "backchannel_logout", vendor: vendor.id, requestId: edge.requestId };
  if (verdict.kind === "refused") {
    deps.log({ level: "warn", reason: verdict.reason, ...log });
    return respondRefused();
  }
  const { jti, sid, sub, exp } = verdict.claims;
  const digest = await hashOf(`${vendor.id} ${jti}`);
  if (await deps.once.isConsumed("logout_token", digest)) {
    deps.log({ level: "warn", reason: "replayed", ...log });
    return respondRefused();
  }
  const named = typeof sid === "string" ? { by: "sid", value: sid } as const : { by: "sub", value: sub } as const;
  const count = await deps.sessions.endNamed(vendor.id, named, "back_channel", { isProven: true });
  // Marked only now: where ending failed half-way, the token service shall try again with the same token.
  await deps.once.consume("logout_token", digest, exp + 600);
  deps.log({ level: "info", count, ...log });
  return new Response(null, { status: 200, headers: { "cache-control": "no-store" } });
}

async function readLogoutToken(request: Request): Promise<string | null> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/x-www-form-urlencoded(?:;|$)/i.test(type)) return null;
  const body = await readBytes(request, MAX_BODY_BYTES);
  const tokens = new URLSearchParams((body && readUtf8(body)) ?? "").getAll("logout_token");
  return tokens.length === 1 ? tokens[0]! : null;
}

/** OAuth's error form, as the token service expects it (Back-Channel Logout 1.0, section 2.8). */
function respondRefused(): Response {
  return respondJson({ error: "invalid_request" }, { status: 400 });
}

/** Not 200: the token service shall try again. */
function respondUnavailable(): Response {
  return respondJson({ error: "temporarily_unavailable" }, { status: 503, headers: { "retry-after": "5" } });
}

/**
 * Ends the sessions that began from one session of the token service. It is loaded in a frame of the token service, mostly
 * without cookies, so the session id that only the token service and we know is what counts
 * ([OpenID Connect Front-Channel Logout 1.0](https://openid.net/specs/openid-connect-frontchannel-1_0.html)).
 */
export async function handleFrontchannelLogout(deps: AppDeps, visit: Visit): Promise<Response> {
  const { vendor, edge, jar } = visit;
  const parameters = readParameters(new URLSearchParams(edge.search), ["iss", "sid"]);
  const sid = parameters?.get("sid");
  const isReadable = sid !== undefined && sid !== "" && sid.length <= MAX_SID_LENGTH;
  if (parameters?.get("iss") !== vendor.issuer || !isReadable) return respondRefused();
  const count = await deps.sessions.endNamed(vendor.id, { by: "sid", value: sid }, "back_channel", { isProven: false });
  deps.log({ level: "info", event: "frontchannel_logout", vendor: vendor.id, requestId: edge.requestId, count });
  const response = new Response("<!DOCTYPE html><title>Signed out</title>", {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "content-security-policy": `default-src 'none'; frame-ancestors ${new URL(vendor.issuer).origin}`,
      "x-content-type-options": "nosniff",
    },
  });
  if (count > 0) clearSessionCookies(response.headers, jar);
  return response;
}
