/**
 * `GET|POST …/logout`: the session ends here at once, and at the token service as far as it lets us (contract, 2.6).
 *
 * @module
 */

import { equalsConstantTime } from "../../lib/encoding.ts";
import { drawToken } from "../../lib/random.ts";
import { readReturnParameter } from "../../lib/token_handler/login.ts";
import { logoutAddress, mayLogout } from "../../lib/token_handler/logout.ts";
import type { LiveSession } from "../../lib/token_handler/sessions.ts";
import type { AppDeps } from "../deps.ts";
import { clearCookies, clearSessionCookies, setLogoutCookie } from "../shared/cookies.ts";
import { respondJson, respondRedirect } from "../shared/respond.ts";
import { addressOf, judgeOrigin, recognise, respondVisitProblem, type Visit } from "../shared/visit.ts";

/** Seconds for which the address in a fetch's answer works. */
const CONTINUE_SECONDS = 300;

/** Longest sealed address: what the edge lets through. */
const MAX_CONTINUE_LENGTH = 16_000;

/** Longest ID token in an address. Without the hint, the token service may ask its user whether to sign out. */
const MAX_HINT_LENGTH = 4096;

/** Signs out. A navigation goes on to the token service; a fetch is told where to go. */
export async function handleLogout(deps: AppDeps, visit: Visit): Promise<Response> {
  const { edge: { method, search, request }, vendor, ownOrigin, jar, cookies } = visit;
  const parameters = new URLSearchParams(search);
  const isNavigated = method === "GET";
  const onward = parameters.get("continue");
  if (isNavigated && onward !== null) return await continueLogout(deps, visit, onward);

  const reading = readReturnParameter(parameters, { vendor, ownOrigin });
  if (reading.kind === "refused") return await respondVisitProblem(visit, reading.code);
  const recognition = await recognise(deps, visit, { touch: false });
  // `at` alone, which a sibling host can take or plant, ends nothing.
  const session = recognition.kind === "alive" ? recognition.session : null;
  if (isNavigated) {
    const own = session?.record.id ?? null;
    const fetchSite = request.headers.get("sec-fetch-site");
    if (!mayLogout({ own, asked: parameters.get("sid"), fetchSite })) {
      const query = new URLSearchParams({ returnTo: reading.returnTo, ...(own === null ? {} : { sid: own }) });
      const href = `${addressOf(visit, "logout")}?${query}`;
      return await respondVisitProblem(visit, "origin_refused", { action: { label: "Sign out", href } });
    }
  } else {
    const refusal = judgeOrigin(visit);
    if (refusal !== null) return await respondVisitProblem(visit, refusal);
  }

  const target = await endSession(deps, visit, { session, returnTo: reading.returnTo });
  const response = isNavigated ? respondRedirect(target) : await respondOnward(deps, visit, target);
  clearSessionCookies(response.headers, jar);
  clearCookies(response.headers, cookies.transactions.map(jar.transaction));
  return response;
}

/** Tombstone first; what the token service has to be told follows off the response path. Answers where to go on to. */
async function endSession(
  deps: AppDeps,
  { vendor, edge }: Visit,
  { session, returnTo }: { readonly session: LiveSession | null; readonly returnTo: string },
): Promise<string> {
  if (session !== null) {
    await deps.sessions.end(vendor.id, session.record.id, "user");
    deps.log({ level: "info", event: "signed_out", vendor: vendor.id, requestId: edge.requestId });
  }
  const found = await deps.metadata.find(vendor.issuer);
  const metadata = found.kind === "found" ? found.metadata : null;
  const refreshToken = session?.tokens.refreshToken ?? null;
  const idToken = session?.content.idToken ?? null;
  if (refreshToken !== null) deps.background(deps.calls.revoke(vendor, refreshToken));
  return logoutAddress({
    clientId: vendor.clientId,
    authHostname: vendor.authHostname,
    endSessionEndpoint: metadata?.endSessionEndpoint ?? null,
    idToken: idToken !== null && idToken.length <= MAX_HINT_LENGTH ? idToken : null,
    returnTo,
    registered: vendor.postLogoutRedirects,
  });
}

/**
 * The address may hold the ID token, which scripts must not see: they get it sealed, and the navigation of the same browser
 * opens it.
 */
async function respondOnward(deps: AppDeps, visit: Visit, target: string): Promise<Response> {
  const proof = drawToken(deps.random);
  const content = { target, until: deps.now() + CONTINUE_SECONDS, proof };
  const sealed = await deps.keys.seal(visit.vendor.id, "logout", content);
  const response = respondJson({
    logout_url: `${addressOf(visit, "logout")}?${new URLSearchParams({ continue: sealed })}`,
  });
  setLogoutCookie(response.headers, visit.jar, proof);
  return response;
}

async function continueLogout(deps: AppDeps, visit: Visit, sealed: string): Promise<Response> {
  const { vendor, jar, cookies, ownOrigin } = visit;
  const content = sealed.length > MAX_CONTINUE_LENGTH ? null : await deps.keys.open(vendor.id, "logout", sealed);
  const isOwn = content !== null && equalsConstantTime(cookies.value(jar.logout.name), String(content.proof));
  const isValid = isOwn && typeof content.target === "string" && Number(content.until) > deps.now();
  const response = respondRedirect(isValid ? String(content.target) : `${ownOrigin}/`);
  clearCookies(response.headers, [jar.logout]);
  return response;
}
