/**
 * The only file that knows names and attributes of the token service's cookies; setting and clearing share them.
 *
 * Both last as long as the browser is open. `Lax`, because an authorization request comes from another site.
 *
 * @module
 */

import { trimSpace } from "../../lib/encoding.ts";

/** Holds the handle of the browser session. */
export const SESSION_COOKIE = "__Host-sso";

/** Holds the secret that the tokens of forms are derived from. */
export const FORM_COOKIE = "__Host-sso-form";

const ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax";

/** The `Set-Cookie` value that sets a cookie. */
export function writeCookie(name: string, value: string): string {
  return `${name}=${value}; ${ATTRIBUTES}`;
}

/** The `Set-Cookie` value that clears a cookie. */
export function clearCookie(name: string): string {
  return `${writeCookie(name, "")}; Max-Age=0`;
}

/** Reads a cookie of ours; `null` if it is absent, not of our making, or there twice: then one of them is planted. */
export function readCookie(request: Request, name: string): string | null {
  const pairs = (request.headers.get("cookie") ?? "").split(";").map(trimSpace);
  const found = pairs.filter((pair) => pair.startsWith(`${name}=`));
  const value = found.length === 1 ? found[0]!.slice(name.length + 1) : "";
  return /^[A-Za-z0-9_-]{43}$/.test(value) ? value : null;
}
