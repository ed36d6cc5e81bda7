/**
 * The cookies of a browser, by the rules of
 * [RFC 6265bis](https://datatracker.ietf.org/doc/draft-ietf-httpbis-rfc6265bis/): domains and public suffixes, prefixes,
 * `Secure`, `SameSite`, lives, and the order in which cookies are sent.
 *
 * It is written from the browser's side and shares no code with the product, so that the two can disagree.
 *
 * @module
 */

import { getDomain } from "tldts";
import type { Clock } from "../../lib/clock.ts";

/** A cookie as a browser keeps it. */
export interface StoredCookie {
  readonly name: string;
  readonly value: string;
  /** The host, or the domain with everything below it. */
  readonly domain: string;
  readonly isHostOnly: boolean;
  readonly path: string;
  readonly isSecure: boolean;
  readonly isHttpOnly: boolean;
  readonly sameSite: "strict" | "lax" | "none";
  /** Seconds since 1970; `Infinity` for a cookie of the browser session. */
  readonly expiresAt: number;
}

/** How a request comes about, as far as `SameSite` cares. */
export interface RequestSite {
  /** Whether it comes from another site, or was redirected through one. */
  readonly isCrossSite: boolean;
  /** Whether it is a page load by a safe method, for which `Lax` cookies go along. */
  readonly isSafeNavigation: boolean;
}

/** A request within one site. */
const SAME_SITE: RequestSite = { isCrossSite: false, isSafeNavigation: false };

/** Browsers cut longer lives. */
const MAX_LIFE_SECONDS = 400 * 86_400;

/** Cookies of one browser. */
export interface CookieJar {
  /** Takes one `Set-Cookie` line; `false` where a browser would refuse it. */
  take(url: URL, line: string): boolean;
  /** The `Cookie` header for a request; `null` if none goes along. */
  header(url: URL, site?: RequestSite): string | null;
  /** The cookies that go along with a request, oldest first. */
  sent(url: URL, site?: RequestSite): readonly StoredCookie[];
  /** What a script on a page can read. */
  readable(url: URL): string;
  /** Every living cookie. */
  all(): readonly StoredCookie[];
  /** Forgets the cookies of a name. */
  forget(name: string): void;
}

/** The site of an address: scheme and registrable domain. */
export function siteOf(url: URL): string {
  return `${url.protocol}//${getDomain(url.hostname, { allowPrivateDomains: true }) ?? url.hostname}`;
}

/** Makes an empty jar. */
export function createCookieJar(now: Clock): CookieJar {
  // Keyed by name, domain and path. A map keeps the order of creation, and replacing a value does not change it.
  const cookies = new Map<string, StoredCookie>();

  function living(): StoredCookie[] {
    return [...cookies.values()].filter(({ expiresAt }) => expiresAt > now());
  }

  function sent(url: URL, site = SAME_SITE): StoredCookie[] {
    return living().filter((cookie) => goesAlong(cookie, url, site)).sort((a, b) => b.path.length - a.path.length);
  }

  return {
    sent,
    all: living,

    take(url, line) {
      const cookie = readSetCookie(url, line, now());
      if (cookie === null) return false;
      const key = JSON.stringify([cookie.name, cookie.domain, cookie.isHostOnly, cookie.path]);
      if (cookie.expiresAt <= now()) cookies.delete(key);
      else cookies.set(key, cookie);
      return true;
    },

    header(url, site) {
      const pairs = sent(url, site).map(({ name, value }) => name === "" ? value : `${name}=${value}`);
      return pairs.length === 0 ? null : pairs.join("; ");
    },

    readable(url) {
      return sent(url).filter(({ isHttpOnly }) => !isHttpOnly).map(({ name, value }) => `${name}=${value}`).join("; ");
    },

    forget(name) {
      for (const [key, cookie] of cookies) {
        if (cookie.name === name) cookies.delete(key);
      }
    },
  };
}

function readSetCookie(url: URL, line: string, now: number): StoredCookie | null {
  // deno-lint-ignore no-control-regex
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(line)) return null;
  const [pair = "", ...attributes] = line.split(";").map((part) => part.trim());
  const equals = pair.indexOf("=");
  const name = equals < 0 ? "" : pair.slice(0, equals).trim();
  const value = pair.slice(equals + 1).trim();
  if (name.length + value.length > 4096 || name + value === "") return null;

  const given = new Map<string, string>();
  for (const attribute of attributes) {
    const [key = "", ...rest] = attribute.split("=");
    given.set(key.trim().toLowerCase(), rest.join("=").trim());
  }
  const domain = given.get("domain")?.replace(/^\./, "").toLowerCase() ?? "";
  if (domain !== "" && (!covers(domain, url.hostname) || isPublicSuffix(domain, url.hostname))) return null;
  const path = given.get("path") ?? "";
  const cookie: StoredCookie = {
    name,
    value,
    domain: domain === "" ? url.hostname : domain,
    isHostOnly: domain === "",
    path: path.startsWith("/") ? path : url.pathname.slice(0, Math.max(1, url.pathname.lastIndexOf("/"))),
    isSecure: given.has("secure"),
    isHttpOnly: given.has("httponly"),
    sameSite: readSameSite(given.get("samesite")),
    expiresAt: readExpiry(given, now),
  };
  return isPermitted(cookie, url) ? cookie : null;
}

function isPermitted(cookie: StoredCookie, url: URL): boolean {
  const { name, isSecure, isHostOnly, path, sameSite } = cookie;
  if (isSecure && !isTrustworthy(url)) return false;
  if (sameSite === "none" && !isSecure) return false;
  const prefix = name.toLowerCase();
  if (prefix.startsWith("__secure-") && !isSecure) return false;
  return !prefix.startsWith("__host-") || (isSecure && isHostOnly && path === "/");
}

function readSameSite(text: string | undefined): StoredCookie["sameSite"] {
  const value = text?.toLowerCase();
  return value === "strict" || value === "none" ? value : "lax";
}

function readExpiry(given: ReadonlyMap<string, string>, now: number): number {
  const maxAge = given.get("max-age");
  if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) {
    return Number(maxAge) <= 0 ? -Infinity : now + Math.min(Number(maxAge), MAX_LIFE_SECONDS);
  }
  const expires = Date.parse(given.get("expires") ?? "") / 1000;
  return Number.isNaN(expires) ? Infinity : Math.min(expires, now + MAX_LIFE_SECONDS);
}

function goesAlong(cookie: StoredCookie, url: URL, { isCrossSite, isSafeNavigation }: RequestSite): boolean {
  const { domain, isHostOnly, path, isSecure, sameSite } = cookie;
  if (isHostOnly ? domain !== url.hostname : !covers(domain, url.hostname)) return false;
  const isBelow = url.pathname === path || url.pathname.startsWith(path.endsWith("/") ? path : `${path}/`);
  if (!isBelow || (isSecure && !isTrustworthy(url))) return false;
  return !isCrossSite || sameSite === "none" || (sameSite === "lax" && isSafeNavigation);
}

function covers(domain: string, host: string): boolean {
  return host === domain || host.endsWith(`.${domain}`);
}

/** A suffix that is the host itself makes a host-only cookie; any other is refused. */
function isPublicSuffix(domain: string, host: string): boolean {
  return domain !== host && getDomain(domain, { allowPrivateDomains: true }) === null;
}

/** Chromium and Firefox take `Secure` cookies from plain http on loopback. */
function isTrustworthy({ protocol, hostname }: URL): boolean {
  return protocol === "https:" || hostname === "localhost" || hostname === "[::1]" || /^127\./.test(hostname);
}
