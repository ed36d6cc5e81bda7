/**
 * Reads a whole list, a page at a time.
 *
 * @module
 */

import type { RecordKey, Records, Stored } from "../store/records.ts";

const PAGE = 1000;

/** Lists every record directly below a prefix. */
export async function* listAll<T>(records: Records, prefix: RecordKey): AsyncGenerator<Stored<T>> {
  let after: string | undefined;
  do {
    const page = await records.list<T>(prefix, after === undefined ? { limit: PAGE } : { limit: PAGE, after });
    yield* page;
    after = page.length === PAGE ? page.at(-1)!.key.at(-1)! : undefined;
  } while (after !== undefined);
}
