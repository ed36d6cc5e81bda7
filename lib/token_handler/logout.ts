/**
 * The end of a session as its user wishes it: who may ask for it, and where the browser goes then.
 *
 * @module
 */

import { equalsConstantTime } from "../encoding.ts";

/** The facts about a navigation to the logout address. */
export interface LogoutNavigation {
  /** The session that the cookies name; `null` where there is none. */
  readonly own: string | null;
  /** The session that the address names, from `logout_url`. */
  readonly asked: string | null;
  /** The browser's word on where the navigation comes from (`Sec-Fetch-Site`). */
  readonly fetchSite: string | null;
}

/**
 * A browser has to come from its own site, or name its session, so that no other site can sign it out with a link. Where it
 * brings no session, it may only have been kept from bringing it, as Strict cookies are on the way from another site.
 */
export function mayLogout({ own, asked, fetchSite }: LogoutNavigation): boolean {
  if (own === null) return fetchSite !== "cross-site";
  if (equalsConstantTime(own, asked)) return true;
  return fetchSite === "same-origin" || fetchSite === "same-site" || fetchSite === "none";
}

/** What the address at the token service is made of. */
export interface LogoutTarget {
  /** The vendor's client. */
  readonly clientId: string;
  /** Host of an Auth0-compatible `/v2/logout`. */
  readonly authHostname: string | null;
  /** The issuer's `end_session_endpoint` (OpenID Connect RP-Initiated Logout 1.0). */
  readonly endSessionEndpoint: string | null;
  /** The newest ID token. */
  readonly idToken: string | null;
  /** Where the browser wants to be afterwards. */
  readonly returnTo: string;
  /** Return addresses that are registered at the token service. */
  readonly registered: readonly string[];
}

/** The address that ends the session at the token service too; without one, the return target itself. */
export function logoutAddress(target: LogoutTarget): string {
  const { clientId, authHostname, endSessionEndpoint, idToken, returnTo, registered } = target;
  const back = registered.length === 0 || registered.includes(returnTo) ? returnTo : registered[0]!;
  if (authHostname !== null) {
    return `https://${authHostname}/v2/logout?${new URLSearchParams({ client_id: clientId, returnTo: back })}`;
  }
  if (endSessionEndpoint === null) return returnTo;
  const url = new URL(endSessionEndpoint);
  if (idToken !== null) url.searchParams.set("id_token_hint", idToken);
  url.searchParams.set("client_id", clientId);
  url.searchParams.set("post_logout_redirect_uri", back);
  return url.href;
}
