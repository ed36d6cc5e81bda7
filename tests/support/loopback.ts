/**
 * Names that exist only in tests (`api.acme.test`, `idp.test`), answered by servers on loopback.
 *
 * A handler is served on a port of its own, so that requests and answers really cross HTTP; whoever asks sends the name
 * in `Host`. What is dialled is written down, and a name that nobody serves cannot be reached.
 *
 * @module
 */

import type { Fetch } from "../../lib/outbound.ts";

/** Answers requests whose address names the host that was asked for. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** Who answers under which host. */
export type Hosts = Readonly<Record<string, Handler>>;

/** A handler behind a socket. */
export interface LoopbackServer {
  /** Its port on 127.0.0.1. */
  readonly port: number;
  /** Sends a request over HTTP to the port, with the host of its address in `Host`. */
  readonly send: Handler;
  /** Stops listening. */
  close(): Promise<void>;
}

/** Serves a handler on a free port of loopback. */
export function serveOnLoopback(handler: (request: Request, clientAddress: string) => Response | Promise<Response>) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request, { remoteAddr }) => handler(request, remoteAddr.hostname),
  );
  const { port } = server.addr;
  const sender = createSender(port);
  const loopback: LoopbackServer = {
    port,
    send: sender.send,

    async close(): Promise<void> {
      sender.close();
      await server.shutdown();
    },
  };
  return loopback;
}

/** Sends requests to a port of loopback, with the host of their address in `Host`. */
export interface Sender {
  /** Sends one. */
  readonly send: (request: Request) => Promise<Response>;
  /** Closes its connections. */
  close(): void;
}

/** Makes a sender for a port that somebody else serves. */
export function createSender(port: number): Sender {
  const client = Deno.createHttpClient({ allowHost: true });
  return {
    close: () => client.close(),

    async send(request: Request): Promise<Response> {
      const { host, pathname, search } = new URL(request.url);
      const headers = new Headers(request.headers);
      headers.set("host", host);
      const { method, signal } = request;
      const body = request.body === null ? null : await request.bytes();
      const address = `http://127.0.0.1:${port}${pathname}${search}`;
      return await fetch(address, { client, method, headers, body, signal, redirect: "manual" });
    },
  };
}

/** The calls that the code under test makes to other servers. */
export interface Network {
  /** To be injected. */
  readonly fetch: Fetch;
  /** Every host that was dialled, with its scheme, in order: `https://idp.test`. */
  readonly dialled: readonly string[];
}

/** Makes a network in which only these hosts exist, and only over https. It follows redirects for whoever lets it. */
export function createNetwork(hosts: Hosts): Network {
  const dialled: string[] = [];

  async function fetch(input: string, init?: RequestInit): Promise<Response> {
    const { origin, host, protocol } = new URL(input);
    dialled.push(origin);
    const handler = Object.hasOwn(hosts, host) && protocol === "https:" ? hosts[host] : undefined;
    if (handler === undefined) throw new TypeError(`Cannot dial ${origin}: nobody serves it`);
    const request = new Request(input, init);
    const response = await handler(request);
    const location = response.status >= 300 && response.status < 400 ? response.headers.get("location") : null;
    if (request.redirect !== "follow" || location === null) return response;
    await response.body?.cancel();
    return await fetch(new URL(location, input).href, init);
  }

  return { dialled, fetch };
}
