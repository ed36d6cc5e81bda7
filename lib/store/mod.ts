/**
 * What Cloakroom remembers: vendors, their keys, sessions, and marks of things that may be used once.
 *
 * ```ts
 * import { assert, assertFalse } from "@std/assert";
 * import { createMemoryRecords, createStores } from "@cloakroom/token-handler/store";
 *
 * const { once } = createStores(createMemoryRecords());
 * const expiresAt = Math.floor(Date.now() / 1000) + 60;
 * assert(await once.consume("state", "digest of the state", expiresAt));
 * assertFalse(await once.consume("state", "digest of the state", expiresAt));
 * ```
 *
 * The interfaces speak the language of the domain, the tenant first; absent is `null`; deleting what is gone is fine.
 * They are written once on {@linkcode Records}, of which there is one implementation in memory and one on Deno KV.
 *
 * @module
 */

export { createMemoryRecords } from "./memory/mod.ts";
export type { Commit, ListOptions, RecordKey, Records, Stored } from "./records.ts";
export { StoreUnavailableError } from "./records.ts";
export { createStores, type Stores } from "./stores.ts";
export type { LeaseClaim, LeasePause, LeaseStore, LeaseTarget } from "./leases.ts";
export type { OnceStore } from "./once.ts";
export type { EndedMark, EndedName, EndReason, SessionRecord, SessionStore } from "./sessions.ts";
export type { KeyState, VendorKeyRecord, VendorKeyStore } from "./vendor_keys.ts";
export type { VendorRecord, VendorSaveOutcome, VendorStore } from "./vendors.ts";
