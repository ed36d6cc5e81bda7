/**
 * A web of https hosts for programs that run beside the tests: a proxy leads every host to a server on loopback, and a
 * certificate made on the spot speaks for all of them. Deno and curl learn of both from their environment.
 *
 * @module
 */

import { createCertificate } from "../support/certificate.ts";
import type { Handler, Hosts } from "../support/loopback.ts";

/** A web of https hosts. */
export interface HttpsWorld extends AsyncDisposable {
  /** Makes a program find the hosts, and believe their certificate. */
  readonly env: Readonly<Record<string, string>>;
}

/** Opens a web; `certificatePath` is where its certificate is written to. */
export async function openHttpsWorld(hosts: Hosts, certificatePath: string): Promise<HttpsWorld> {
  const certificate = await createCertificate(Object.keys(hosts));
  await Deno.writeTextFile(certificatePath, certificate.cert);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...certificate },
    (request) => hosts[new URL(request.url).host]?.(request) ?? new Response(null, { status: 421 }),
  );
  const proxy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const tunnels = acceptTunnels(proxy, { hosts: Object.keys(hosts), port: server.addr.port });
  const address = `http://127.0.0.1:${proxy.addr.port}`;
  return {
    env: { HTTPS_PROXY: address, https_proxy: address, DENO_CERT: certificatePath, CURL_CA_BUNDLE: certificatePath },
    async [Symbol.asyncDispose](): Promise<void> {
      proxy.close();
      await Promise.all([server.shutdown(), tunnels]);
    },
  };
}

/** Answers `CONNECT` (RFC 9110, section 9.3.6) until the listener is closed and every tunnel has ended. */
async function acceptTunnels(
  proxy: Deno.TcpListener,
  to: { readonly hosts: readonly string[]; readonly port: number },
): Promise<void> {
  const tunnels: Promise<void>[] = [];
  for await (const client of proxy) tunnels.push(tunnel(client, to).catch(() => {}));
  await Promise.all(tunnels);
}

async function tunnel(
  client: Deno.TcpConn,
  { hosts, port }: { readonly hosts: readonly string[]; readonly port: number },
): Promise<void> {
  const bytes = new Uint8Array(4096);
  const head = new TextDecoder().decode(bytes.subarray(0, await client.read(bytes) ?? 0));
  const [, host = ""] = /^CONNECT (\S+):443 /.exec(head) ?? [];
  const isKnown = hosts.includes(host);
  await client.write(new TextEncoder().encode(`HTTP/1.1 ${isKnown ? "200 OK" : "502 Unknown host"}\r\n\r\n`));
  if (!isKnown) return client.close();
  const server = await Deno.connect({ hostname: "127.0.0.1", port });
  await Promise.allSettled([client.readable.pipeTo(server.writable), server.readable.pipeTo(client.writable)]);
}

/** Sends requests on to a port of loopback, with the host that was asked for. */
export function forwardTo(port: number, client: Deno.HttpClient): Handler {
  return async (request) => {
    const { host, pathname, search } = new URL(request.url);
    const { method } = request;
    const headers = new Headers(request.headers);
    headers.set("host", host);
    const body = request.body === null ? null : await request.bytes();
    const address = `http://127.0.0.1:${port}${pathname}${search}`;
    return await fetch(address, { client, method, headers, body, redirect: "manual" });
  };
}
