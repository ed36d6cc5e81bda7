/**
 * The token handler in this process: several instances on one store, with a clock that tests move, an identity provider
 * and an API behind sockets, and browsers.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { LogEvent } from "../../lib/log.ts";
import { Secret } from "../../lib/secret.ts";
import { createMemoryRecords, type Records } from "../../lib/store/mod.ts";
import { type Cloakroom, createCloakroom } from "../../routes/cloakroom.ts";
import { createTestClock, type TestClock } from "./clock.ts";
import { createNetwork, type Handler, type Hosts, serveOnLoopback } from "./loopback.ts";
import { createMockIdp, type MockIdp } from "./mock_idp.ts";
import { createMockUpstream, type MockUpstream } from "./mock_upstream.ts";
import { createTestBrowser, type Exchange, type TestBrowser } from "./test_browser.ts";

/** Where browsers find the service. */
export const APP = "https://app.acme.test";

/** How a service is set up. */
export interface ServiceOptions {
  /** How many instances share the store; 1 by default. */
  readonly instances?: number;
  /** The store of each instance, by the service's clock; one in memory for all of them by default. */
  readonly openRecords?: (clock: TestClock) => (instance: number) => Records;
  /** More settings of the vendor. */
  readonly vendor?: Readonly<Record<string, unknown>>;
}

/** A service. */
export interface Service {
  readonly clock: TestClock;
  readonly idp: MockIdp;
  readonly upstream: MockUpstream;
  readonly instances: readonly Cloakroom[];
  readonly log: readonly LogEvent[];
  /** Answers for the provider's token endpoint, which then never learns of the call; `null` if the provider answers. */
  tokenFault: Handler | null;
  /** How often the token endpoint was called, faults included. */
  readonly tokenCalls: () => number;
  /** Opens a browser whose requests go round the instances. */
  openBrowser(): TestBrowser;
  /** Signs somebody in. The first access token lives so many seconds, the later ones an hour. */
  signIn(user?: string, accessTokenSeconds?: number): Promise<TestBrowser>;
  /** Stops everything. */
  close(): Promise<void>;
}

/** A call of a page to the API. */
export async function callApi(browser: TestBrowser, path = "/api/x", method = "GET"): Promise<Exchange> {
  return await browser.fetch(`${APP}${path}`, { from: `${APP}/`, method });
}

/** The `Cookie` header that a browser sends to the service. */
export function cookiesOf(browser: TestBrowser): string {
  return browser.jar.header(new URL(APP)) ?? "";
}

/** Sets a service up. */
export async function createService(options: ServiceOptions = {}): Promise<Service> {
  const { instances: count = 1, openRecords = openMemory, vendor = {} } = options;
  const clock = createTestClock();
  const upstream = createMockUpstream();
  const clients = [{ id: "acme-client", secret: "a-secret-of-acme", redirectUris: [`${APP}/auth/acme/callback`] }];
  const idp = await createMockIdp({ clients, now: clock });
  const idpServer = serveOnLoopback((request) => idp.handle(request));
  const apiServer = serveOnLoopback(upstream.handle);
  let tokenCalls = 0;
  const network = createNetwork({
    "idp.test": async (request) => {
      if (new URL(request.url).pathname !== "/token") return await idpServer.send(request);
      tokenCalls++;
      return await (service.tokenFault ?? idpServer.send)(request);
    },
    "upstream.test": apiServer.send,
  });
  const log: LogEvent[] = [];
  const masterKey = new Secret(crypto.getRandomValues(new Uint8Array(32)));
  const records = openRecords(clock);
  const instances: Cloakroom[] = [];
  for (let i = 0; i < count; i++) {
    const { fetch } = network;
    const options = {
      records: records(i),
      masterKey,
      fetch,
      now: clock,
      log: (event: LogEvent) => void log.push(event),
    };
    instances.push(await createCloakroom(options));
  }
  await instances[0]!.saveVendor("acme", {
    clientId: clients[0]!.id,
    clientSecret: clients[0]!.secret,
    issuer: idp.issuer,
    publicUrl: APP,
    hosts: [new URL(APP).host],
    scopes: ["openid", "offline_access"],
    upstreams: [{ path: "/api", target: "https://upstream.test" }],
    ...vendor,
  });
  let turn = 0;
  const hosts: Hosts = {
    [new URL(APP).host]: (request) => instances[turn++ % count]!.fetch(request),
    "idp.test": idp.handle,
  };

  const service: Service = {
    clock,
    idp,
    upstream,
    instances,
    log,
    tokenFault: null,
    tokenCalls: () => tokenCalls,
    openBrowser: () => createTestBrowser(hosts, clock),

    async signIn(user = "alice", accessTokenSeconds = 3600): Promise<TestBrowser> {
      const browser = service.openBrowser();
      Object.assign(idp, { user, accessTokenSeconds });
      const { last } = await browser.navigate(`${APP}/auth/acme/login`, { until: ({ pathname }) => pathname === "/" });
      idp.accessTokenSeconds = 3600;
      assertEquals(last?.status, 302, last?.body);
      assert(cookiesOf(browser).includes("__Host-rt="), "nobody is signed in");
      return browser;
    },

    async close(): Promise<void> {
      for (const instance of instances) await instance.settle();
      await idpServer.close();
      await apiServer.close();
    },
  };
  return service;
}

function openMemory(clock: TestClock): () => Records {
  const records = createMemoryRecords(clock);
  return () => records;
}
