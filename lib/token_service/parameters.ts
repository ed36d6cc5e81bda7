/**
 * The parameters of a request, each read once.
 *
 * An empty value counts as absent, an unknown name is ignored, and a name that occurs twice is a fault
 * ([OAuth 2.1, section 3.1](https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1#section-3.1)): the client and the
 * server must not be able to read two different requests from one text.
 *
 * @module
 */

import { isJsonObject } from "../encoding.ts";

/** More parameters than any request has. */
const MAX_PARAMETERS = 100;

/** The parameters of one request. */
export interface RequestParameters {
  /** The value of a parameter; `null` where it is absent or empty. */
  get(name: string): string | null;
  /** The names that occurred more than once. */
  readonly repeated: ReadonlySet<string>;
}

/** Reads names and values in the order in which they came. */
export function createParameters(pairs: Iterable<readonly [string, string]>): RequestParameters {
  const values = new Map<string, string>();
  const repeated = new Set<string>();
  for (const [name, value] of pairs) {
    if (values.has(name)) repeated.add(name);
    else values.set(name, value);
  }
  return { get: (name) => values.get(name) || null, repeated };
}

/**
 * Reads a query or a form body.
 *
 * @param text In the form `application/x-www-form-urlencoded`.
 * @returns The parameters; `null` if there are too many.
 */
export function readFormParameters(text: string): RequestParameters | null {
  // Counted before parsing, so that a body of nothing but separators costs nothing.
  if (text.split("&", MAX_PARAMETERS + 1).length > MAX_PARAMETERS) return null;
  return createParameters(new URLSearchParams(text));
}

/**
 * Reads a JSON body: one flat object of texts, as clients of Auth0 send it.
 *
 * @param text The body.
 * @returns The parameters; `null` for anything else, and for an object with a member that occurs twice.
 */
export function readJsonParameters(text: string): RequestParameters | null {
  const entries = readEntries(text);
  if (entries === null || entries.length > MAX_PARAMETERS) return null;
  // JSON.parse keeps the last of two equal members silently. A flat object of texts holds two literals a member.
  const literals = text.match(/"(?:[^"\\]|\\.)*"/g)?.length ?? 0;
  return literals === 2 * entries.length ? createParameters(entries) : null;
}

function readEntries(text: string): [string, string][] | null {
  try {
    const value: unknown = JSON.parse(text);
    if (!isJsonObject(value)) return null;
    const entries = Object.entries(value);
    return entries.every((entry): entry is [string, string] => typeof entry[1] === "string") ? entries : null;
  } catch {
    return null;
  }
}
