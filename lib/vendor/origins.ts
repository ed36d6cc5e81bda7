/**
 * Return targets: where a browser may be sent after signing in or out.
 *
 * A target is either a path on the vendor's own origin or an address on an origin that the vendor lists. It has to be
 * in the form that the URL parser would give it, so that no two parsers can understand it differently.
 *
 * @module
 */

/** Longest return target. */
const MAX_TARGET_LENGTH = 2048;

/** Characters that take part in parser tricks wherever they stand: controls, space, DEL. */
// deno-lint-ignore no-control-regex
const FORBIDDEN_REGEXP = /[\u0000-\u0020\u007f]/;

/** In the path: controls, slash and backslash in encoded form. */
const ENCODED_TRICK_REGEXP = /%(?:[01][0-9a-f]|7f|2f|5c)/i;

/** Paths that do something when they are opened, so nobody may be sent there. */
const OWN_PATH_REGEXP = /^\/(?:auth|oauth|oidc|authorize|management|v2|\.well-known|console)(?:\/|$)/;

/** What a return target is measured against. */
export interface ReturnTargetOptions {
  /** The vendor's own origin, such as `https://api.site.test`. */
  readonly ownOrigin: string;
  /** Origins that the vendor lists. */
  readonly allowedOrigins: readonly string[];
}

/**
 * Reads a return target.
 *
 * @param text What the request named.
 * @param options What is allowed.
 * @returns The target as an absolute address in normal form; `null` if it is refused.
 */
export function readReturnTarget(text: string, options: ReturnTargetOptions): string | null {
  if (text.length > MAX_TARGET_LENGTH || FORBIDDEN_REGEXP.test(text) || !text.isWellFormed()) return null;
  const { ownOrigin, allowedOrigins } = options;
  const origin = text.startsWith("/")
    ? ownOrigin
    : [ownOrigin, ...allowedOrigins].find((allowed) => text === allowed || text.startsWith(`${allowed}/`));
  if (origin === undefined) return null;
  const rest = encodeNonAscii(text.startsWith("/") ? text : text.slice(origin.length) || "/");
  const path = rest.split(/[?#]/, 1)[0]!;
  if (path.startsWith("//") || path.includes("\\") || ENCODED_TRICK_REGEXP.test(path)) return null;
  if (origin === ownOrigin && OWN_PATH_REGEXP.test(path)) return null;
  const target = `${origin}${rest}`;
  return URL.parse(target)?.href === target ? target : null;
}

/** Writes raw non-ASCII characters as the parser would, so that they do not count as an unusual spelling. */
function encodeNonAscii(text: string): string {
  return text.replace(/[\u0080-\u{10ffff}]+/gu, encodeURIComponent);
}

/** The origin of an address, provided that the address is an http(s) origin and nothing more; `null` otherwise. */
export function readOrigin(text: string): string | null {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) return null;
  return url.origin === text ? text : null;
}
