/**
 * The world that the attacks happen in: the product behind a socket, two vendors, the identity provider and the upstream
 * that they use, and the names under which they are found. The file `FORMAT.md` says what each name stands for.
 *
 * @module
 */

import type { LogEvent } from "../../lib/log.ts";
import { Secret } from "../../lib/secret.ts";
import { createMemoryRecords } from "../../lib/store/mod.ts";
import { type Cloakroom, createCloakroom } from "../../routes/cloakroom.ts";
import { createTestClock, type TestClock } from "../support/clock.ts";
import {
  createNetwork,
  type Handler,
  type Hosts,
  type LoopbackServer,
  type Network,
  serveOnLoopback,
} from "../support/loopback.ts";
import { createMockIdp, type MockIdp } from "../support/mock_idp.ts";
import { createMockUpstream, type MockUpstream } from "../support/mock_upstream.ts";
import { createTestBrowser, type TestBrowser } from "../support/test_browser.ts";
import { createOwnTokenService, type OwnTokenService, TOKEN_SERVICE } from "./token_service.ts";

/** Everything that is running. */
export interface World {
  readonly clock: TestClock;
  readonly cloakroom: Cloakroom;
  /** The product's listener. */
  readonly app: LoopbackServer;
  readonly idp: MockIdp;
  /** Another provider, for answers that come from the wrong one. */
  readonly otherIdp: MockIdp;
  readonly upstream: MockUpstream;
  /** What the product has dialled. */
  readonly network: Network;
  /** The web as browsers see it. */
  readonly hosts: Hosts;
  readonly log: readonly LogEvent[];
  /** Every record that was written into the store. */
  readonly written: readonly { readonly expiresAt?: number }[];
  /** Answers for the provider, where a case wants it to fail below HTTP; `null` if the provider answers. */
  idpFault: Handler | null;
  /** Our own token service, started when it is first needed. */
  readonly tokenService: () => Promise<OwnTokenService>;
  /** Makes a browser in which somebody is signed in at the identity provider. */
  openBrowser(user: string): TestBrowser;
  /** Stops everything. */
  close(): Promise<void>;
}

/** The secret that acme and the identity provider share. */
export const CLIENT_SECRET = "the-secret-of-acme";

/** What acme's settings say. */
export const ACME = {
  clientId: "acme-client",
  clientSecret: CLIENT_SECRET,
  issuer: "https://idp.test/",
  publicUrl: "https://api.acme.test",
  hosts: ["api.acme.test"],
  allowedOrigins: ["https://www.acme.test"],
  scopes: ["openid", "profile", "email", "offline_access"],
  audience: ["https://upstream.test/"],
  upstreams: [
    { path: "/api", target: "https://upstream.test" },
    { path: "/private", target: "https://upstream.test" },
    { path: "/public", target: "https://upstream.test", anonymous: true },
  ],
};

/** What globex's settings say. */
export const GLOBEX = {
  ...ACME,
  clientId: "globex-client",
  clientSecret: "the-secret-of-globex",
  publicUrl: "https://api.globex.test",
  hosts: ["api.globex.test"],
  allowedOrigins: ["https://www.globex.test"],
  upstreams: [{ path: "/api", target: "https://upstream.test" }],
};

/** Whose tokens may manage vendors. */
export const MANAGEMENT = { issuer: "https://idp.test/", audience: "https://api.acme.test/management" };

/** Hosts of identity providers. */
export const IDP_HOSTS = ["idp.test", "idp-b.test"];

/** Hosts that the product may dial. */
export const DIALLED_HOSTS = [...IDP_HOSTS, "upstream.test"];

/** Where everybody calls from. Loopback would be mistaken for what a stranger writes into a header. */
const PEER = "192.0.2.7";

/** Sets everything up. */
export async function createWorld(): Promise<World> {
  const clock = createTestClock();
  const clients = Object.entries({ acme: ACME, globex: GLOBEX }).map(([vendor, settings]) => ({
    id: settings.clientId,
    secret: settings.clientSecret,
    redirectUris: [`${settings.publicUrl}/auth/${vendor}/callback`],
  }));
  const idp = await createMockIdp({ clients, now: clock });
  const otherIdp = await createMockIdp({ clients, now: clock, issuer: "https://idp-b.test/", kid: "idp-b-1" });
  const upstream = createMockUpstream();
  const servers = [idp, otherIdp, upstream].map(({ handle }) => serveOnLoopback(handle));
  const [idpServer, otherIdpServer, upstreamServer] = servers;
  const network = createNetwork({
    "idp.test": (request) => (world.idpFault ?? idpServer!.send)(request),
    "idp-b.test": otherIdpServer!.send,
    "upstream.test": upstreamServer!.send,
  });

  const log: LogEvent[] = [];
  const written: { readonly expiresAt?: number }[] = [];
  const records = createMemoryRecords(clock);
  const cloakroom = await createCloakroom({
    records: {
      ...records,
      commit(change) {
        written.push(...change.sets ?? []);
        return records.commit(change);
      },
    },
    masterKey: new Secret(crypto.getRandomValues(new Uint8Array(32))),
    fetch: network.fetch,
    now: clock,
    management: MANAGEMENT,
    webSockets: {
      // To the upstream, which writes down whoever knocks.
      dial: (address, options) =>
        new WebSocket(`ws://127.0.0.1:${upstreamServer!.port}${new URL(address).pathname}`, options),
      upgrade: (request) => Deno.upgradeWebSocket(request),
    },
    log: (event) => void log.push(event),
  });
  await cloakroom.saveVendor("acme", ACME);
  await cloakroom.saveVendor("globex", GLOBEX);
  let ownTokenService: Promise<OwnTokenService> | undefined;
  const tokenService = () => ownTokenService ??= createOwnTokenService(clock);
  const app = serveOnLoopback(async (request) => {
    const isOurs = request.headers.get("host") === new URL(TOKEN_SERVICE).host;
    return isOurs ? await (await tokenService()).kit.app.fetch(request) : await cloakroom.fetch(request, PEER);
  });

  const page = () => new Response("<!doctype html><title>A page</title>", { headers: { "content-type": "text/html" } });
  const hosts: Hosts = {
    "api.acme.test": app.send,
    "api.globex.test": app.send,
    "www.acme.test": page,
    "www.globex.test": page,
    "idp.test": idpServer!.send,
    "idp-b.test": otherIdpServer!.send,
    "id.test": app.send,
  };

  const world: World = {
    clock,
    cloakroom,
    app,
    idp,
    otherIdp,
    upstream,
    network,
    hosts,
    log,
    written,
    idpFault: null,
    tokenService,

    openBrowser(user: string): TestBrowser {
      const browser = createTestBrowser(hosts, clock);
      for (const { issuer } of [idp, otherIdp]) {
        browser.jar.take(new URL(issuer), `user=${user}; Path=/; Secure; SameSite=None`);
      }
      return browser;
    },

    async close(): Promise<void> {
      await cloakroom.settle();
      for (const server of [app, ...servers]) await server.close();
    },
  };
  return world;
}

/** Runs something in a world of its own, and stops that whatever happens. */
export async function withWorld(run: (world: World) => Promise<void>): Promise<void> {
  const world = await createWorld();
  try {
    await run(world);
  } finally {
    await world.close();
  }
}
