/**
 * The change of the master key. What the former one wrapped moves to the new one when it is next read, but nobody knows
 * when that is; so everything is read once, and then the former key can be taken away.
 *
 * @module
 */

import type { Logger } from "../log.ts";
import type { VendorStore } from "../store/mod.ts";
import type { VendorKeys } from "./vendor_keys.ts";
import type { VendorDirectory } from "./vendors.ts";

/** Vendors that are read at once. */
const PAGE_SIZE = 100;

/** What holds wrapped keys and secrets. */
export interface MasterKeyChange {
  /** Knows the ids of all vendors. */
  readonly store: VendorStore;
  /** Holds the client secrets. */
  readonly vendors: VendorDirectory;
  /** Holds the sealing keys. */
  readonly keys: VendorKeys;
  /** Says when it is done, and for which vendors it cannot be. */
  readonly log: Logger;
}

/** Moves every vendor's keys and secret to the present master key. */
export async function moveToMasterKey({ store, vendors, keys, log }: MasterKeyChange): Promise<void> {
  let count = 0;
  let page: readonly string[] = [];
  do {
    page = await store.listIds({ limit: PAGE_SIZE, ...(page.length === 0 ? {} : { after: page.at(-1)! }) });
    const moves = await Promise.allSettled(page.flatMap((id) => [vendors.find(id), keys.activeKeyId(id)]));
    for (const [i, { status }] of moves.entries()) {
      if (status === "rejected") log({ level: "error", event: "master_key_missing", vendor: page[Math.floor(i / 2)]! });
    }
    count += page.length;
  } while (page.length === PAGE_SIZE);
  log({ level: "info", event: "master_key_moved", count });
}
