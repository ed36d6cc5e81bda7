/**
 * A browser for tests: a cookie jar, page loads that follow redirects, and `fetch` as pages use it, with the headers that
 * a browser adds by itself. Its web is a table of hosts, so no port and no name server is needed.
 *
 * @module
 */

import type { Clock } from "../../lib/clock.ts";
import { type CookieJar, createCookieJar, type RequestSite, siteOf } from "./cookie_jar.ts";
import type { Hosts } from "./loopback.ts";

/** One request and its answer. */
export interface Exchange {
  readonly method: string;
  readonly url: URL;
  readonly requestHeaders: Headers;
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** What a page load does. */
export interface NavigateOptions {
  /** The page that leads there; by default somebody types the address. */
  readonly from?: string;
  /** Form fields, which make it a `POST`. */
  readonly form?: Readonly<Record<string, string>>;
  /** Stops in front of an address instead of opening it. */
  readonly until?: (url: URL) => boolean;
  /** Redirects that are followed; 20 by default, as browsers do. */
  readonly maxRedirects?: number;
}

/** Where a page load ended. */
export interface Landing {
  /** What stands in the address bar. */
  readonly url: URL;
  /** The last exchange; `null` if nobody serves the host, or `until` stopped it before the first. */
  readonly last: Exchange | null;
  /** Every exchange of this load. */
  readonly exchanges: readonly Exchange[];
}

/** What a page's `fetch` is given. */
export interface PageFetch {
  /** Address of the page. */
  readonly from: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** `include` by default. */
  readonly credentials?: "include" | "same-origin" | "omit";
}

/** A browser. */
export interface TestBrowser {
  /** Its cookies. */
  readonly jar: CookieJar;
  /** Everything that it has sent and received. */
  readonly exchanges: readonly Exchange[];
  /** Opens an address as the page and follows its redirects. */
  navigate(url: string, options?: NavigateOptions): Promise<Landing>;
  /** Calls an address from a script on a page. Redirects are not followed. */
  fetch(url: string, options: PageFetch): Promise<Exchange>;
}

/** Makes a browser without any cookie. */
export function createTestBrowser(hosts: Hosts, now: Clock): TestBrowser {
  const jar = createCookieJar(now);
  const exchanges: Exchange[] = [];

  async function send(url: URL, init: RequestInit & { readonly headers: Headers }): Promise<Exchange | null> {
    const handler = Object.hasOwn(hosts, url.host) ? hosts[url.host] : undefined;
    if (handler === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) return null;
    const response = await handler(new Request(url, { ...init, redirect: "manual" }));
    for (const line of response.headers.getSetCookie()) jar.take(url, line);
    const exchange: Exchange = {
      method: init.method ?? "GET",
      url,
      requestHeaders: init.headers,
      status: response.status,
      headers: response.headers,
      body: await response.text(),
    };
    exchanges.push(exchange);
    return exchange;
  }

  return {
    jar,
    exchanges,

    async navigate(address, { from, form, until = () => false, maxRedirects = 20 } = {}): Promise<Landing> {
      const own: Exchange[] = [];
      let url = new URL(address);
      let fields = form;
      const chain = from === undefined ? [] : [new URL(from)];
      while (!until(url)) {
        const method = fields === undefined ? "GET" : "POST";
        const site = { isCrossSite: !isOneSite([...chain, url]), isSafeNavigation: fields === undefined };
        const headers = navigationHeaders(chain, url, { isPost: fields !== undefined });
        addCookies(headers, jar, { url, site });
        const body = fields === undefined ? null : new URLSearchParams(fields).toString();
        const exchange = await send(url, { method, headers, body });
        if (exchange === null) return { url, last: null, exchanges: own };
        own.push(exchange);
        const location = exchange.headers.get("location");
        if (![301, 302, 303, 307, 308].includes(exchange.status) || location === null || own.length > maxRedirects) {
          break;
        }
        const next = URL.parse(location, url);
        if (next === null) break;
        if (next.hash === "") next.hash = url.hash;
        if (exchange.status < 307) fields = undefined;
        if (from !== undefined) chain.push(url);
        url = next;
      }
      return { url, last: own.at(-1) ?? null, exchanges: own };
    },

    async fetch(address, { from, method = "GET", headers: given, body, credentials = "include" }): Promise<Exchange> {
      const url = new URL(address);
      const page = new URL(from);
      const headers = new Headers({ accept: "*/*", ...given });
      const isSameOrigin = page.origin === url.origin;
      headers.set("sec-fetch-site", relationOf([page, url]));
      headers.set("sec-fetch-mode", "cors");
      headers.set("sec-fetch-dest", "empty");
      headers.set("referer", `${page.origin}/`);
      if (!isSameOrigin || !["GET", "HEAD"].includes(method)) headers.set("origin", page.origin);
      const site = { isCrossSite: !isOneSite([page, url]), isSafeNavigation: false };
      if (credentials === "include" || (credentials === "same-origin" && isSameOrigin)) {
        addCookies(headers, jar, { url, site });
      }
      const exchange = await send(url, { method, headers, body: body ?? null });
      if (exchange === null) throw new TypeError(`Cannot fetch ${url.host}: nobody serves it`);
      return exchange;
    },
  };
}

function addCookies(
  headers: Headers,
  jar: CookieJar,
  { url, site }: { readonly url: URL; readonly site: RequestSite },
): void {
  const cookie = jar.header(url, site);
  if (cookie !== null) headers.set("cookie", cookie);
}

function navigationHeaders(chain: readonly URL[], url: URL, { isPost }: { readonly isPost: boolean }): Headers {
  const headers = new Headers({
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "sec-fetch-site": chain.length === 0 ? "none" : relationOf([...chain, url]),
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
    "upgrade-insecure-requests": "1",
  });
  if (isPost) {
    headers.set("content-type", "application/x-www-form-urlencoded");
    headers.set("origin", chain[0]?.origin ?? url.origin);
  }
  return headers;
}

/** `Sec-Fetch-Site`: how far apart the addresses of a chain are at the most. */
function relationOf(urls: readonly URL[]): "same-origin" | "same-site" | "cross-site" {
  if (!isOneSite(urls)) return "cross-site";
  return new Set(urls.map(({ origin }) => origin)).size === 1 ? "same-origin" : "same-site";
}

function isOneSite(urls: readonly URL[]): boolean {
  return new Set(urls.map(siteOf)).size === 1;
}
