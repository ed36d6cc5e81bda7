/**
 * Query and form parameters from outside: each at most once, none too long.
 *
 * @module
 */

/** Longest value of one parameter. */
export const MAX_PARAMETER_LENGTH = 2048;

/** Parameters by name, each present at most once. */
export type Parameters = ReadonlyMap<string, string>;

/**
 * Reads parameters.
 *
 * @param search A query string or a form body.
 * @param known The names that mean something; others are ignored, however often they come.
 * @returns The known parameters; `null` if one of them is repeated or too long.
 */
export function readParameters(search: URLSearchParams, known: readonly string[]): Parameters | null {
  const parameters = new Map<string, string>();
  for (const [name, value] of search) {
    if (!known.includes(name)) continue;
    if (parameters.has(name) || value.length > MAX_PARAMETER_LENGTH) return null;
    parameters.set(name, value);
  }
  return parameters;
}
