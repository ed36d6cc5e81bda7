/**
 * `GET /auth/:vendorId/login`: to the token service's authorization endpoint (contract, section 2.1).
 *
 * @module
 */

import { authorizationUrl, type MetadataDirectory, type ServerMetadata } from "../../lib/oauth/mod.ts";
import { beginLogin, readLoginRequest } from "../../lib/token_handler/login.ts";
import { MAX_COOKIE_VALUE } from "../../lib/token_handler/sessions.ts";
import { transactionNameOf, writeTransaction } from "../../lib/token_handler/transaction.ts";
import type { AppDeps } from "../deps.ts";
import { setTransactionCookie } from "../shared/cookies.ts";
import { respondRedirect } from "../shared/respond.ts";
import { addressOf, respondVisitProblem, type Visit } from "../shared/visit.ts";

/** Tells whether a browser only guesses that somebody might open the address. */
export function isPrefetch(request: Request): boolean {
  const purpose = request.headers.get("sec-purpose") ?? request.headers.get("purpose") ?? "";
  return purpose.includes("prefetch") || purpose.includes("preview");
}

/** Begins a sign-in. */
export async function handleLogin(deps: AppDeps, visit: Visit): Promise<Response> {
  const { edge, vendor, ownOrigin, jar, cookies } = visit;
  if (edge.method === "HEAD" || isPrefetch(edge.request)) {
    return new Response(null, { status: 204, headers: { "cache-control": "no-store" } });
  }
  const reading = readLoginRequest(new URLSearchParams(edge.search), { vendor, ownOrigin });
  if (reading.kind === "refused") return await respondVisitProblem(visit, reading.code, { action: startAgain(visit) });
  const metadata = await findMetadata(deps, visit);
  if (metadata instanceof Response) return metadata;

  const redirectUri = addressOf(visit, "callback");
  const { transaction, authorization } = await beginLogin(reading.request, {
    vendor,
    redirectUri,
    now: deps.now(),
    random: deps.random,
  });
  const sealed = await deps.keys.seal(vendor.id, "tx", writeTransaction(transaction));
  if (sealed.length > MAX_COOKIE_VALUE) return await respondVisitProblem(visit, "parameter_refused");
  const response = respondRedirect(authorizationUrl(metadata, authorization));
  const name = transactionNameOf(transaction.state);
  setTransactionCookie(response.headers, jar, { name, sealed, present: cookies.transactions });
  deps.log({ level: "info", event: "login_started", vendor: vendor.id, requestId: edge.requestId });
  return response;
}

function startAgain(visit: Visit): { readonly label: string; readonly href: string } {
  return { label: "Sign in", href: addressOf(visit, "login") };
}

/** What the vendor's token service says about itself, or the answer where it says nothing useful. */
export async function findMetadata(
  deps: { readonly metadata: MetadataDirectory; readonly log: AppDeps["log"] },
  visit: Visit,
): Promise<ServerMetadata | Response> {
  const found = await deps.metadata.find(visit.vendor.issuer);
  if (found.kind === "found") return found.metadata;
  const log = { vendor: visit.vendor.id, requestId: visit.edge.requestId, host: new URL(visit.vendor.issuer).host };
  if (found.kind === "unavailable") {
    deps.log({ level: "warn", event: "metadata_unavailable", ...log });
    return await respondVisitProblem(visit, "token_service_unreachable", { headers: { "retry-after": "5" } });
  }
  deps.log({ level: "error", event: "metadata_refused", reason: found.reason, ...log });
  return await respondVisitProblem(visit, "token_service_error");
}
