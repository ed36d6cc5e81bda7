/**
 * The settings of a vendor's token handler: their meaning, their defaults, and the reading of strange input with every
 * fault named.
 *
 * @module
 */

import { isJsonObject, type JsonObject } from "../encoding.ts";
import { isHost, isLoopbackName } from "./hosts.ts";
import { readOrigin } from "./origins.ts";
import type { Upstream } from "./upstreams.ts";

/** How the vendor's client authenticates at the token endpoint (RFC 6749, section 2.3; `none` = public client). */
export type ClientAuthMethod = "client_secret_basic" | "client_secret_post" | "none";

/** Settings of one vendor, without its secret. `null` = the service-wide default applies. */
export interface VendorSettings {
  /** The vendor's client id at the token service. */
  readonly clientId: string;
  /** Issuer of the token service, exactly as it writes itself. */
  readonly issuer: string | null;
  /** How the client authenticates. */
  readonly clientAuthMethod: ClientAuthMethod;
  /** Host whose `/v2/logout` ends the user's session at the token service; `null` = the issuer's own logout endpoint. */
  readonly authHostname: string | null;
  /** Public base address of the token handler for this vendor, with a path where a proxy adds one. */
  readonly publicUrl: string | null;
  /** Hosts at which this vendor is served besides that of its public address; none of either = any host. */
  readonly hosts: readonly string[];
  /** Origins of the vendor's pages besides its own. */
  readonly allowedOrigins: readonly string[];
  /** Domain of the shared cookies; `null` = the registrable domain of the host. */
  readonly cookieDomain: string | null;
  /** `domain`: `at` is shared with sibling hosts. `host`: nothing is (`__Host-at`, Strict). */
  readonly cookieScope: "domain" | "host";
  /** `cookie`: tokens travel sealed in the cookies. `kv`: they stay sealed in the store. */
  readonly tokenStore: "cookie" | "kv";
  /** Scopes that may be asked for; all of them are by default. */
  readonly scopes: readonly string[];
  /** Audiences that may be asked for; the first is by default. */
  readonly audience: readonly string[];
  /** Claims that `userinfo` shows. */
  readonly claims: readonly string[];
  /** Where API calls go; `null` = the service-wide upstream for every path. */
  readonly upstreams: readonly Upstream[] | null;
  /** Whether every call needs `X-CSRF: 1` or `token-handler-version: 1`. */
  readonly requireCsrfHeader: boolean;
  /** Whether `userinfo` answers to `at` without `__Host-rt`, for server-side rendering. */
  readonly userinfoWithAccessCookieAlone: boolean;
  /** Seconds without activity after which a session ends. */
  readonly sessionIdleSeconds: number;
  /** Seconds after which a session ends in any case. */
  readonly sessionMaxSeconds: number;
  /** Name of the cookie that tells scripts that somebody is signed in. */
  readonly hintCookieName: string;
  /** Names of cookies that upstreams may see and set. */
  readonly passCookies: readonly string[];
  /** Return addresses after logout that are registered at the token service. */
  readonly postLogoutRedirects: readonly string[];
  /** Whether a Bearer header is passed on without verification. */
  readonly relayUnverifiedBearer: boolean;
}

/** One fault in the input. */
export interface SettingsFault {
  /** JSON pointer to the member ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)). */
  readonly pointer: string;
  /** What was expected. */
  readonly detail: string;
}

/** What reading settings leads to. */
export type SettingsOutcome =
  | {
    readonly kind: "read";
    readonly settings: VendorSettings;
    /** A client secret in the input; `null` = keep the stored one. */
    readonly clientSecret: string | null;
    /** Whether nothing was said about secret and method, so that a stored client goes on as it is. */
    readonly keepsClient: boolean;
  }
  | { readonly kind: "refused"; readonly faults: readonly SettingsFault[] };

/** How to read settings. */
export interface ReadSettingsOptions {
  /** Accepts `http:` and loopback hosts for issuers, upstreams and pages: for the demo and for development. */
  readonly insecureAllowLoopback?: boolean;
}

/** Longest life of a session: that of `__Host-rt`. */
const MAX_SESSION_SECONDS = 2_592_000;

/** Largest body that an upstream may take: 1 TiB, so that a slip of the pen shows. */
const MAX_BODY_BYTES = 2 ** 40;

/** The settings of a vendor that gives only its client id. */
const DEFAULTS = {
  issuer: null,
  clientAuthMethod: "none",
  authHostname: null,
  publicUrl: null,
  hosts: [],
  allowedOrigins: [],
  cookieDomain: null,
  cookieScope: "domain",
  tokenStore: "cookie",
  scopes: ["openid", "profile", "email", "offline_access"],
  audience: [],
  claims: [
    "sub",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "preferred_username",
    "email",
    "email_verified",
    "picture",
    "locale",
  ],
  upstreams: null,
  requireCsrfHeader: false,
  userinfoWithAccessCookieAlone: true,
  sessionIdleSeconds: 604_800,
  sessionMaxSeconds: MAX_SESSION_SECONDS,
  hintCookieName: "signed_in",
  passCookies: [],
  postLogoutRedirects: [],
  relayUnverifiedBearer: false,
} as const satisfies Omit<VendorSettings, "clientId">;

/** Cookie names that carry our own values, with their prefix or, on plain loopback, without it. */
const OWN_COOKIE_REGEXP = /^(?:at|rt|tx-.*|__Host-.*|__Secure-.*|__Http-.*)$/i;
const TOKEN_REGEXP = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
// RFC 6749, appendix A: client ids and secrets are of visible characters and spaces.
const CLIENT_REGEXP = /^[\u0020-\u007e]{1,256}$/;
const VISIBLE_REGEXP = /^[\u0021-\u007e]{1,256}$/;
// RFC 6749, section 3.3: a scope token has no space, quote or backslash.
const SCOPE_REGEXP = /^[\u0021\u0023-\u005b\u005d-\u007e]{1,128}$/;
const METHOD_REGEXP = /^(?:GET|HEAD|POST|PUT|PATCH|DELETE)$/;
/** Paths that our own routes own: an upstream there would never be reached, or would shadow us. */
const OWN_PREFIX_REGEXP =
  /^\/(?:auth|management|console|oauth|oidc|authorize|\.well-known|healthz|readyz|metrics)(?:\/|$)/;
const PREFIX_REGEXP = /^(?:\/|(?:\/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+)$/;

type Reader = (value: unknown, pointer: string, report: (pointer: string, detail: string) => void) => unknown;

/**
 * Reads the settings of a token handler as the management API takes them.
 *
 * @param input Parsed JSON from outside.
 * @param options What is tolerated.
 * @returns Complete settings, or every fault at once.
 */
export function readVendorSettings(input: unknown, options: ReadSettingsOptions = {}): SettingsOutcome {
  if (!isJsonObject(input)) return { kind: "refused", faults: [{ pointer: "", detail: "Expected a JSON object" }] };
  const faults: SettingsFault[] = [];
  const report = (pointer: string, detail: string) => void faults.push({ pointer, detail });
  const readers = createReaders(options.insecureAllowLoopback ?? false);
  const values: Record<string, unknown> = { ...DEFAULTS };
  for (const [name, value] of Object.entries(input)) {
    const pointer = pointerOf(name);
    const reader = Object.hasOwn(readers, name) ? readers[name as keyof typeof readers] : undefined;
    if (value === undefined) continue;
    if (reader === undefined) report(pointer, `Unknown setting${suggestFor(name, Object.keys(readers))}`);
    else if (value !== null || !isNullable(name)) values[name] = reader(value, pointer, report);
  }
  if (input.clientId === undefined) report("/clientId", "Missing: the client id at the token service");
  reportContradictions(input, values, report);
  if (faults.length > 0) return { kind: "refused", faults };
  const { clientSecret = null, ...settings } = values;
  return {
    kind: "read",
    settings: settings as unknown as VendorSettings,
    clientSecret: clientSecret as string | null,
    keepsClient: input.clientSecret === undefined && input.clientAuthMethod === undefined,
  };
}

/** One step of a JSON pointer ([RFC 6901, section 3](https://www.rfc-editor.org/rfc/rfc6901#section-3)). */
function pointerOf(name: string): string {
  return `/${name.slice(0, 64).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function isNullable(name: string): boolean {
  return name === "clientSecret" || (Object.hasOwn(DEFAULTS, name) && DEFAULTS[name as keyof typeof DEFAULTS] === null);
}

/** Faults that only show when several members are looked at together. */
function reportContradictions(
  input: JsonObject,
  values: Record<string, unknown>,
  report: (p: string, d: string) => void,
) {
  if (typeof input.clientSecret === "string" && !Object.hasOwn(input, "clientAuthMethod")) {
    values.clientAuthMethod = "client_secret_basic";
  }
  if (typeof input.clientSecret === "string" && values.clientAuthMethod === "none") {
    report("/clientAuthMethod", "A client with a clientSecret needs client_secret_basic or client_secret_post");
  }
  if (values.cookieScope === "host" && values.cookieDomain !== null) {
    report("/cookieDomain", 'Leave it out: with cookieScope "host" no cookie has a domain');
  }
  if (Number(values.sessionIdleSeconds) > Number(values.sessionMaxSeconds)) {
    if (Object.hasOwn(input, "sessionIdleSeconds")) {
      report("/sessionIdleSeconds", "Expected no more than sessionMaxSeconds");
    }
    values.sessionIdleSeconds = values.sessionMaxSeconds;
  }
  if (Array.isArray(values.passCookies) && values.passCookies.includes(values.hintCookieName)) {
    report("/passCookies", "Leave the name in hintCookieName out: that cookie is ours");
  }
}

function createReaders(loopback: boolean): Record<keyof VendorSettings | "clientSecret", Reader> {
  const address = addressReader(loopback);
  return {
    clientId: textReader(CLIENT_REGEXP, "1 to 256 printable ASCII characters"),
    clientSecret: textReader(CLIENT_REGEXP, "1 to 256 printable ASCII characters"),
    clientAuthMethod: choiceReader(["client_secret_basic", "client_secret_post", "none"]),
    issuer: address("https address without query or fragment, exactly as the token service writes its issuer"),
    authHostname: checkReader(
      (text) => isHost(text) && !text.includes(":"),
      "a host name without scheme, port or path",
    ),
    publicUrl: publicUrlReader(address("https address such as https://api.site.test")),
    hosts: listReader(checkReader(isHost, "a host in lower case, with a port only where it is not the default")),
    allowedOrigins: listReader(originReader(loopback)),
    cookieDomain: checkReader(
      (text) => isHost(text) && text.includes(".") && !text.includes(":"),
      "a domain without a leading dot",
    ),
    cookieScope: choiceReader(["domain", "host"]),
    tokenStore: choiceReader(["cookie", "kv"]),
    scopes: listReader(readScope),
    audience: oneOrMoreReader(textReader(VISIBLE_REGEXP, "1 to 256 visible ASCII characters")),
    claims: listReader(textReader(VISIBLE_REGEXP, "a claim name")),
    upstreams: upstreamsReader(address("https address without query or fragment")),
    requireCsrfHeader: readBoolean,
    userinfoWithAccessCookieAlone: readBoolean,
    sessionIdleSeconds: wholeReader("seconds", { min: 60, max: MAX_SESSION_SECONDS }),
    sessionMaxSeconds: wholeReader("seconds", { min: 60, max: MAX_SESSION_SECONDS }),
    hintCookieName: checkReader((text) => isFreeCookieName(text), "a cookie name that is not one of ours"),
    passCookies: listReader(checkReader((text) => isFreeCookieName(text), "a cookie name that is not one of ours")),
    postLogoutRedirects: listReader(address("https address, exactly as registered at the token service")),
    relayUnverifiedBearer: readBoolean,
  };
}

function isFreeCookieName(text: string): boolean {
  return TOKEN_REGEXP.test(text) && !OWN_COOKIE_REGEXP.test(text);
}

function checkReader(check: (text: string) => boolean, expected: string): Reader {
  return (value, pointer, report) => {
    if (typeof value === "string" && check(value)) return value;
    return report(pointer, `Expected ${expected}`);
  };
}

function textReader(pattern: RegExp, expected: string): Reader {
  return checkReader((text) => pattern.test(text), expected);
}

const readScope = textReader(SCOPE_REGEXP, "a scope without spaces, quotes or backslashes");

function choiceReader(choices: readonly string[]): Reader {
  return checkReader((text) => choices.includes(text), `one of ${choices.join(", ")}`);
}

const readBoolean: Reader = (value, pointer, report) => {
  if (typeof value === "boolean") return value;
  return report(pointer, "Expected true or false");
};

function wholeReader(unit: string, { min, max }: { readonly min: number; readonly max: number }): Reader {
  return (value, pointer, report) => {
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
    return report(pointer, `Expected whole ${unit} from ${min} to ${max}`);
  };
}

function listReader(item: Reader, maxItems = 100): Reader {
  return (value, pointer, report) => {
    if (!Array.isArray(value) || value.length > maxItems) {
      return report(pointer, `Expected a list of at most ${maxItems}`);
    }
    return value.map((entry, i) => item(entry, `${pointer}/${i}`, report));
  };
}

function someReader(what: string, item: Reader): Reader {
  const list = listReader(item);
  return (value, pointer, report) =>
    Array.isArray(value) && value.length === 0
      ? report(pointer, `Expected ${what}, or no list at all`)
      : list(value, pointer, report);
}

function oneOrMoreReader(item: Reader): Reader {
  const list = listReader(item);
  return (value, pointer, report) =>
    Array.isArray(value) ? list(value, pointer, report) : [item(value, pointer, report)];
}

/** Addresses that we will call, or send browsers to: https, a host of letters, the default port, in normal form. */
function addressReader(loopback: boolean): (expected: string) => Reader {
  return (expected) =>
    checkReader((text) => {
      const url = URL.parse(text);
      if (url === null || text.length > 512 || url.username !== "" || url.password !== "") return false;
      if (url.search !== "" || url.hash !== "" || text.includes("#") || text.includes("?")) return false;
      if (url.href !== text && url.href !== `${text}/`) return false;
      if (/(?:^|\/)\.{1,2};|%2e/i.test(url.pathname)) return false;
      return isAllowedServer(url, loopback);
    }, `an ${expected}`);
}

function isAllowedServer(url: URL, loopback: boolean): boolean {
  if (isLoopbackName(url.hostname)) return loopback && (url.protocol === "http:" || url.protocol === "https:");
  const isAddress = /^[\d.]+$|^\[/.test(url.hostname);
  return url.protocol === "https:" && url.port === "" && !isAddress && isHost(url.hostname) &&
    url.hostname.includes(".");
}

function originReader(loopback: boolean): Reader {
  return checkReader((text) => {
    const origin = readOrigin(text);
    if (origin === null || !isHost(new URL(origin).host)) return false;
    return origin.startsWith("https:") || (loopback && isLoopbackName(new URL(origin).hostname));
  }, "an https origin such as https://www.site.test, without path or wildcard");
}

function publicUrlReader(address: Reader): Reader {
  return (value, pointer, report) => {
    const text = address(value, pointer, report);
    return typeof text === "string" ? text.replace(/\/$/, "") : text;
  };
}

function upstreamsReader(address: Reader): Reader {
  const list = listReader(upstreamReader(address));
  return (value, pointer, report) => {
    const upstreams = list(value, pointer, report) as readonly Partial<Upstream>[] | undefined;
    const paths = upstreams?.map((upstream) => upstream?.path) ?? [];
    for (const [i, path] of paths.entries()) {
      if (path !== undefined && paths.indexOf(path) < i) {
        report(`${pointer}/${i}/path`, "Expected a path that no upstream before this one has");
      }
    }
    return upstreams;
  };
}

function upstreamReader(address: Reader): Reader {
  const optional: Readonly<Record<string, Reader>> = {
    methods: someReader("a method", textReader(METHOD_REGEXP, "GET, HEAD, POST, PUT, PATCH or DELETE")),
    audience: textReader(VISIBLE_REGEXP, "1 to 256 visible ASCII characters"),
    scopes: someReader("a scope", readScope),
    anonymous: readBoolean,
    timeoutMs: wholeReader("milliseconds", { min: 100, max: 600_000 }),
    maxBodyBytes: wholeReader("bytes", { min: 1, max: MAX_BODY_BYTES }),
  };
  const known = ["path", "target", ...Object.keys(optional)];
  return (value, pointer, report) => {
    if (!isJsonObject(value)) return report(pointer, "Expected an object with path and target");
    const values: Record<string, unknown> = {};
    values.path = checkReader(
      (text) => PREFIX_REGEXP.test(text) && !/\/\.{1,2}(?:\/|$)/.test(text) && !OWN_PREFIX_REGEXP.test(text),
      "a path such as /api, not one of our own",
    )(value.path, `${pointer}/path`, report);
    const target = address(value.target, `${pointer}/target`, report);
    values.target = typeof target === "string" ? target.replace(/\/$/, "") : target;
    for (const name of Object.keys(value)) {
      const at = `${pointer}${pointerOf(name)}`;
      const read = Object.hasOwn(optional, name) ? optional[name] : undefined;
      if (read !== undefined && value[name] !== undefined) values[name] = read(value[name], at, report);
      else if (read === undefined && !known.includes(name)) report(at, `Unknown setting${suggestFor(name, known)}`);
    }
    if (values.anonymous === true && values.scopes !== undefined) {
      report(`${pointer}/scopes`, "Leave it out: a call without a token has no scope, and anonymous lets it pass");
    }
    return values;
  };
}

/** Names the known member that was probably meant: `, did you mean "issuer"?`, or nothing. */
export function suggestFor(name: string, known: readonly string[]): string {
  const near = known
    .map((candidate) => ({ candidate, distance: distanceBetween(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(2, candidate.length / 3))
    .toSorted((a, b) => a.distance - b.distance)[0];
  return near === undefined ? "" : `, did you mean "${near.candidate}"?`;
}

/** Levenshtein distance. Long names are far from everything. */
function distanceBetween(a: string, b: string): number {
  if (a.length > 64) return Infinity;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}
