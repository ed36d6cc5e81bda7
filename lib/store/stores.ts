/**
 * All domain stores on one database.
 *
 * @module
 */

import { createLeaseStore, type LeaseStore } from "./leases.ts";
import { createOnceStore, type OnceStore } from "./once.ts";
import type { Records } from "./records.ts";
import { createSessionStore, type SessionStore } from "./sessions.ts";
import { createVendorKeyStore, type VendorKeyStore } from "./vendor_keys.ts";
import { createVendorStore, type VendorStore } from "./vendors.ts";

/** Everything the token handler remembers. */
export interface Stores {
  /** Tenants and their settings. */
  readonly vendors: VendorStore;
  /** The sealing keys of the tenants, wrapped. */
  readonly vendorKeys: VendorKeyStore;
  /** Sessions of signed-in users, and why they ended. */
  readonly sessions: SessionStore;
  /** Who may refresh a session now. */
  readonly leases: LeaseStore;
  /** Marks of values that may be used once. */
  readonly once: OnceStore;
}

/**
 * Creates the domain stores.
 *
 * @param records The database.
 * @returns One store a kind of record.
 */
export function createStores(records: Records): Stores {
  return {
    vendors: createVendorStore(records),
    vendorKeys: createVendorKeyStore(records),
    sessions: createSessionStore(records),
    leases: createLeaseStore(records),
    once: createOnceStore(records),
  };
}
