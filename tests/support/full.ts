/**
 * How long the long tests are: short under `deno task test`, whole under `deno task test:full`.
 *
 * @module
 */

const isFull = Deno.env.get("TEST_FULL") === "1";

/** A number that is smaller where nobody asked for the full length. */
export function lengthOf(lengths: { readonly short: number; readonly full: number }): number {
  return isFull ? lengths.full : lengths.short;
}
