/**
 * Reading requests: queries and bodies up to a size, in the two forms that clients send.
 *
 * @module
 */

import { readUtf8 } from "../../lib/encoding.ts";
import { readBytes } from "../../lib/outbound.ts";
import { readFormParameters, readJsonParameters, type RequestParameters } from "../../lib/token_service/mod.ts";

/** Characters of a query. Longer ones would not fit into the header of the redirect that answers them. */
export const MAX_QUERY_LENGTH = 8192;

/** Bytes of a body. */
const MAX_BODY_BYTES = 32_768;

/** What came in a body. */
export type BodyReading =
  | { readonly kind: "read"; readonly parameters: RequestParameters; readonly text: string }
  /** Not readable, and the status that says why. */
  | { readonly kind: "unreadable"; readonly status: 400 | 413 | 415 };

/** The query of a request, without the question mark. */
export function queryOf(request: Request): string {
  const start = request.url.indexOf("?");
  return start < 0 ? "" : request.url.slice(start + 1);
}

/** Reads a query; `null` if it is too long or has too many parameters. */
export function readQuery(query: string): RequestParameters | null {
  return query.length > MAX_QUERY_LENGTH ? null : readFormParameters(query);
}

/**
 * Reads a body.
 *
 * @param request The request.
 * @param options Whether a JSON body counts, as Auth0's clients send it.
 * @returns Its parameters, or why there are none.
 */
export async function readBody(
  request: Request,
  options: { readonly acceptJson: boolean },
): Promise<BodyReading> {
  const [, type, charset] = /^([a-z0-9/+-]+)(?:; ?charset="?([a-z0-9-]+)"?)?$/i.exec(
    request.headers.get("content-type") ?? "",
  ) ?? [];
  const read = readerOf(type?.toLowerCase(), options);
  if (read === null || (charset ?? "utf-8").toLowerCase() !== "utf-8") return { kind: "unreadable", status: 415 };
  const bytes = await readBytes(request, MAX_BODY_BYTES);
  if (bytes === null) return { kind: "unreadable", status: 413 };
  const text = readUtf8(bytes);
  const parameters = text === null ? null : read(text);
  return text === null || parameters === null
    ? { kind: "unreadable", status: 400 }
    : { kind: "read", parameters, text };
}

function readerOf(type: string | undefined, { acceptJson }: { readonly acceptJson: boolean }) {
  if (type === "application/x-www-form-urlencoded") return readFormParameters;
  return type === "application/json" && acceptJson ? readJsonParameters : null;
}
