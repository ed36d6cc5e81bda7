/**
 * What the placeholders of the cases are called in this product (contract, sections 2 and 6): one table, and a control
 * that sends a good value through every name in it.
 *
 * @module
 */

/** Paths. */
export const PATHS: Readonly<Record<string, string>> = {
  login: "/auth/acme/login",
  callback: "/auth/acme/callback",
  session: "/auth/acme/userinfo",
  logout: "/auth/acme/logout",
  bclogout: "/auth/acme/backchannel-logout",
  fclogout: "/auth/acme/frontchannel-logout",
  oplogout: "/oidc/logout",
  api: "/api",
  mgmt: "/management/vendors/acme/token-handler",
  authorize: "/authorize",
  userinfo: "/oauth/userinfo",
};

/** Names of the return target; every case that uses one runs with both. */
export const RETURN_NAMES = ["returnTo", "return_to"] as const;

/** The name of a return target in the cases. */
export const CASE_RETURN_NAME = "return_to";

/** Members of the sealed access ticket. */
export const TICKET_MEMBERS: Readonly<Record<string, string>> = { exp: "expires_at" };

/** Cookies of a session, by the names that the cases give them. */
export const COOKIES: Readonly<Record<string, string>> = { at: "at", rt: "__Host-rt" };

/** The prefix of transaction cookies, which end with the first eight characters of their state. */
export const TRANSACTION_PREFIX = "__Host-tx-";

/** The transaction cookie in the cases. */
export const CASE_TRANSACTION_NAME = "__Host-tx";

/** Tells whether a cookie is one of ours. */
export function isOwnCookie(name: string): boolean {
  return Object.values(COOKIES).includes(name) || name === "signed_in" || name.startsWith(TRANSACTION_PREFIX);
}
