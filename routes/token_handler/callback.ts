/**
 * `GET|POST /auth/:vendorId/callback`: the token service's answer, redeemed and turned into a session (contract, 2.2).
 *
 * @module
 */

import { hashOf, type JsonObject } from "../../lib/encoding.ts";
import { verifyIdToken } from "../../lib/jwt/mod.ts";
import { sendCodeExchange, type ServerMetadata, type TokenSet } from "../../lib/oauth/mod.ts";
import { readBytes, sendForJson } from "../../lib/outbound.ts";
import {
  type CallbackOutcome,
  decideCallback,
  readAuthorizationResponse,
  RESPONSE_NAMES,
} from "../../lib/token_handler/callback.ts";
import { expiryOf } from "../../lib/token_handler/tokens.ts";
import {
  readTransaction,
  type Transaction,
  TRANSACTION_SECONDS,
  transactionNameOf,
} from "../../lib/token_handler/transaction.ts";
import { mergeClaims, pickClaims } from "../../lib/token_handler/userinfo.ts";
import { readReturnTarget } from "../../lib/vendor/mod.ts";
import type { AppDeps } from "../deps.ts";
import { clearCookies, setSessionCookies } from "../shared/cookies.ts";
import { describeDevice } from "../shared/device.ts";
import { respondRedirect } from "../shared/respond.ts";
import { addressOf, recognise, respondVisitProblem, type Visit } from "../shared/visit.ts";
import { findMetadata, isPrefetch } from "./login.ts";

/** Longest form body of `response_mode=form_post`. */
const MAX_FORM_BYTES = 16_384;

/** How a userinfo endpoint says that an access token is not meant for it (RFC 6750, section 3.1). */
const USERINFO_REFUSALS = [400, 401, 403, 404];

/** Finishes a sign-in. */
export async function handleCallback(deps: AppDeps, visit: Visit): Promise<Response> {
  const { edge } = visit;
  if (isPrefetch(edge.request)) return await respondVisitProblem(visit, "prefetch_refused");
  if (edge.method === "POST") return await repeatAsGet(visit);

  const response = readAuthorizationResponse(new URLSearchParams(edge.search));
  if (response === null) return await respondExpired(deps, visit, "response");
  const transaction = await openTransaction(deps, visit, response.state);
  if (transaction === null) return await respondExpired(deps, visit, "transaction", response.state);
  const metadata = await findMetadata(deps, visit);
  if (metadata instanceof Response) return metadata;

  const outcome = decideCallback({
    response,
    transaction,
    vendor: visit.vendor,
    redirectUri: addressOf(visit, "callback"),
    issuerAnnounced: metadata.responseIssSupported,
    now: deps.now(),
  });
  if (outcome.kind === "refused") return await respondExpired(deps, visit, outcome.reason, response.state);
  const usedUntil = transaction.createdAt + TRANSACTION_SECONDS;
  const isFirst = await deps.once.consume("state", await hashOf(transaction.state), usedUntil);
  if (!isFirst) return await respondExpired(deps, visit, "used", response.state);
  const answer = outcome.kind === "failed"
    ? await respondFailed(visit, outcome)
    : await redeem(deps, visit, { begunAt: deps.now(), code: outcome.code, transaction, metadata });
  clearCookies(answer.headers, [visit.jar.transaction(transactionNameOf(transaction.state))]);
  return answer;
}

/**
 * A form post from another site comes without our Lax cookie; the navigation that a redirect makes of it brings the cookie.
 */
async function repeatAsGet(visit: Visit): Promise<Response> {
  const type = visit.edge.request.headers.get("content-type") ?? "";
  if (!/^application\/x-www-form-urlencoded(?:;|$)/i.test(type)) {
    return await respondVisitProblem(visit, "content_type_refused");
  }
  const body = await readBytes(visit.edge.request, MAX_FORM_BYTES);
  if (body === null) return await respondVisitProblem(visit, "body_too_large");
  const form = new URLSearchParams(new TextDecoder().decode(body));
  if (readAuthorizationResponse(form) === null) return await respondVisitProblem(visit, "login_expired");
  // Whatever else was posted, such as tokens, has no business in an address.
  for (const name of new Set(form.keys())) if (!RESPONSE_NAMES.includes(name)) form.delete(name);
  const answer = respondRedirect(`${addressOf(visit, "callback")}?${form}`);
  return new Response(null, { status: 303, headers: answer.headers });
}

async function openTransaction(deps: AppDeps, visit: Visit, state: string): Promise<Transaction | null> {
  const sealed = visit.cookies.value(visit.jar.transaction(transactionNameOf(state)).name);
  const content = sealed === null ? null : await deps.keys.open(visit.vendor.id, "tx", sealed);
  return content === null ? null : readTransaction(content);
}

/** An answer that belongs to no sign-in of this browser: whoever is signed in goes home, the others begin again. */
async function respondExpired(deps: AppDeps, visit: Visit, reason: string, state?: string): Promise<Response> {
  const { edge, vendor, jar, cookies } = visit;
  deps.log({ level: "info", event: "callback_refused", reason, vendor: vendor.id, requestId: edge.requestId });
  const recognition = await recognise(deps, visit, { touch: false });
  const isSignedIn = recognition.kind === "alive" || recognition.kind === "alone";
  const answer = isSignedIn
    ? respondRedirect(`${visit.ownOrigin}/`)
    : await respondVisitProblem(visit, "login_expired");
  const name = state === undefined ? null : transactionNameOf(state);
  if (name !== null && cookies.transactions.includes(name)) clearCookies(answer.headers, [jar.transaction(name)]);
  return answer;
}

/** The target was allowed when the sign-in began; `null` if settings have changed since. */
function returnTargetOf(visit: Visit, transaction: Transaction): string | null {
  const { ownOrigin, vendor: { allowedOrigins } } = visit;
  return readReturnTarget(transaction.returnTo, { ownOrigin, allowedOrigins });
}

async function respondFailed(
  visit: Visit,
  outcome: Extract<CallbackOutcome, { kind: "failed" }>,
): Promise<Response> {
  const { transaction, error, errorDescription } = outcome;
  const target = returnTargetOf(visit, transaction);
  if (target === null) return await respondVisitProblem(visit, "login_failed");
  const added = new URLSearchParams({
    error,
    ...(errorDescription === null ? {} : { error_description: errorDescription }),
  });
  const [address, fragment] = target.split(/(#.*)/s, 2);
  return respondRedirect(`${address}${address!.includes("?") ? "&" : "?"}${added}${fragment ?? ""}`);
}

interface Redemption {
  /** When the callback arrived. */
  readonly begunAt: number;
  readonly code: string;
  readonly transaction: Transaction;
  readonly metadata: ServerMetadata;
}

async function redeem(deps: AppDeps, visit: Visit, redemption: Redemption): Promise<Response> {
  const { code, transaction, metadata } = redemption;
  const { vendor, edge } = visit;
  const outcome = await sendCodeExchange(metadata, {
    code,
    redirectUri: transaction.redirectUri,
    codeVerifier: transaction.codeVerifier,
  }, { fetch: deps.fetch, authentication: vendor.authenticateClient });
  const log = { event: "code_exchange", vendor: vendor.id, requestId: edge.requestId } as const;
  switch (outcome.kind) {
    case "refused":
      deps.log({ level: "warn", reason: outcome.error, ...log });
      return await respondVisitProblem(visit, "login_refused");
    case "misconfigured":
      deps.log({ level: "error", reason: outcome.error, ...log });
      return await respondVisitProblem(visit, "token_service_error");
    case "invalid_response":
      deps.log({ level: "error", reason: outcome.fault, ...log });
      return await respondVisitProblem(visit, "token_service_error");
    case "unavailable": {
      deps.log({ level: "warn", reason: "unavailable", ...log });
      const headers = { "retry-after": `${outcome.retryAfterSeconds ?? 5}` };
      return await respondVisitProblem(visit, "token_service_unreachable", { headers });
    }
    case "issued":
      return await signIn(deps, visit, { ...redemption, tokens: outcome.tokens });
  }
}

async function signIn(
  deps: AppDeps,
  visit: Visit,
  signed: Redemption & { readonly tokens: TokenSet },
): Promise<Response> {
  const { transaction, tokens } = signed;
  const { vendor, edge, jar } = visit;
  const identity = await identify(deps, visit, signed);
  if (identity.kind !== "identified") {
    const level = identity.kind === "unavailable" ? "warn" : "error";
    deps.log({ level, event: "id_token", reason: identity.reason, vendor: vendor.id, requestId: edge.requestId });
    return identity.kind === "unavailable"
      ? await respondVisitProblem(visit, "token_service_unreachable", { headers: { "retry-after": "5" } })
      : await respondVisitProblem(visit, "id_token_refused");
  }
  const { accessToken, expiresIn, refreshToken, idToken, scope } = tokens;
  const cookies = await deps.sessions.start(vendor, {
    tokens: { accessToken, expiresAt: expiryOf(expiresIn, deps.now()), refreshToken },
    claims: identity.claims,
    idToken,
    scope: scope ?? transaction.scope,
    audience: transaction.audience,
    appState: transaction.appState,
    device: describeDevice(edge.request.headers.get("user-agent")),
    begunAt: signed.begunAt,
  });
  if (cookies === null) {
    return await respondVisitProblem(visit, "session_ended", { members: { reason: "back_channel" } });
  }
  await endFormerSession(deps, visit, String(identity.claims.sub));
  const response = respondRedirect(returnTargetOf(visit, transaction) ?? `${visit.ownOrigin}/`);
  setSessionCookies(response.headers, jar, cookies);
  if (refreshToken === null && vendor.scopes.includes("offline_access")) {
    // Many providers give one only after consent: then the session ends with its first access token.
    deps.log({ level: "warn", event: "refresh_token_missing", vendor: vendor.id, requestId: edge.requestId });
  }
  deps.log({ level: "info", event: "signed_in", vendor: vendor.id, requestId: edge.requestId });
  return response;
}

/**
 * The session that this browser had before is replaced. A young one of the same user stays: it belongs to another tab that
 * signed in at the same time, whose calls may still be under way.
 */
async function endFormerSession(deps: AppDeps, visit: Visit, subject: string): Promise<void> {
  const former = await recognise(deps, visit, { touch: false });
  if (former.kind !== "alive" && former.kind !== "alone") return;
  const { record } = former.session;
  if (record.subject === subject && record.createdAt + TRANSACTION_SECONDS > deps.now()) return;
  await deps.sessions.end(visit.vendor.id, record.id, "user");
}

type Identity =
  | { readonly kind: "identified"; readonly claims: JsonObject }
  | { readonly kind: "refused" | "unavailable"; readonly reason: string };

async function identify(
  deps: AppDeps,
  visit: Visit,
  { transaction, metadata, tokens }: Redemption & { readonly tokens: TokenSet },
): Promise<Identity> {
  if (tokens.idToken === null) return { kind: "refused", reason: "missing" };
  const verdict = await verifyIdToken(tokens.idToken, {
    keySets: deps.keySets,
    jwksUri: metadata.jwksUri,
    issuer: visit.vendor.issuer,
    clientId: visit.vendor.clientId,
    nonce: transaction.nonce,
    accessToken: tokens.accessToken,
    now: deps.now,
  });
  if (verdict.kind === "refused") return verdict;
  if (verdict.kind === "unavailable") return { kind: "unavailable", reason: "keys" };
  const { vendor } = visit;
  const { accessToken } = tokens;
  return await completeClaims(deps, { vendor, metadata, accessToken, claims: verdict.claims });
}

/**
 * Adds what only the userinfo endpoint tells. One that refuses the access token tells nothing, which is no reason to turn
 * the user away; one that gives no usable answer is, or the session would lack its claims until its end.
 */
async function completeClaims(
  deps: AppDeps,
  known: { vendor: Visit["vendor"]; metadata: ServerMetadata; accessToken: string; claims: JsonObject },
): Promise<Identity> {
  const { vendor, metadata: { userinfoEndpoint }, accessToken, claims } = known;
  const isTold = Object.keys(pickClaims(claims, vendor.claims)).some((name) => name !== "sub");
  if (isTold || userinfoEndpoint === null) return { kind: "identified", claims: mergeClaims(claims, null) };
  const answer = await sendForJson(deps.fetch, {
    url: userinfoEndpoint,
    init: { headers: { authorization: `Bearer ${accessToken}`, accept: "application/json" } },
  }, { timeoutMs: 5000, maxBytes: 65_536 });
  if (answer.kind === "answered" && USERINFO_REFUSALS.includes(answer.status)) {
    deps.log({ level: "warn", event: "userinfo_refused", vendor: vendor.id });
    return { kind: "identified", claims: mergeClaims(claims, null) };
  }
  const userinfo = answer.kind === "answered" && answer.status === 200 ? answer.json : null;
  if (userinfo === null) return { kind: "unavailable", reason: "userinfo" };
  // Of another user: ID token and access token do not belong together (OpenID Connect Core 1.0, section 5.3.4).
  if (userinfo.sub !== claims.sub) return { kind: "refused", reason: "userinfo_subject" };
  return { kind: "identified", claims: mergeClaims(claims, userinfo) };
}
