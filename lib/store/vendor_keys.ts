/**
 * The sealing keys of the vendors, wrapped: whoever reads the database learns nothing without the service key.
 *
 * @module
 */

import { activeVendorKeyKey, vendorKeyKey } from "./keys.ts";
import type { Records } from "./records.ts";

/** `active` seals and opens, `open_only` opens what it sealed earlier, `retired` does nothing any more. */
export type KeyState = "active" | "open_only" | "retired";

/** One sealing key of one vendor. */
export interface VendorKeyRecord {
  /** The tenant. */
  readonly vendorId: string;
  /** The key's id: unique within the vendor. */
  readonly keyId: string;
  /** The key, sealed with the service key; empty once retired. */
  readonly wrapped: string;
  /** What it may be used for. */
  readonly state: KeyState;
  /** When it was made, in seconds since 1970. */
  readonly createdAt: number;
  /** When something sealed with it was last opened, coarsely; `null` if never. */
  readonly lastUsedAt: number | null;
}

/** Remembers sealing keys. */
export interface VendorKeyStore {
  /** Lists a vendor's keys, oldest first. */
  list(vendorId: string): Promise<readonly VendorKeyRecord[]>;
  /**
   * Makes a key the vendor's active one; the former active key becomes `open_only`.
   *
   * @param key The key.
   * @param former The id of the active key that it replaces; `null` if there is none.
   * @returns `false` if somebody else was quicker: read the list again.
   */
  activate(key: VendorKeyRecord, former: string | null): Promise<boolean>;
  /** Changes a key unless it was changed meanwhile; `null` from `change` leaves it as it is. Answers the key as it is then. */
  change(
    vendorId: string,
    keyId: string,
    change: (key: VendorKeyRecord) => VendorKeyRecord | null,
  ): Promise<VendorKeyRecord | null>;
  /** Removes all keys of a vendor: nothing it sealed can be opened any more. */
  removeAll(vendorId: string): Promise<void>;
}

/** Creates the store. */
export function createVendorKeyStore(records: Records): VendorKeyStore {
  async function listStored(vendorId: string) {
    return await records.list<VendorKeyRecord>(vendorKeyKey(vendorId, "").slice(0, -1), { limit: 1000 });
  }

  return {
    async list(vendorId: string): Promise<readonly VendorKeyRecord[]> {
      const found = (await listStored(vendorId)).map(({ value }) => value);
      return found.toSorted((a, b) => a.createdAt - b.createdAt || (a.keyId < b.keyId ? -1 : 1));
    },

    async activate(key: VendorKeyRecord, former: string | null): Promise<boolean> {
      const { vendorId, keyId } = key;
      const pointer = activeVendorKeyKey(vendorId);
      const { version = null } = await records.find<string>(pointer) ?? {};
      const active = (await listStored(vendorId)).find(({ value }) => value.state === "active");
      if ((active?.value.keyId ?? null) !== former) return false;
      const replaced = active === undefined ? [] : [active];
      return await records.commit({
        checks: [
          { key: pointer, version },
          { key: vendorKeyKey(vendorId, keyId), version: null },
          ...replaced.map(({ key, version }) => ({ key, version })),
        ],
        sets: [
          { key: pointer, value: keyId },
          { key: vendorKeyKey(vendorId, keyId), value: key },
          ...replaced.map(({ key, value }) => ({ key, value: { ...value, state: "open_only" } })),
        ],
      });
    },

    async change(vendorId, keyId, change): Promise<VendorKeyRecord | null> {
      while (true) {
        const stored = await records.find<VendorKeyRecord>(vendorKeyKey(vendorId, keyId));
        if (stored === null) return null;
        const changed = change(stored.value);
        if (changed === null) return stored.value;
        const { key, version } = stored;
        if (await records.commit({ checks: [{ key, version }], sets: [{ key, value: changed }] })) return changed;
      }
    },

    async removeAll(vendorId: string): Promise<void> {
      const stored = await listStored(vendorId);
      await records.commit({ deletes: [activeVendorKeyKey(vendorId), ...stored.map(({ key }) => key)] });
    },
  };
}
