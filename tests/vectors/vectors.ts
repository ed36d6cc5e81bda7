/**
 * Reads the published vectors in this folder. Their sources and licences stand in `README.md` beside them.
 *
 * @module
 */

/** One case of a Wycheproof file. */
export interface WycheproofTest {
  readonly tcId: number;
  readonly comment: string;
  readonly result: "valid" | "invalid" | "acceptable";
}

/** A Wycheproof file whose groups have the members `Group` and whose cases have the members `Test`. */
export interface WycheproofFile<Group, Test> {
  readonly numberOfTests: number;
  readonly testGroups: readonly (Group & { readonly tests: readonly (Test & WycheproofTest)[] })[];
}

/** Reads a Wycheproof file. */
export function readWycheproof<Group, Test>(name: string): WycheproofFile<Group, Test> {
  return readJson(`wycheproof/${name}_test.json`) as WycheproofFile<Group, Test>;
}

/** Reads a JSON file of this folder. */
export function readJson(name: string): unknown {
  return JSON.parse(Deno.readTextFileSync(new URL(name, import.meta.url)));
}
