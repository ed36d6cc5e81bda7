/**
 * The way of a call with nothing in memory but the parties: a socket to the token handler, a socket to the upstream. Only
 * the identity provider is called without one.
 *
 * @module
 */

import type { CloakroomOptions } from "../../routes/cloakroom.ts";
import type { WebSockets } from "../../routes/deps.ts";
import type { Handler } from "../support/loopback.ts";
import { type RawAnswer, type RawRequest, sendRequest } from "../support/raw_http.ts";
import { APP, createSetting, type Setting } from "../routes/setting.ts";

/** The host that calls go to. */
export const HOST = new URL(APP).host;

/** How a street is laid. */
export interface StreetOptions {
  /** The upstream: a handler that is served here, or the port of whoever is the upstream. */
  readonly upstream: Handler | number;
  /** More settings of the vendor. */
  readonly vendor?: Readonly<Record<string, unknown>>;
  /** More members of the row `/api`. */
  readonly row?: Readonly<Record<string, unknown>>;
  /** Options of the application. */
  readonly cloakroom?: Partial<CloakroomOptions>;
  /** As in a runtime that has none. */
  readonly withoutWebSockets?: true;
}

/** A street. */
export interface Street {
  readonly setting: Setting;
  /** Port of the token handler. */
  readonly port: number;
  /** The `Cookie` header of somebody who is signed in. */
  readonly cookie: string;
  /** Sends a call with those cookies, from a page of the vendor's own. */
  call(request?: Partial<RawRequest>): Promise<RawAnswer>;
  /** Sends a call with exactly these headers. */
  callAs(headers: RawRequest["headers"], request?: Partial<RawRequest>): Promise<RawAnswer>;
  /** Closes everything. */
  [Symbol.asyncDispose](): Promise<void>;
}

const webSockets: WebSockets = {
  dial: (address, options) => new WebSocket(address, options),
  upgrade: (request, protocol) => Deno.upgradeWebSocket(request, protocol === "" ? {} : { protocol }),
};

/** Lays a street. */
export async function createStreet(options: StreetOptions): Promise<Street> {
  const { upstream, vendor, row, cloakroom, withoutWebSockets = false } = options;
  const server = typeof upstream === "number" ? null : serve(upstream);
  const target = `http://127.0.0.1:${server?.addr.port ?? upstream}`;
  const setting: Setting = await createSetting({
    vendor: { publicUrl: APP, upstreams: [{ path: "/api", target, ...row }], ...vendor },
    cloakroom: {
      insecureAllowLoopback: true,
      ...(withoutWebSockets ? {} : { webSockets }),
      fetch: (input, init) => input.startsWith(target) ? fetch(input, init) : setting.network.fetch(input, init),
      ...cloakroom,
    },
  });
  const app = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request, { remoteAddr }) => setting.cloakroom.fetch(request, remoteAddr.hostname),
  );
  const { port } = app.addr;
  const browser = await setting.signIn();
  const cookie = browser.jar.header(new URL(APP)) ?? "";
  const callAs: Street["callAs"] = (headers = [], request = {}) =>
    sendRequest(port, { host: HOST, target: "/api/x", headers, ...request });
  return {
    setting,
    port,
    cookie,
    callAs,
    call: ({ headers = [], ...request } = {}) =>
      callAs([["Cookie", cookie], ["Sec-Fetch-Site", "same-origin"], ...headers], request),

    async [Symbol.asyncDispose](): Promise<void> {
      setting.cloakroom.endStreams();
      await Promise.all([app.shutdown(), setting.cloakroom.settle()]);
      await server?.shutdown();
    },
  };
}

/** Serves an upstream on a port of its own. */
export function serve(handler: Handler): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {}, onError: () => new Response(null) }, handler);
}

/** An upstream that is written down byte by byte. */
export interface RawUpstream {
  readonly port: number;
  /** What it has received, as text. */
  readonly received: readonly string[];
  close(): Promise<void>;
}

/** Serves the same bytes to everybody, and closes the connection then. */
export function serveBytes(bytes: string | Uint8Array): RawUpstream {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const received: string[] = [];
  const serving = (async () => {
    for await (const connection of listener) {
      using _ = connection;
      const buffer = new Uint8Array(65_536);
      const length = await connection.read(buffer).catch(() => null) ?? 0;
      received.push(new TextDecoder().decode(buffer.subarray(0, length)));
      await connection.write(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
    }
  })();
  return {
    port: listener.addr.port,
    received,
    async close(): Promise<void> {
      listener.close();
      await serving;
    },
  };
}
