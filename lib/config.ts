/**
 * The configuration of the service, read from environment variables with every fault named at once (contract, section 9).
 *
 * @module
 */

import { readBase64Url, readJsonObject } from "./encoding.ts";
import { KEY_BYTES } from "./seal/mod.ts";
import { Secret } from "./secret.ts";
import { isLoopbackName } from "./vendor/mod.ts";
import { suggestFor } from "./vendor/settings.ts";

/** Settings of the whole service. */
export interface ServiceConfig {
  /** Address to listen at. */
  readonly host: string;
  /** Port to listen at; 0 = any free one. */
  readonly port: number;
  /** Whether this is the demo: loopback only, state in memory, everything seeded. */
  readonly isDemo: boolean;
  /** A file, `:memory:` or a KV Connect address; `null` = the platform's database. */
  readonly kvPath: string | null;
  /** Wrap vendor keys and secrets: 32 bytes each. The first one wraps, the others open what they wrapped earlier. */
  readonly masterKeys: readonly [Secret<Uint8Array<ArrayBuffer>>, ...Secret<Uint8Array<ArrayBuffer>>[]];
  /** Public base address. */
  readonly publicUrl: string | null;
  /** Issuer and audience of management tokens; `null` = no management. */
  readonly management: { readonly issuer: string; readonly audience: string } | null;
  /** Default issuer of vendors. */
  readonly issuer: string | null;
  /** Default upstream of vendors. */
  readonly upstream: string | null;
  /** Address of the embedded token service; `null` = off. */
  readonly tokenService: string | null;
  /** A management client that the embedded token service gets at its first start. */
  readonly bootstrapClient: { readonly id: string; readonly secret: Secret } | null;
  /** `TRUSTED_PROXIES` as written; whether it can be read was checked. */
  readonly trustedProxies: string;
  /** Bytes that opened cookies and sessions may take in memory. */
  readonly cacheBytes: number;
  /** `CLOAKROOM_LOOPBACK_COOKIES=plain`. */
  readonly plainLoopbackCookies: boolean;
}

/** One wrong setting. */
export interface ConfigFault {
  /** The variable. */
  readonly variable: string;
  /** What was expected, and what to do. */
  readonly advice: string;
}

/** What reading leads to. */
export type ConfigOutcome =
  | { readonly kind: "read"; readonly config: ServiceConfig }
  | { readonly kind: "refused"; readonly faults: readonly ConfigFault[] };

/** What reading needs from this machine. */
export interface ConfigSources {
  /** Reads a file that holds a secret or the configuration; `null` if it cannot be read. */
  readonly readFile: (path: string) => string | null;
  /** Tells whether `TRUSTED_PROXIES` can be read. */
  readonly isTrustedProxies: (text: string) => boolean;
  /** Whether the platform brings its own database and listener (Deno Deploy). */
  readonly isHosted: boolean;
  /** Draws the master key of the demo, which nobody needs to keep. */
  readonly random: (byteLength: number) => Uint8Array<ArrayBuffer>;
}

/** Every variable there is. */
const VARIABLES = [
  "HOST",
  "PORT",
  "KV_PATH",
  "TRUSTED_PROXIES",
  "CLOAKROOM_MASTER_KEY",
  "CLOAKROOM_PUBLIC_URL",
  "CLOAKROOM_MANAGEMENT_ISSUER",
  "CLOAKROOM_MANAGEMENT_AUDIENCE",
  "CLOAKROOM_ISSUER",
  "CLOAKROOM_UPSTREAM",
  "CLOAKROOM_TOKEN_SERVICE",
  "CLOAKROOM_BOOTSTRAP_CLIENT",
  "CLOAKROOM_CACHE_BYTES",
  "CLOAKROOM_LOOPBACK_COOKIES",
  "CLOAKROOM_CONFIG",
  "CLOAKROOM_DEMO",
] as const;

type Variable = typeof VARIABLES[number];

/** Variables whose value may stand in a file instead, named by `…_FILE`. */
const SECRETS: readonly Variable[] = ["CLOAKROOM_MASTER_KEY", "CLOAKROOM_BOOTSTRAP_CLIENT"];

/** Variables that leave the demo a demo. */
const HARMLESS: readonly Variable[] = ["HOST", "PORT", "CLOAKROOM_DEMO", "CLOAKROOM_LOOPBACK_COOKIES"];

/** Bytes for opened cookies and sessions. */
const DEFAULT_CACHE_BYTES = 64 * 1024 * 1024;
const MIN_CACHE_BYTES = 1024 * 1024;

/** How to make a master key. */
const MAKE_KEY = "make one with: openssl rand -base64 32 | tr '+/' '-_' | tr -d '='";

/**
 * Reads the configuration.
 *
 * @param env The environment variables.
 * @param sources What else it takes.
 * @returns The configuration, or every fault.
 */
export function readConfig(env: Readonly<Record<string, string>>, sources: ConfigSources): ConfigOutcome {
  const faults: ConfigFault[] = [];
  const report = (variable: string, advice: string) => void faults.push({ variable, advice });
  const values = collectValues(env, sources, report);
  const isGiven = (name: Variable) => values[name] !== undefined;

  const demoWish = readChoice(values, "CLOAKROOM_DEMO", ["on", "off"], report);
  const isBare = !sources.isHosted && VARIABLES.every((name) => HARMLESS.includes(name) || !isGiven(name));
  const isLoopback = values.HOST === "::1" || isLoopbackName(values.HOST ?? "127.0.0.1");
  const isDemo = demoWish === null ? isBare && isLoopback : demoWish === "on";
  if (isDemo && !isLoopback) {
    report("HOST", "The demo has published passwords and stays on loopback: leave HOST out, or set CLOAKROOM_DEMO=off");
  }
  if (isDemo && sources.isHosted) {
    report("CLOAKROOM_DEMO", "The demo has published passwords and stays on loopback: it cannot run on this platform");
  }
  if (isDemo && (values.KV_PATH ?? ":memory:") !== ":memory:") {
    report("KV_PATH", "The demo keeps its state in memory: leave KV_PATH out, or set CLOAKROOM_DEMO=off");
  }

  const host = values.HOST ?? (isDemo ? "127.0.0.1" : "0.0.0.0");
  if (!/^[A-Za-z0-9.:[\]-]{1,255}$/.test(host)) report("HOST", "Expected an address or host name such as 0.0.0.0");
  const port = Number(values.PORT ?? 8787);
  if (isDemo && port > 65533) {
    report("PORT", "Expected 65533 at the most: the demo takes the two ports behind it as well");
  }
  if (!/^\d{1,5}$/.test(values.PORT ?? "0") || port > 65535) report("PORT", "Expected a whole number from 0 to 65535");

  const [masterKey, ...formerMasterKeys] = isDemo && !isGiven("CLOAKROOM_MASTER_KEY")
    ? [sources.random(KEY_BYTES)]
    : readMasterKeys(values.CLOAKROOM_MASTER_KEY, report);
  if (!isDemo && !sources.isHosted && !isGiven("KV_PATH")) {
    report("KV_PATH", "Missing: a file such as /var/lib/cloakroom/kv.sqlite, :memory:, or a KV Connect address");
  }
  const trustedProxies = values.TRUSTED_PROXIES ?? "0";
  if (!sources.isTrustedProxies(trustedProxies)) {
    report("TRUSTED_PROXIES", "Expected a number of hops, or addresses and CIDR ranges separated by commas");
  }

  const publicUrl = readAddress(values, "CLOAKROOM_PUBLIC_URL", report);
  const tokenService = values.CLOAKROOM_TOKEN_SERVICE === "off"
    ? null
    : readIssuer(values, "CLOAKROOM_TOKEN_SERVICE", report);
  const management = {
    issuer: readIssuer(values, "CLOAKROOM_MANAGEMENT_ISSUER", report) ?? tokenService,
    audience: values.CLOAKROOM_MANAGEMENT_AUDIENCE ?? (publicUrl === null ? null : `${publicUrl}/management`),
  };
  if (management.issuer !== null && management.audience === null && !isGiven("CLOAKROOM_PUBLIC_URL")) {
    report("CLOAKROOM_MANAGEMENT_AUDIENCE", "Missing: set it, or CLOAKROOM_PUBLIC_URL, from which it follows");
  }
  if (tokenService !== null && publicUrl !== null && isShadowing(tokenService, publicUrl)) {
    report(
      "CLOAKROOM_TOKEN_SERVICE",
      "Expected a host of its own, or a path such as /id: here it would answer for the whole app",
    );
  }
  const bootstrapClient = readBootstrapClient(values.CLOAKROOM_BOOTSTRAP_CLIENT, report);
  if (bootstrapClient !== null && tokenService === null) {
    report(
      "CLOAKROOM_BOOTSTRAP_CLIENT",
      "Has no use without CLOAKROOM_TOKEN_SERVICE: set that to the public address of the embedded token service",
    );
  }
  const loopbackCookies = readChoice(values, "CLOAKROOM_LOOPBACK_COOKIES", ["secure", "plain"], report);
  const cacheBytes = Number(values.CLOAKROOM_CACHE_BYTES ?? DEFAULT_CACHE_BYTES);
  if (!/^\d{1,12}$/.test(values.CLOAKROOM_CACHE_BYTES ?? "0") || cacheBytes < MIN_CACHE_BYTES) {
    report("CLOAKROOM_CACHE_BYTES", `Expected whole bytes, at least ${MIN_CACHE_BYTES}`);
  }
  const config: ServiceConfig = {
    host,
    port,
    isDemo,
    kvPath: isDemo ? ":memory:" : values.KV_PATH ?? null,
    masterKeys: [new Secret(masterKey ?? new Uint8Array(KEY_BYTES)), ...formerMasterKeys.map((key) => new Secret(key))],
    publicUrl,
    management: management.issuer !== null && management.audience !== null
      ? { issuer: management.issuer, audience: management.audience }
      : null,
    issuer: readIssuer(values, "CLOAKROOM_ISSUER", report),
    upstream: readAddress(values, "CLOAKROOM_UPSTREAM", report),
    tokenService,
    bootstrapClient,
    trustedProxies,
    cacheBytes,
    plainLoopbackCookies: loopbackCookies === "plain",
  };
  return faults.length > 0 ? { kind: "refused", faults } : { kind: "read", config };
}

type Values = { readonly [name in Variable]?: string };
type Report = (variable: string, advice: string) => void;

/** One value a variable: from the environment, from its file, or from `CLOAKROOM_CONFIG`, in this order. */
function collectValues(env: Readonly<Record<string, string>>, sources: ConfigSources, report: Report): Values {
  const values: { [name in Variable]?: string } = {};
  for (const name of Object.keys(env)) {
    if (name.startsWith("CLOAKROOM_") && !isKnown(name)) report(name, `Unknown variable${suggestFor(name, VARIABLES)}`);
  }
  for (const [name, value] of Object.entries(readConfigText(env.CLOAKROOM_CONFIG, sources, report))) {
    if (!VARIABLES.includes(name as Variable) || name === "CLOAKROOM_CONFIG") {
      report("CLOAKROOM_CONFIG", `Unknown member ${name.slice(0, 64)}${suggestFor(name, VARIABLES)}`);
    } else if (typeof value !== "string" && typeof value !== "number") {
      report("CLOAKROOM_CONFIG", `Expected a text as member ${name}`);
    } else {
      values[name as Variable] = `${value}`;
    }
  }
  for (const name of VARIABLES) {
    const value = env[name];
    if (value !== undefined && value !== "") values[name] = value;
  }
  for (const name of SECRETS) {
    const path = env[`${name}_FILE`];
    if (path === undefined || path === "") continue;
    const text = sources.readFile(path);
    if (env[name]) report(`${name}_FILE`, `Give either ${name} or ${name}_FILE, not both`);
    else if (text === null) report(`${name}_FILE`, "The file cannot be read: check the path and the permission");
    else values[name] = text.trim();
  }
  return values;
}

function isKnown(name: string): boolean {
  const base = name.replace(/_FILE$/, "") as Variable;
  return VARIABLES.includes(name as Variable) || (name.endsWith("_FILE") && SECRETS.includes(base));
}

function readConfigText(given: string | undefined, sources: ConfigSources, report: Report) {
  if (given === undefined || given === "") return {};
  const text = given.trimStart().startsWith("{") ? given : sources.readFile(given);
  const config = text === null ? null : readJsonObject(text);
  if (config === null) {
    report("CLOAKROOM_CONFIG", "Expected a JSON object, or the path of a file that holds one");
    return {};
  }
  const { $schema: _, ...members } = config;
  return members;
}

/** One key, or several separated by commas while one replaces another: the first one wraps. */
function readMasterKeys(text: string | undefined, report: Report): readonly Uint8Array<ArrayBuffer>[] {
  if (text === undefined) {
    report("CLOAKROOM_MASTER_KEY", `Missing: 32 random bytes as base64url; ${MAKE_KEY}`);
    return [];
  }
  return text.split(",").flatMap((part) => {
    const bytes = readBase64Url(part.trim());
    if (bytes?.length === KEY_BYTES) return [bytes];
    const found = bytes === null ? "this is not base64url without padding" : `got ${bytes.length} bytes`;
    report("CLOAKROOM_MASTER_KEY", `Expected 32 bytes as base64url (43 characters), ${found}; ${MAKE_KEY}`);
    return [];
  });
}

function readChoice(values: Values, name: Variable, choices: readonly string[], report: Report): string | null {
  const value = values[name];
  if (value === undefined || choices.includes(value)) return value ?? null;
  report(name, `Expected ${choices.join(" or ")}`);
  return null;
}

/** A base address, without a slash at the end. Plain http is for loopback. */
function readAddress(values: Values, name: Variable, report: Report): string | null {
  const value = values[name];
  if (value === undefined) return null;
  if (isBase(value)) return value.replace(/\/$/, "");
  report(name, "Expected an https address such as https://api.site.example, without query or fragment");
  return null;
}

/** An issuer, exactly as it was written: it is compared as text. */
function readIssuer(values: Values, name: Variable, report: Report): string | null {
  const value = values[name];
  if (value === undefined || isBase(value)) return value ?? null;
  report(name, "Expected an https address, exactly as the token service writes its issuer");
  return null;
}

/** An address in the form that the URL parser gives it, so that it is the same text wherever it is compared. */
function isBase(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || (url.href !== text && url.href !== `${text}/`)) return false;
  if (/[?#]/.test(text) || url.username !== "" || url.password !== "") return false;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopbackName(url.hostname));
}

/** Tells whether the token service would take every request of the app. */
function isShadowing(tokenService: string, publicUrl: string): boolean {
  const { host, pathname } = new URL(tokenService);
  return pathname === "/" && host === new URL(publicUrl).host;
}

function readBootstrapClient(text: string | undefined, report: Report): ServiceConfig["bootstrapClient"] {
  if (text === undefined) return null;
  const [, id, secret] = /^([A-Za-z0-9._-]{1,128}):([\u0021-\u007e]{16,256})$/.exec(text) ?? [];
  if (id !== undefined && secret !== undefined) return { id, secret: new Secret(secret) };
  report("CLOAKROOM_BOOTSTRAP_CLIENT", "Expected id:secret, the secret with at least 16 visible ASCII characters");
  return null;
}
