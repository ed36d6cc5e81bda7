/**
 * One server process of the proxy benchmark: `bare` forwards everything with no token work, `cloakroom` is the whole
 * feature path. Prints a line of JSON when it listens.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- the parent process reads the line

import { createMemoryRecords } from "../../lib/store/mod.ts";
import { createKvRecords } from "../../lib/store/kv/mod.ts";
import { Secret } from "../../lib/secret.ts";
import { createCloakroom } from "../../routes/cloakroom.ts";
import { createProviderFetch } from "./provider.ts";

const [kind = "bare", upstream = "http://127.0.0.1:1", kvPath = ""] = Deno.args;

async function startCloakroom(): Promise<
  (request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>) => Promise<Response>
> {
  const records = kvPath === "" ? createMemoryRecords() : createKvRecords(await Deno.openKv(kvPath));
  const masterKey = new Secret(new Uint8Array(32).fill(7));
  const cloakroom = await createCloakroom({
    records,
    masterKey,
    insecureAllowLoopback: true,
    fetch: createProviderFetch(),
  });
  await cloakroom.saveVendor("acme", {
    issuer: "https://id.example/",
    clientId: "acme-web",
    audience: "https://api.example",
    upstreams: [{ path: "/", target: upstream }],
  });
  return (request, info) => cloakroom.fetch(request, info.remoteAddr.hostname);
}

function startBare(): (request: Request) => Promise<Response> {
  return (request) => {
    const { pathname, search } = new URL(request.url);
    const { method, headers, body } = request;
    return fetch(upstream + pathname + search, { method, headers, body, redirect: "manual" });
  };
}

const handler = kind === "bare" ? startBare() : await startCloakroom();
Deno.serve({
  port: 0,
  hostname: "127.0.0.1",
  onListen: ({ port }) => console.log(JSON.stringify({ port, pid: Deno.pid })),
}, handler);
