/**
 * What is answered where something broke, instead of somebody being refused.
 *
 * @module
 */

import { StoreUnavailableError } from "../../lib/store/mod.ts";
import type { AppDeps } from "../deps.ts";
import { respondProblem } from "./respond.ts";

/** Logs what broke and answers with 503 if it was the store, else with 500. */
export async function respondFailure(
  deps: AppDeps,
  { request, requestId }: { readonly request: Request; readonly requestId: string },
  error: unknown,
): Promise<Response> {
  const isStore = error instanceof StoreUnavailableError;
  // The name only: messages of foreign errors may hold what must not be written down.
  const reason = error instanceof Error ? error.name : "unknown";
  deps.log({ level: "error", event: isStore ? "store_unavailable" : "internal_error", reason, requestId });
  const headers = isStore ? { "retry-after": "2" } : {};
  return await respondProblem(request, isStore ? "store_unavailable" : "internal_error", { requestId, headers });
}
