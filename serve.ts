/**
 * The configured service for `deno serve`, which brings the listener: `deno serve --parallel` runs one worker a core.
 *
 * A file of its own, because `deno serve` runs the main module too, and `server.ts` would then listen twice.
 *
 * @module
 */

import { ConfigError, createService, loadConfig, type Service } from "./server.ts";

let made: Promise<Service> | undefined;

async function make(): Promise<Service> {
  const config = await loadConfig(Deno.env.toObject());
  if (!config.isDemo) return await createService(config);
  const advice = "Missing; the demo needs listeners of its own: run `deno task start` for that";
  throw new ConfigError([{ variable: "CLOAKROOM_MASTER_KEY", advice }]);
}

/** Answers requests; the service is made with the first one. */
const server: { fetch(request: Request, info?: Deno.ServeHandlerInfo): Promise<Response> } = {
  async fetch(request, info) {
    made ??= make();
    const address = info?.remoteAddr;
    const clientAddress = address !== undefined && "hostname" in address ? address.hostname : "";
    return await (await made).handle(request, clientAddress);
  },
};

export default server;
