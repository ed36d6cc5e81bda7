/**
 * The whole application in memory, for tests of its routes: one vendor at its own host, an identity provider, an API, a
 * clock that tests move, and browsers. No sockets.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { readJsonObject } from "../../lib/encoding.ts";
import type { LogEvent } from "../../lib/log.ts";
import { Secret } from "../../lib/secret.ts";
import { createMemoryRecords, type Records } from "../../lib/store/mod.ts";
import { type Cloakroom, type CloakroomOptions, createCloakroom } from "../../routes/cloakroom.ts";
import { createTestClock, type TestClock } from "../support/clock.ts";
import { createNetwork, type Handler, type Hosts, type Network } from "../support/loopback.ts";
import { createMockIdp, type MockIdp } from "../support/mock_idp.ts";
import { createMockUpstream, type MockUpstream } from "../support/mock_upstream.ts";
import { signJwt } from "../support/signing_key.ts";
import { createTestBrowser, type TestBrowser } from "../support/test_browser.ts";

/** Where the token handler of the vendor is. */
export const APP = "https://api.acme.test";

/** The vendor's pages: an allowed origin on the same site. */
export const PAGE = "https://www.acme.test";

/** The vendor's endpoints. */
export const AUTH = `${APP}/auth/acme`;

export const ISSUER = "https://idp.test/";
export const MANAGEMENT_AUDIENCE = `${APP}/management`;

/** Settings that every test vendor has. */
export const VENDOR = {
  clientId: "web-app",
  hosts: ["api.acme.test"],
  allowedOrigins: [PAGE],
  audience: "https://upstream.test/",
  upstreams: [
    { path: "/api", target: "https://upstream.test" },
    { path: "/public", target: "https://upstream.test", anonymous: true },
  ],
};

/** How a setting differs from the usual one. */
export interface SettingOptions {
  /** Settings of the vendor. */
  readonly vendor?: Readonly<Record<string, unknown>>;
  /** Options of the application. */
  readonly cloakroom?: Partial<CloakroomOptions>;
  /** Wraps the store. */
  readonly wrapRecords?: (records: Records) => Records;
  /** Further hosts that the application can reach. */
  readonly hosts?: Hosts;
}

export interface Setting {
  readonly cloakroom: Cloakroom;
  readonly clock: TestClock;
  readonly idp: MockIdp;
  readonly upstream: MockUpstream;
  readonly records: Records;
  readonly network: Network;
  readonly log: LogEvent[];
  /** Answers for the provider's token endpoint, which then never learns of the call; `null` if the provider answers. */
  tokenFault: Handler | null;
  /** Opens a browser without cookies. */
  openBrowser(): TestBrowser;
  /** Opens a browser and signs somebody in. */
  signIn(user?: string): Promise<TestBrowser>;
  /** Sends a request as it is, without a browser's doing. */
  send(target: string, init?: RequestInit): Promise<Response>;
  /** Makes a management token. */
  makeToken(claims?: Readonly<Record<string, unknown>>): Promise<string>;
  /** Calls the management API with every scope, or with the given token. */
  manage(method: string, path: string, init?: RequestInit & { readonly token?: string }): Promise<Response>;
}

/** Makes a setting with the vendor `acme`. */
export async function createSetting(options: SettingOptions = {}): Promise<Setting> {
  const { vendor = {}, cloakroom: changed = {}, wrapRecords = (records) => records, hosts = {} } = options;
  const clock = createTestClock();
  const redirectUris = [`${AUTH}/callback`, "https://www.acme.test/cloakroom/auth/acme/callback"];
  const clients = [{ id: "web-app", secret: null, redirectUris }];
  const idp = await createMockIdp({ clients, now: clock, issuer: ISSUER });
  const upstream = createMockUpstream();
  const network = createNetwork({
    "idp.test": (request) => {
      const isToken = new URL(request.url).pathname === "/token";
      return (isToken && setting.tokenFault || idp.handle)(request);
    },
    "upstream.test": upstream.handle,
    ...hosts,
  });
  const records = wrapRecords(createMemoryRecords(clock));
  const log: LogEvent[] = [];
  const cloakroom = await createCloakroom({
    records,
    masterKey: new Secret(new Uint8Array(32).fill(7)),
    defaults: { issuer: ISSUER },
    management: { issuer: ISSUER, audience: MANAGEMENT_AUDIENCE },
    fetch: network.fetch,
    now: clock,
    log: (event) => log.push(event),
    ...changed,
  });
  await cloakroom.saveVendor("acme", { ...VENDOR, ...vendor });

  const answer: Handler = (request) => cloakroom.fetch(request, "203.0.113.9");

  async function makeToken(claims: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const all = {
      iss: ISSUER,
      sub: "operator",
      aud: MANAGEMENT_AUDIENCE,
      client_id: "operator",
      scope: "read:vendors write:vendors write:keys",
      iat: clock(),
      exp: clock() + 60,
      ...claims,
    };
    const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
    return await signJwt(idp.key, { typ: "at+jwt" }, given);
  }

  const setting: Setting = {
    cloakroom,
    clock,
    idp,
    upstream,
    records,
    network,
    log,
    tokenFault: null,
    makeToken,

    openBrowser(): TestBrowser {
      return createTestBrowser({ "api.acme.test": answer, "idp.test": idp.handle }, clock);
    },

    async signIn(user = "alice"): Promise<TestBrowser> {
      const browser = setting.openBrowser();
      idp.user = user;
      const { url, exchanges } = await browser.navigate(`${AUTH}/login?returnTo=${PAGE}/`);
      assertEquals(url.href, `${PAGE}/`, exchanges.at(-1)?.body);
      return browser;
    },

    async send(target: string, init: RequestInit = {}): Promise<Response> {
      return await answer(new Request(target.startsWith("/") ? `${APP}${target}` : target, init));
    },

    async manage(method, path, { token, ...init } = {}): Promise<Response> {
      const headers = new Headers(init.headers);
      if (!headers.has("content-type")) headers.set("content-type", "application/json");
      headers.set("authorization", `Bearer ${token ?? await makeToken()}`);
      return await setting.send(`/management${path}`, { method, ...init, headers });
    },
  };
  return setting;
}

/** The `Cookie` header that a browser sends to the application from its own site. */
export function cookiesOf(browser: TestBrowser): string {
  return browser.jar.header(new URL(APP)) ?? "";
}

/** Headers of a call from a script of the application's own origin. */
export function ownCall(cookie: string, headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { cookie, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", ...headers };
}

/** Headers of a page load. */
export const NAVIGATION = { "sec-fetch-site": "none", "sec-fetch-mode": "navigate", "accept": "text/html" };

/** Reads a problem and checks its form (contract, section 2.7). */
export async function readProblem(response: Response): Promise<Record<string, unknown> & { readonly code: string }> {
  assertEquals(response.headers.get("content-type"), "application/problem+json");
  assertEquals(response.headers.get("cache-control"), "no-store");
  const problem = readJsonObject(await response.text());
  assert(problem !== null, "no problem in the body");
  const { type, title, status, detail, code, request_id } = problem;
  for (const text of [type, title, detail, code, request_id]) assert(typeof text === "string" && text !== "");
  assertEquals(status, response.status);
  assertEquals(request_id, response.headers.get("x-request-id"));
  return problem as never;
}

/** The code of a problem; the status for everything else. */
export async function codeOf(response: Response): Promise<string | number> {
  if (response.headers.get("content-type") === "application/problem+json") return (await readProblem(response)).code;
  await response.body?.cancel();
  return response.status;
}
