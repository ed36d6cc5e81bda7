/**
 * The service: environment in, listeners out. The only file that knows this machine.
 *
 * Without configuration it runs the demo on loopback: token handler, embedded token service and a demo API, everything
 * seeded, state in memory. With `CLOAKROOM_MASTER_KEY` and `KV_PATH` it runs the configured service. `serve.ts` is the
 * same for `deno serve`.
 *
 * ```ts
 * import { assertEquals, assertRejects } from "@std/assert";
 * import { ConfigError, loadConfig } from "@cloakroom/token-handler/server";
 *
 * assertEquals((await loadConfig({})).isDemo, true);
 * await assertRejects(() => loadConfig({ CLOAKROOM_ISSUER: "not an address" }), ConfigError);
 * ```
 *
 * @module
 */
// deno-lint-ignore-file no-console -- the composition root is the one place that prints

import { systemClock } from "./lib/clock.ts";
import { type ConfigFault, readConfig, type ServiceConfig } from "./lib/config.ts";
import { createKeySets } from "./lib/jwt/mod.ts";
import type { LogEvent } from "./lib/log.ts";
import type { Fetch } from "./lib/outbound.ts";
import { systemRandom } from "./lib/random.ts";
import { createMemoryRecords, type Records } from "./lib/store/mod.ts";
import { createKvRecords } from "./lib/store/kv/mod.ts";
import { isLoopbackName, nameOfHost } from "./lib/vendor/mod.ts";
import { createSigningKeys, createTokenService, type KeyWrap, type TokenService } from "./lib/token_service/mod.ts";
import { createServiceKeys } from "./lib/token_handler/service_keys.ts";
import { within } from "./lib/waiting.ts";
import { type Cloakroom, createCloakroom } from "./routes/cloakroom.ts";
import type { WebSockets } from "./routes/deps.ts";
import { createDemoApi } from "./routes/demo/api.ts";
import { createDemoPages } from "./routes/demo/page.ts";
import { DEMO_LOGINS, DEMO_MANAGEMENT_CLIENT, MANAGEMENT_SCOPES, seedDemo } from "./routes/demo/seed.ts";
import { readTrustedProxies, type TrustedProxies, trustNobody } from "./routes/shared/proxies.ts";
import { createTokenServiceApp } from "./routes/token_service/mod.ts";

export type { ConfigFault, ServiceConfig } from "./lib/config.ts";

/** WebSockets of this runtime. */
const webSockets: WebSockets = {
  dial: (address, options) => new WebSocket(address, options),
  upgrade: (request, protocol) => Deno.upgradeWebSocket(request, protocol === "" ? {} : { protocol }),
};

/** Milliseconds that running requests get when the service is told to stop. */
const DRAIN_MS = 4000;

/** Milliseconds within which a second signal is taken for the first one. */
const SAME_SIGNAL_MS = 500;

/** Answers a request of a peer. */
export type Handle = (request: Request, clientAddress: string) => Promise<Response>;

/** A service that listens. */
export interface RunningService {
  /** Where the token handler answers, without a slash at the end. */
  readonly url: string;
  /** The token handler. */
  readonly cloakroom: Cloakroom;
  /** The embedded token service, and where it answers; `null` where it is off. */
  readonly tokenService: TokenService | null;
  /** What to tell the person who started it. */
  readonly banner: string;
  /** Stops: no new requests, running ones get a few seconds, then everything is closed. */
  shutdown(): Promise<void>;
}

/** The configuration cannot be used. */
export class ConfigError extends Error {
  /** What is wrong, all of it. */
  readonly faults: readonly ConfigFault[];

  /** Names the faults. */
  constructor(faults: readonly ConfigFault[]) {
    const count = faults.length === 1 ? "1 setting is wrong" : `${faults.length} settings are wrong`;
    const lines = faults.map(({ variable, advice }) => `  ${variable}\n      ${advice}`);
    super([`Cannot start Cloakroom: ${count}.`, "", ...lines].join("\n"));
    this.name = "ConfigError";
    this.faults = faults;
  }
}

/**
 * Reads the configuration from environment variables (contract, section 9).
 *
 * @param env The variables.
 * @returns The configuration.
 * @throws {ConfigError} If anything in it is wrong, the store included.
 */
export async function loadConfig(env: Readonly<Record<string, string>>): Promise<ServiceConfig> {
  const outcome = readConfig(env, {
    readFile,
    isTrustedProxies: (text) => readTrustedProxies(text) !== null,
    isHosted: env.DENO_DEPLOY !== undefined || env.DENO_DEPLOYMENT_ID !== undefined,
    random: systemRandom,
  });
  const faults = outcome.kind === "refused" ? [...outcome.faults] : [];
  const path = (outcome.kind === "read" ? outcome.config.kvPath : env.KV_PATH) ?? "";
  if (isFilePath(path) && !await isWritable(path)) {
    faults.push({
      variable: "KV_PATH",
      advice: "The file cannot be written: create its folder, and let this user write there",
    });
  }
  if (outcome.kind === "read" && faults.length === 0) return outcome.config;
  throw new ConfigError(faults);
}

function readFile(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return null;
  }
}

function isFilePath(path: string): boolean {
  return path !== "" && path !== ":memory:" && !/^https?:\/\//.test(path);
}

/** Tries to open the file for writing, and leaves nothing behind that was not there. */
async function isWritable(path: string): Promise<boolean> {
  const existed = await Deno.stat(path).then(() => true, () => false);
  try {
    (await Deno.open(path, { write: true, create: true })).close();
    if (!existed) await Deno.remove(path);
    return true;
  } catch {
    return false;
  }
}

async function openStore(config: ServiceConfig): Promise<{ readonly records: Records; readonly close: () => void }> {
  if (config.isDemo) return { records: createMemoryRecords(), close: () => {} };
  try {
    const kv = await (config.kvPath === null ? Deno.openKv() : Deno.openKv(config.kvPath));
    return { records: createKvRecords(kv), close: () => kv.close() };
  } catch {
    const advice = isFilePath(config.kvPath ?? "")
      ? "The file cannot be opened as a database: is it a KV file, and may this user read and write it?"
      : "The database does not answer: check the address, and DENO_KV_ACCESS_TOKEN for KV Connect";
    throw new ConfigError([{ variable: "KV_PATH", advice }]);
  }
}

/**
 * Starts the service as it is configured.
 *
 * @param config The configuration.
 * @returns The running service.
 * @throws {ConfigError} If the store cannot be opened.
 */
export async function startService(config: ServiceConfig): Promise<RunningService> {
  return await (config.isDemo ? startDemo(config) : startConfigured(config));
}

/** Starts listening; port 0 takes any free one. */
function listen(
  at: { readonly hostname: string; readonly port: number },
  handle: () => Handle,
): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve(
    { ...at, onListen: () => {}, onError: () => new Response(null, { status: 400 }) },
    (request, info) => {
      return handle()(request, info.remoteAddr.hostname);
    },
  );
}

/**
 * Stops listening and lets running requests end, but not for ever. Streams would not end by themselves, so they are told
 * first; what the running requests call stops last.
 */
async function shutdownAll([app, ...others]: readonly Deno.HttpServer[], cloakroom: Cloakroom): Promise<void> {
  cloakroom.endStreams();
  const drain = async () => {
    await Promise.all([app?.shutdown(), cloakroom.settle()]);
    await Promise.all(others.map((server) => server.shutdown()));
  };
  await within(DRAIN_MS, drain());
}

async function startDemo(config: ServiceConfig): Promise<RunningService> {
  const { host: hostname, port, masterKeys: [masterKey, ...formerMasterKeys] } = config;
  const next = (offset: number) => ({ hostname: "127.0.0.1", port: port === 0 ? 0 : port + offset });
  let isAccepting = true;
  // The addresses have to be known before anything that names them can be made.
  const unready: Handle = () => Promise.resolve(new Response(null, { status: 503 }));
  const handles = { app: unready, tokenService: unready, api: unready };
  const servers = [
    listen({ hostname, port }, () => handles.app),
    listen(next(1), () => handles.tokenService),
    listen(next(2), () => handles.api),
  ];
  const [appPort, tokenServicePort, apiPort] = servers.map((server) => server.addr.port);
  const url = `http://localhost:${appPort}`;
  const issuer = `http://127.0.0.1:${tokenServicePort}/`;
  const api = `http://127.0.0.1:${apiPort}`;
  const management = { issuer, audience: `${url}/management` };

  const { records } = await openStore(config);
  const tokenService = createTokenService({ issuer, records });
  const cloakroom = await createCloakroom({
    records,
    masterKey,
    formerMasterKeys,
    defaults: { issuer },
    management,
    log: writeProblems,
    cacheBytes: config.cacheBytes,
    plainLoopbackCookies: config.plainLoopbackCookies,
    insecureAllowLoopback: true,
    isAccepting: () => isAccepting,
    webSockets,
    demoPages: createDemoPages(DEMO_LOGINS),
  });
  const apps = [url, `http://127.0.0.1:${appPort}`];
  await seedDemo({ cloakroom, tokenService, random: systemRandom }, {
    apps,
    api,
    managementAudience: management.audience,
  });
  const keySets = createKeySets({ fetch });
  const jwksUri = String(tokenService.metadata().jwks_uri);
  handles.api = createDemoApi({ issuer, jwksUri, audience: api, keySets, now: systemClock });
  handles.tokenService = createTokenServiceHandle(tokenService);
  handles.app = onLoopbackNames(cloakroom.fetch);

  return {
    url,
    cloakroom,
    tokenService,
    banner: [
      "Cloakroom demo: state in memory, reachable from this machine only",
      "",
      `  Page and token handler  ${url}`,
      `  Token service           ${issuer}`,
      `  Demo API                ${api}`,
      "",
      `  Sign in as              ${DEMO_LOGINS.map(({ email }) => email).join(" or ")}, password: ${
        DEMO_LOGINS[0]!.password
      }`,
      `  Management client       ${DEMO_MANAGEMENT_CLIENT.id}, secret: ${DEMO_MANAGEMENT_CLIENT.secret}`,
      `  Management audience     ${management.audience}`,
      "",
      "Stop with Ctrl+C.",
    ].join("\n"),
    async shutdown(): Promise<void> {
      isAccepting = false;
      await shutdownAll(servers, cloakroom);
    },
  };
}

async function startConfigured(config: ServiceConfig): Promise<RunningService> {
  let isAccepting = true;
  const service = await createService(config, () => isAccepting);
  const server = listen({ hostname: config.host, port: config.port }, () => service.handle);
  const url = config.publicUrl ?? `http://${config.host}:${server.addr.port}`;
  return {
    url,
    cloakroom: service.cloakroom,
    tokenService: service.tokenService,
    banner: [
      `Cloakroom listens on http://${config.host}:${server.addr.port}`,
      `State: ${config.kvPath ?? "the platform's database"}`,
      ...(config.publicUrl === null ? [] : [`Public address: ${config.publicUrl}`]),
      ...(config.tokenService === null ? [] : [`Token service: ${config.tokenService}`]),
      `Management: ${
        config.management === null
          ? "off, so vendors cannot be added over HTTP"
          : `tokens of ${config.management.issuer} for ${config.management.audience}`
      }`,
    ].join("\n"),
    async shutdown(): Promise<void> {
      isAccepting = false;
      await shutdownAll([server], service.cloakroom);
      service.close();
    },
  };
}

/** A service without a listener. */
export interface Service {
  /** Answers a request of a peer. */
  readonly handle: Handle;
  /** The token handler. */
  readonly cloakroom: Cloakroom;
  /** The embedded token service; `null` where it is off. */
  readonly tokenService: TokenService | null;
  /** Closes the store. */
  readonly close: () => void;
}

/**
 * Creates the configured service without a listener, for hosts that bring their own.
 *
 * @param config The configuration; not the demo's, which has three listeners.
 * @param isAccepting Tells whether the service wants more requests.
 * @returns The service.
 * @throws {ConfigError} If the store cannot be opened.
 */
export async function createService(config: ServiceConfig, isAccepting: () => boolean = () => true): Promise<Service> {
  const { records, close } = await openStore(config);
  const [masterKey, ...formerMasterKeys] = config.masterKeys;
  const ownTokenService = config.tokenService === null
    ? null
    : await createConfiguredTokenService(config, { records, issuer: config.tokenService });
  const cloakroom = await createCloakroom({
    records,
    masterKey,
    formerMasterKeys,
    fetch: ownTokenService === null ? fetch : createInwardFetch(ownTokenService),
    defaults: { issuer: config.issuer ?? config.tokenService, upstream: config.upstream, publicUrl: config.publicUrl },
    management: config.management,
    log: writeLog,
    trustedProxies: config.trustedProxies,
    cacheBytes: config.cacheBytes,
    plainLoopbackCookies: config.plainLoopbackCookies,
    // Whoever tries the configured service on their own machine has no certificates there.
    insecureAllowLoopback: config.publicUrl !== null && isLoopbackName(new URL(config.publicUrl).hostname),
    isAccepting,
    webSockets,
  });
  if (ownTokenService === null) return { handle: cloakroom.fetch, cloakroom, tokenService: null, close };
  const tokenService = ownTokenService;
  const handle = atAddress(
    tokenService.issuer,
    createTokenServiceHandle(tokenService, readTrustedProxies(config.trustedProxies) ?? trustNobody),
    cloakroom.fetch,
  );
  return { handle, cloakroom, tokenService, close };
}

async function createConfiguredTokenService(
  config: ServiceConfig,
  { records, issuer }: { readonly records: Records; readonly issuer: string },
): Promise<TokenService> {
  const signingKeys = createSigningKeys({ records, wrap: await createKeyWrap(config) });
  // So that the former master key can be taken away at the next start.
  if (config.masterKeys.length > 1) await signingKeys.jwks();
  const tokenService = createTokenService({ issuer, records, signingKeys, log: writeLog });
  const { bootstrapClient, management } = config;
  if (bootstrapClient !== null && await tokenService.clients.find(bootstrapClient.id) === null) {
    await tokenService.clients.create({
      clientId: bootstrapClient.id,
      clientSecret: bootstrapClient.secret.reveal(),
      name: "Management",
      grantTypes: ["client_credentials"],
      scopes: MANAGEMENT_SCOPES,
      ...(management === null ? {} : { audiences: [management.audience], defaultAudience: management.audience }),
    });
  }
  return tokenService;
}

async function createKeyWrap({ masterKeys }: ServiceConfig): Promise<KeyWrap> {
  const serviceKeys = await createServiceKeys(masterKeys.map((key) => key.reveal()));
  return {
    seal: (text) => serviceKeys.seal("signing_key", { text }),
    async open(sealed) {
      const text = (await serviceKeys.open("signing_key", sealed))?.text;
      return typeof text === "string" ? text : null;
    },
    isCurrent: (sealed) => serviceKeys.isCurrent(sealed),
  };
}

/** Guesses are counted by the browser's address, so the word of a trusted proxy counts here too. */
function createTokenServiceHandle(tokenService: TokenService, trustedProxies: TrustedProxies = trustNobody): Handle {
  const addresses = new WeakMap<Request, string>();
  const app = createTokenServiceApp(tokenService, { clientAddress: (request) => addresses.get(request) ?? "" });
  return async (request, peer) => {
    const { trusts, clientOf } = trustedProxies;
    addresses.set(request, trusts(peer) ? clientOf(peer, request.headers.get("x-forwarded-for")) : peer);
    return await app.fetch(request);
  };
}

/** The demo's passwords are published: a name that some page made resolve to this machine is not answered. */
function onLoopbackNames(handle: Handle): Handle {
  return (request, peer) => {
    const name = nameOfHost(request.headers.get("host")?.toLowerCase() ?? "localhost");
    return isLoopbackName(name) ? handle(request, peer) : Promise.resolve(new Response(null, { status: 421 }));
  };
}

/**
 * Calls to the embedded token service stay within the process: a machine need not reach its own public name, which behind
 * address translation or a private certificate it often cannot.
 */
function createInwardFetch(tokenService: TokenService): Fetch {
  const handle = createTokenServiceHandle(tokenService);
  const base = tokenService.issuer.replace(/\/?$/, "/");
  const wellKnown = `${new URL(base).origin}/.well-known/`;
  return (input, init) => {
    const isInward = input.startsWith(base) ||
      (input.startsWith(wellKnown) && `${input}/`.endsWith(new URL(base).pathname));
    return isInward ? handle(new Request(input, init), "") : fetch(input, init);
  };
}

/** Sends requests for one address to another application on the same listener: a host of its own, or a path. */
function atAddress(address: string, there: Handle, elsewhere: Handle): Handle {
  const { host, pathname } = new URL(address);
  const base = pathname.replace(/\/$/, "");
  const isThere = ({ headers, url }: Request): boolean => {
    if (headers.get("host")?.toLowerCase() !== host) return false;
    if (base === "") return true;
    const path = url.slice(url.indexOf("/", "https://".length)).split("?", 1)[0]!;
    // RFC 8414, section 3.1: the well-known part stands before the issuer's path.
    return path.startsWith(`${base}/`) || (path.startsWith("/.well-known/") && path.endsWith(base));
  };
  return (request, clientAddress) => (isThere(request) ? there : elsewhere)(request, clientAddress);
}

/** One line of JSON an event: the log of the configured service. */
function writeLog(event: LogEvent): void {
  console.log(JSON.stringify({ time: new Date().toISOString(), ...event }));
}

/** The demo shows only what went wrong. */
function writeProblems(event: LogEvent): void {
  if (event.level === "error" || event.level === "warn") console.error(JSON.stringify(event));
}

async function main(): Promise<void> {
  let service: RunningService;
  try {
    service = await startService(await loadConfig(Deno.env.toObject()));
  } catch (error) {
    if (error instanceof ConfigError) console.error(error.message);
    else if (error instanceof Deno.errors.AddrInUse) {
      console.error(
        "Cannot start Cloakroom: a port is taken.\n\n  PORT\n      Stop the other program, or choose another port, for example " +
          "PORT=8800; the demo takes the two behind it too",
      );
    } else throw error;
    Deno.exit(2);
  }
  console.log(service.banner);
  let stoppingSince: number | null = null;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, async () => {
      // `deno task` passes signals on, so one that was sent to the whole group comes twice at once.
      const isRepeated = stoppingSince !== null && performance.now() - stoppingSince < SAME_SIGNAL_MS;
      if (isRepeated) return;
      if (stoppingSince !== null) Deno.exit(signal === "SIGINT" ? 130 : 143);
      stoppingSince = performance.now();
      await service.shutdown();
      Deno.exit(0);
    });
  }
}

if (import.meta.main) await main();
