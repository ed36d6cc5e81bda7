/**
 * `GET /healthz` and `GET /readyz` (contract, section 7).
 *
 * @module
 */

import { respondJson } from "./shared/respond.ts";

/** The process lives. */
export function respondAlive(): Response {
  return respondJson({ status: "ok" });
}

/** The service can do its work: 200, else 503. */
export async function respondReadiness(isReady: () => Promise<boolean>): Promise<Response> {
  const ready = await isReady().catch(() => false);
  return respondJson({ status: ready ? "ready" : "not_ready" }, { status: ready ? 200 : 503 });
}
