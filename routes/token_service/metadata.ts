/**
 * The documents that clients set themselves up from: metadata and keys.
 *
 * @module
 */

import type { TokenServiceDeps } from "./deps.ts";
import { respondJson } from "./respond.ts";

/** Short, so that a change is seen soon; kept longer only while we do not answer. */
const METADATA_CACHE = "public, max-age=15, stale-while-revalidate=15, stale-if-error=86400";

/** Must stay below the time that a new key is published before it signs. */
const KEYS_CACHE = "public, max-age=900";

/** The metadata document. */
export function getMetadata({ service }: TokenServiceDeps): Response {
  return respondPublic(service.metadata(), METADATA_CACHE);
}

/** The key set. */
export async function getKeys({ service }: TokenServiceDeps): Promise<Response> {
  return respondPublic(await service.jwks(), KEYS_CACHE);
}

function respondPublic(document: Parameters<typeof respondJson>[0], cacheControl: string): Response {
  const response = respondJson(document, { headers: { "cache-control": cacheControl } });
  response.headers.delete("pragma");
  return response;
}
