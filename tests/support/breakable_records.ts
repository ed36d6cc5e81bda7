/**
 * A database that a test can break: what is written while it is broken does not happen.
 *
 * @module
 */

import { type Records, StoreUnavailableError } from "../../lib/store/records.ts";

/** A database with a switch. */
export interface BreakableRecords extends Records {
  /** Whether commits fail. */
  isBroken: boolean;
}

/** Puts a switch in front of a database. */
export function createBreakableRecords(records: Records): BreakableRecords {
  const breakable: BreakableRecords = {
    isBroken: false,
    find: (key) => records.find(key),
    list: (prefix, options) => records.list(prefix, options),
    commit: async (change) => {
      if (breakable.isBroken) throw new StoreUnavailableError("commit changes");
      return await records.commit(change);
    },
  };
  return breakable;
}
