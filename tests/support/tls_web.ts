/**
 * A table of hosts behind https on loopback, for real browsers: Chromium is told to find every host there, and to take the
 * certificate.
 *
 * @module
 */

import { createCertificate } from "./certificate.ts";
import type { Hosts } from "./loopback.ts";

/** A web that a browser can visit. */
export interface TlsWeb {
  /** Flags for Chromium. */
  readonly flags: readonly string[];
  /** Stops listening. */
  close(): Promise<void>;
}

/** Serves a table of hosts. */
export async function serveTlsWeb(hosts: Hosts): Promise<TlsWeb> {
  const names = Object.keys(hosts);
  const certificate = await createCertificate(names);
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {}, ...certificate }, (request) => {
    const { host } = new URL(request.url);
    return Object.hasOwn(hosts, host) ? hosts[host]!(request) : new Response(null, { status: 421 });
  });
  const rules = names.map((name) => `MAP ${name} 127.0.0.1:${server.addr.port}`).join(",");
  return {
    flags: [`--host-resolver-rules=${rules},MAP * ~NOTFOUND`, "--ignore-certificate-errors"],
    close: () => server.shutdown(),
  };
}
