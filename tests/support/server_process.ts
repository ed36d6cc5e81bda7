/**
 * A server process of a cluster: Cloakroom on a shared database, run by `deno serve`.
 *
 * It differs from `serve.ts` in one thing: the token service and the API may be on loopback, which the configured service
 * does not allow.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- its log is what a test reads

import { Secret } from "../../lib/secret.ts";
import { createKvRecords } from "../../lib/store/kv/mod.ts";
import { type Cloakroom, createCloakroom } from "../../routes/cloakroom.ts";

/** What a process is told, as JSON in `SERVER_SETUP`. */
export interface ServerSetup {
  /** A file, or an address of KV Connect. */
  readonly kvPath: string;
  /** Base64url; the first one wraps. */
  readonly masterKeys: readonly string[];
  /** Issuer of the management tokens. */
  readonly managementIssuer: string;
}

/** The audience of management tokens. */
export const MANAGEMENT_AUDIENCE = "https://app.acme.test/management";

async function make(): Promise<Cloakroom> {
  const setup: ServerSetup = JSON.parse(Deno.env.get("SERVER_SETUP") ?? "{}");
  const [masterKey, ...formerMasterKeys] = setup.masterKeys.map((key) =>
    new Secret(Uint8Array.fromBase64(key, { alphabet: "base64url" }))
  );
  return await createCloakroom({
    records: createKvRecords(await Deno.openKv(setup.kvPath)),
    masterKey: masterKey!,
    formerMasterKeys,
    management: { issuer: setup.managementIssuer, audience: MANAGEMENT_AUDIENCE },
    insecureAllowLoopback: true,
    log: (event) => console.log(JSON.stringify(event)),
  });
}

/** Workers of one process have modules of their own. */
const worker = crypto.randomUUID();
let made: Promise<Cloakroom> | undefined;

/** Answers requests. */
const server = {
  async fetch(request: Request): Promise<Response> {
    made ??= make();
    const response = await (await made).fetch(request, "127.0.0.1");
    response.headers.set("x-test-worker", worker);
    // Asking for the memory is not for nothing, so only health tells it.
    if (request.url.endsWith("/healthz")) response.headers.set("x-test-rss", `${Deno.memoryUsage().rss}`);
    return response;
  },
};

export default server;
