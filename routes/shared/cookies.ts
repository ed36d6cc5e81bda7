/**
 * The only file that knows names and attributes of our cookies; setting and clearing share them.
 *
 * @module
 */

import { trimSpace } from "../../lib/encoding.ts";
import { MAX_TRANSACTIONS, TRANSACTION_SECONDS } from "../../lib/token_handler/transaction.ts";
import type { CookieValues } from "../../lib/token_handler/sessions.ts";
import type { Vendor } from "../../lib/token_handler/vendors.ts";
import { isLoopbackName, nameOfHost, registrableDomainOf } from "../../lib/vendor/mod.ts";

/** Lives of the session cookies, in seconds. Expiry is decided by what is sealed inside. */
const ACCESS_COOKIE_SECONDS = 86_400;
const REFRESH_COOKIE_SECONDS = 2_592_000;

/** Life of the proof that a logout goes on where it began. */
const LOGOUT_COOKIE_SECONDS = 300;

/** A cookie with its attributes, so that clearing cannot differ from setting. */
interface CookieKind {
  readonly name: string;
  readonly domain: string | null;
  readonly isSecure: boolean;
  readonly isHttpOnly: boolean;
  readonly sameSite: "Lax" | "Strict";
  readonly maxAgeSeconds: number;
}

/** The cookies of one vendor on one host. */
export interface CookieJar {
  /** The sealed access ticket. */
  readonly at: CookieKind;
  /** The sealed refresh ticket. */
  readonly rt: CookieKind;
  /** The readable hint. */
  readonly hint: CookieKind;
  /** Proof that a logout goes on in the browser that began it. */
  readonly logout: CookieKind;
  /** A sign-in on its way, by the first characters of its state. */
  readonly transaction: (name: string) => CookieKind;
}

/** What the names and attributes depend on. */
export interface CookieOptions {
  /** The host that the browser sees. */
  readonly host: string;
  /** Whether the browser sees plain http. */
  readonly isPlainHttp: boolean;
  /** `CLOAKROOM_LOOPBACK_COOKIES=plain`: no `Secure` and no prefix on plain-http loopback, for Safari. */
  readonly plainLoopbackCookies: boolean;
}

/** Works out the cookies of a vendor on a host (contract, section 2.3). */
export async function cookiesOf(vendor: Vendor, options: CookieOptions): Promise<CookieJar> {
  const name = nameOfHost(options.host);
  const isSecure = !(options.plainLoopbackCookies && options.isPlainHttp && isLoopbackName(name));
  const prefix = isSecure ? "__Host-" : "";
  const isHostScoped = vendor.cookieScope === "host";
  const registrable = isHostScoped ? null : await registrableDomainOf(name);
  const own = vendor.cookieDomain;
  const isWithin = own !== null && registrable !== null && (own === registrable || own.endsWith(`.${registrable}`)) &&
    (name === own || name.endsWith(`.${own}`));
  const domain = isWithin ? own : registrable;
  return {
    at: {
      name: isHostScoped ? `${prefix}at` : "at",
      domain,
      isSecure,
      isHttpOnly: true,
      sameSite: isHostScoped ? "Strict" : "Lax",
      maxAgeSeconds: ACCESS_COOKIE_SECONDS,
    },
    rt: {
      name: `${prefix}rt`,
      domain: null,
      isSecure,
      isHttpOnly: true,
      sameSite: "Strict",
      maxAgeSeconds: REFRESH_COOKIE_SECONDS,
    },
    hint: {
      name: vendor.hintCookieName,
      domain,
      isSecure,
      isHttpOnly: false,
      sameSite: "Lax",
      maxAgeSeconds: REFRESH_COOKIE_SECONDS,
    },
    logout: {
      name: `${prefix}lo`,
      domain: null,
      isSecure,
      isHttpOnly: true,
      sameSite: "Lax",
      maxAgeSeconds: LOGOUT_COOKIE_SECONDS,
    },
    transaction: (state) => ({
      name: `${prefix}tx-${state}`,
      domain: null,
      isSecure,
      isHttpOnly: true,
      sameSite: "Lax",
      maxAgeSeconds: TRANSACTION_SECONDS,
    }),
  };
}

function writeCookie(kind: CookieKind, value: string, maxAgeSeconds = kind.maxAgeSeconds): string {
  return [
    `${kind.name}=${value}`,
    ...(kind.domain === null ? [] : [`Domain=.${kind.domain}`]),
    "Path=/",
    ...(kind.isSecure ? ["Secure"] : []),
    ...(kind.isHttpOnly ? ["HttpOnly"] : []),
    `SameSite=${kind.sameSite}`,
    `Max-Age=${maxAgeSeconds}`,
  ].join("; ");
}

/** Sets the cookies of a session. */
export function setSessionCookies(headers: Headers, jar: CookieJar, values: CookieValues): void {
  headers.append("set-cookie", writeCookie(jar.at, values.at));
  if (values.rt !== null) headers.append("set-cookie", writeCookie(jar.rt, values.rt));
  headers.append("set-cookie", writeCookie(jar.hint, "1"));
}

/** Sets the proof that a logout goes on in the browser that began it. */
export function setLogoutCookie(headers: Headers, jar: CookieJar, proof: string): void {
  headers.append("set-cookie", writeCookie(jar.logout, proof));
}

/** Clears cookies. Where one is shared with sibling hosts, its host-only twin goes too: only an attacker sets that. */
export function clearCookies(headers: Headers, kinds: readonly CookieKind[]): void {
  for (const kind of kinds) {
    headers.append("set-cookie", writeCookie(kind, "", 0));
    if (kind.domain !== null) headers.append("set-cookie", writeCookie({ ...kind, domain: null }, "", 0));
  }
}

/** Clears everything that belongs to a session. */
export function clearSessionCookies(headers: Headers, jar: CookieJar): void {
  clearCookies(headers, [jar.at, jar.rt, jar.hint]);
}

/** Sets the cookie of a new sign-in, and clears the oldest ones where there would be too many. */
export function setTransactionCookie(
  headers: Headers,
  jar: CookieJar,
  transaction: { readonly name: string; readonly sealed: string; readonly present: readonly string[] },
): void {
  const { name, sealed, present } = transaction;
  // Where there are already too many, tabs were opened all at once, and answers on their way are going to add theirs.
  const kept = present.length > MAX_TRANSACTIONS ? MAX_TRANSACTIONS / 2 : MAX_TRANSACTIONS - 1;
  clearCookies(headers, present.slice(0, -kept).map(jar.transaction));
  headers.append("set-cookie", writeCookie(jar.transaction(name), sealed));
}

/** The cookies of a request, each name once. */
export interface PresentCookies {
  /** The value of a cookie: `null` if absent, an empty text (which nothing opens) if it came more than once. */
  value(name: string): string | null;
  /** The sign-ins on their way, oldest first, as browsers send them. */
  readonly transactions: readonly string[];
}

/** Reads cookies by name, without taking apart the others in the header. */
export function readCookies(header: string | null, jar: CookieJar): PresentCookies {
  return {
    value: (name) => valueOf(header ?? "", name),
    get transactions(): readonly string[] {
      const prefix = jar.transaction("").name;
      const names = header?.split(";").map((pair) => trimSpace(pair).split("=", 1)[0]!) ?? [];
      return [...new Set(names)].flatMap((name) => name.startsWith(prefix) ? [name.slice(prefix.length)] : []);
    },
  };
}

/** The value of a cookie: `null` if absent, an empty text if there are several of that name. */
export function valueOf(header: string, name: string): string | null {
  let value: string | null = null;
  for (let at = header.indexOf(`${name}=`); at >= 0; at = header.indexOf(`${name}=`, at + 1)) {
    if (!beginsPair(header, at)) continue;
    if (value !== null) return "";
    const begin = at + name.length + 1;
    const end = header.indexOf(";", begin);
    value = trimSpace(header.slice(begin, end < 0 ? undefined : end));
  }
  return value;
}

function beginsPair(header: string, at: number): boolean {
  let before = at - 1;
  while (header[before] === " " || header[before] === "\t") before--;
  return before < 0 || header[before] === ";";
}

/** The `Cookie` header for an upstream: only what the vendor lists. */
export function passedCookies(header: string | null, passed: readonly string[]): string | null {
  if (header === null || passed.length === 0) return null;
  const kept = header.split(";").map(trimSpace).filter((pair) => passed.includes(pair.split("=", 1)[0]!));
  return kept.length === 0 ? null : kept.join("; ");
}
