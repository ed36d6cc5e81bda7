/**
 * Several server processes on one database, with an identity provider and an API on loopback.
 *
 * The processes are real ones: they share nothing but the database, and can be killed.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../lib/clock.ts";
import type { LogEvent } from "../../lib/log.ts";
import { createSender, serveOnLoopback } from "./loopback.ts";
import { createMockIdp, type MockIdp } from "./mock_idp.ts";
import { createMockUpstream, type MockUpstream } from "./mock_upstream.ts";
import { sendRequest } from "./raw_http.ts";
import { MANAGEMENT_AUDIENCE, type ServerSetup } from "./server_process.ts";
import { signJwt } from "./signing_key.ts";
import { createTestBrowser, type TestBrowser } from "./test_browser.ts";

/** Where browsers find the cluster. */
export const APP = "https://app.acme.test";

/** One server process. */
export interface ServerProcess {
  readonly port: number;
  readonly send: (request: Request) => Promise<Response>;
  /** What it has logged. */
  readonly log: readonly LogEvent[];
  /** Ends it without any notice. */
  kill(): Promise<void>;
}

/** How a cluster is set up. */
export interface ClusterOptions {
  /** How many processes to start; 3 by default. */
  readonly processes?: number;
  /** Workers of each process; 1 by default. */
  readonly workers?: number;
  /** Address of a KV Connect server instead of a file, and the token for it. */
  readonly kvConnect?: { readonly url: string; readonly accessToken: string };
  /** More settings of the vendor. */
  readonly vendor?: Readonly<Record<string, unknown>>;
  /** What the runtime may print besides log events, because the test provokes it. */
  readonly provoked?: RegExp;
}

/** A cluster. Disposing of it stops everything, and fails if a process has said anything but log events. */
export interface Cluster extends AsyncDisposable {
  readonly idp: MockIdp;
  readonly upstream: MockUpstream;
  /** The processes that have not been killed. */
  readonly processes: readonly ServerProcess[];
  /** The database file; empty with KV Connect. */
  readonly kvPath: string;
  /** Master keys as the next process gets them; the first one wraps. */
  readonly masterKeys: string[];
  /** Starts one process more. */
  start(): Promise<ServerProcess>;
  /** Opens a browser whose requests go round the processes. */
  openBrowser(): TestBrowser;
  /** Signs somebody in. */
  signIn(user?: string): Promise<TestBrowser>;
  /** Calls the management API. */
  manage(method: string, path: string, body?: unknown): Promise<Response>;
}

/** The `Cookie` header that a browser sends to the cluster. */
export function cookiesOf(browser: TestBrowser): string {
  return browser.jar.header(new URL(APP)) ?? "";
}

/** Sends one call to the API with cookies as they are, as `fetch` of a page would. */
export async function callApi(process: ServerProcess, cookie: string, path = "/api/x"): Promise<Response> {
  return await process.send(new Request(`${APP}${path}`, { headers: { cookie, "sec-fetch-site": "same-origin" } }));
}

/** Starts a cluster. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { processes: count = 3, kvConnect, vendor = {} } = options;
  const folder = await Deno.makeTempDir();
  const upstream = createMockUpstream();
  const idpServer = serveOnLoopback((request) => idp.handle(request));
  const apiServer = serveOnLoopback(upstream.handle);
  const issuer = `http://127.0.0.1:${idpServer.port}/`;
  const clients = [{ id: "acme-client", secret: "a-secret-of-acme", redirectUris: [`${APP}/auth/acme/callback`] }];
  const idp = await createMockIdp({ clients, now: systemClock, issuer });
  const masterKeys = [drawKey()];
  const processes: ServerProcess[] = [];
  const stopped: Promise<string>[] = [];
  let turn = 0;

  async function start(): Promise<ServerProcess> {
    const setup: ServerSetup = {
      kvPath: kvConnect?.url ?? cluster.kvPath,
      masterKeys,
      managementIssuer: issuer,
    };
    const { process, ended } = await startProcess({
      SERVER_SETUP: JSON.stringify(setup),
      DENO_KV_ACCESS_TOKEN: kvConnect?.accessToken ?? "",
      DENO_JOBS: `${options.workers ?? 1}`,
    });
    const own: ServerProcess = {
      ...process,
      async kill() {
        processes.splice(processes.indexOf(own), 1);
        await process.kill();
      },
    };
    processes.push(own);
    stopped.push(ended);
    return own;
  }

  async function manage(method: string, path: string, body?: unknown): Promise<Response> {
    const now = systemClock();
    const token = await signJwt(idp.key, { typ: "at+jwt" }, {
      iss: issuer,
      sub: "operator",
      aud: MANAGEMENT_AUDIENCE,
      client_id: "operator",
      scope: "read:vendors write:vendors write:keys",
      iat: now,
      exp: now + 60,
    });
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    return await processes[0]!.send(new Request(`${APP}/management${path}`, init));
  }

  const cluster: Cluster = {
    idp,
    upstream,
    processes,
    kvPath: kvConnect === undefined ? `${folder}/kv.sqlite` : "",
    masterKeys,
    start,
    manage,

    openBrowser(): TestBrowser {
      return createTestBrowser({
        [new URL(APP).host]: (request) => processes[turn++ % processes.length]!.send(request),
        [new URL(issuer).host]: idp.handle,
      }, systemClock);
    },

    async signIn(user = "alice"): Promise<TestBrowser> {
      const browser = cluster.openBrowser();
      idp.user = user;
      const { last } = await browser.navigate(`${APP}/auth/acme/login`, { until: ({ pathname }) => pathname === "/" });
      assertEquals(last?.status, 302, last?.body);
      assert(cookiesOf(browser).includes("__Host-rt="), "nobody is signed in");
      return browser;
    },

    async [Symbol.asyncDispose](): Promise<void> {
      for (const process of [...processes]) await process.kill();
      await idpServer.close();
      await apiServer.close();
      await Deno.remove(folder, { recursive: true });
      const complaints = (await Promise.all(stopped)).flatMap((said) => said === "" ? [] : said.split("\n"));
      assertEquals(complaints.filter((line) => !options.provoked?.test(line)), [], "a process has complained");
    },
  };

  for (let i = 0; i < count; i++) await start();
  const saved = await manage("PUT", "/vendors/acme/token-handler", {
    clientId: clients[0]!.id,
    clientSecret: clients[0]!.secret,
    issuer,
    publicUrl: APP,
    hosts: [new URL(APP).host],
    scopes: ["openid", "offline_access"],
    upstreams: [{ path: "/api", target: `http://127.0.0.1:${apiServer.port}` }],
    ...vendor,
  });
  assertEquals(saved.status, 201, await saved.text());
  return cluster;
}

/** What `deno serve --parallel` puts in front of what a worker prints. */
const WORKER_REGEXP = /^\[serve-worker-\d+ *\] /;

/** Deno's own words about a KV Connect server that is away. */
const KV_CONNECT_REGEXP = /^KV Connect failed to call /;

/** Draws a master key. */
export function drawKey(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** `ended`: what the process has said besides log events, known at its end. */
async function startProcess(env: Record<string, string>): Promise<{ process: ServerProcess; ended: Promise<string> }> {
  const child = new Deno.Command("deno", {
    args: [
      "serve",
      "--host=127.0.0.1",
      ...(env.DENO_JOBS === "1" ? ["--port=0"] : ["--parallel", `--port=${findFreePort()}`]),
      "--no-prompt",
      "--allow-net=127.0.0.1",
      "--allow-env=SERVER_SETUP,DENO_KV_ACCESS_TOKEN",
      "--allow-read",
      "--allow-write",
      ...registryFlags(),
      new URL("server_process.ts", import.meta.url).pathname,
    ],
    env: { ...env, NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const log: LogEvent[] = [];
  const listening = Promise.withResolvers<number>();
  const reading = Promise.all([
    readLines(child.stdout, (line) => log.push(JSON.parse(line.replace(WORKER_REGEXP, "")))),
    complaintsOf(child.stderr, listening.resolve),
  ]);
  reading.then(([, complaints]) => listening.reject(new Error(`Cannot start a server process: ${complaints}`)));
  const port = await listening.promise;
  await untilAllListen(port, Number(env.DENO_JOBS));
  const sender = createSender(port);
  const process: ServerProcess = {
    port,
    log,
    send: sender.send,
    async kill(): Promise<void> {
      child.kill("SIGKILL");
      await child.status;
      sender.close();
    },
  };
  return { process, ended: reading.then(([, complaints]) => complaints) };
}

/** The workers of a process do not begin to listen at the same time; each new connection goes to one of them. */
async function untilAllListen(port: number, workers: number): Promise<void> {
  const seen = new Set<string | null>();
  while (seen.size < workers) {
    const { headers } = await sendRequest(port, { host: "app.acme.test", target: "/healthz" });
    seen.add(headers.get("x-test-worker"));
  }
}

/** Workers share a port only if it is named. */
function findFreePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** The registry that this very test runs with. */
export function registryFlags(): readonly string[] {
  const isNpm = import.meta.resolve("@std/assert").startsWith("file:");
  return isNpm ? ["--import-map=npm.import_map.json", "--lock=npm.lock"] : [];
}

async function complaintsOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  listens: (port: number) => void,
): Promise<string> {
  const complaints: string[] = [];
  await readLines(stream, (line) => {
    const port = /^deno serve: Listening on http:\/\/127\.0\.0\.1:(\d+)\//.exec(line)?.[1];
    if (port !== undefined) listens(Number(port));
    else if (!KV_CONNECT_REGEXP.test(line)) complaints.push(line);
  });
  return complaints.join("\n");
}

async function readLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>, take: (line: string) => void): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    lines.filter((line) => line !== "").forEach(take);
  }
  if (rest !== "") take(rest);
}
