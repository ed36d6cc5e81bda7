/**
 * The configured service for `deno serve`, which brings the listener: `deno serve --parallel` runs one worker a core.
 *
 * A file of its own, because `deno serve` runs the main module too, and `server.ts` would then listen twice.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- an entry point says why it does not start

import { ConfigError, createService, loadConfig, type Service } from "./server.ts";

async function make(): Promise<Service> {
  const config = await loadConfig(Deno.env.toObject());
  if (!config.isDemo) return await createService(config);
  const advice = "Missing; the demo needs listeners of its own: run `deno task start` for that";
  throw new ConfigError([{ variable: "CLOAKROOM_MASTER_KEY", advice }]);
}

let made: Promise<Service> | undefined;

/** The service, made once; a wrong configuration ends the process before it answers anybody. */
function serve(): Promise<Service> {
  return made ??= make().catch((error) => {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    Deno.exit(2);
  });
}

if (import.meta.main) await serve();

/** Answers requests. */
const server: { fetch(request: Request, info?: Deno.ServeHandlerInfo): Promise<Response> } = {
  async fetch(request, info) {
    const address = info?.remoteAddr;
    const clientAddress = address !== undefined && "hostname" in address ? address.hostname : "";
    return await (await serve()).handle(request, clientAddress);
  },
};

export default server;
