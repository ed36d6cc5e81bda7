/**
 * Vendors: the tenants of the service, with the settings of their token handler.
 *
 * @module
 */

import type { VendorSettings } from "../vendor/settings.ts";
import { vendorHostKey, vendorKey } from "./keys.ts";
import type { Records, Stored } from "./records.ts";

/** One tenant. */
export interface VendorRecord {
  /** 1 to 64 characters of `a-z 0-9 - _`. */
  readonly id: string;
  /** Settings of its token handler, without any secret. */
  readonly settings: VendorSettings;
  /** The client secret, sealed with the service key; `null` for a public client. */
  readonly sealedClientSecret: string | null;
  /** When it was created, in seconds since 1970. */
  readonly createdAt: number;
  /** When its settings last changed, in seconds since 1970. */
  readonly updatedAt: number;
}

/** What came of saving: `conflict` = somebody else saved meanwhile, `host_taken` = another vendor lists that host. */
export type VendorSaveOutcome =
  | { readonly kind: "saved" }
  | { readonly kind: "conflict" }
  | { readonly kind: "host_taken"; readonly host: string };

/** Remembers vendors. */
export interface VendorStore {
  /** Finds a vendor. */
  find(vendorId: string): Promise<Stored<VendorRecord> | null>;
  /** Finds the id of the vendor that lists a host (lower case, with a port where it is not the default). */
  findIdByHost(host: string): Promise<string | null>;
  /** Finds a host that a vendor with these settings would claim although it belongs to another; `null` if there is none. */
  findTakenHost(vendorId: string, settings: VendorSettings): Promise<string | null>;
  /** Lists vendor ids in order, a page at a time. */
  listIds(options?: { readonly limit?: number; readonly after?: string }): Promise<readonly string[]>;
  /** Saves a vendor unless it changed since `version` was read; `null` for a new one. */
  save(vendor: VendorRecord, version: string | null): Promise<VendorSaveOutcome>;
  /** Removes a vendor and its hosts. */
  remove(vendorId: string): Promise<void>;
}

/** The hosts that belong to a vendor, and to no other: what is served there is one origin, with one set of cookies. */
function hostsOf({ hosts, publicUrl }: VendorSettings): readonly string[] {
  return publicUrl === null ? hosts : [...new Set([...hosts, new URL(publicUrl).host])];
}

/** Creates the store. */
export function createVendorStore(records: Records): VendorStore {
  async function find(vendorId: string): Promise<Stored<VendorRecord> | null> {
    return await records.find<VendorRecord>(vendorKey(vendorId));
  }

  return {
    find,

    async findIdByHost(host: string): Promise<string | null> {
      return (await records.find<string>(vendorHostKey(host)))?.value ?? null;
    },

    async findTakenHost(vendorId: string, settings: VendorSettings): Promise<string | null> {
      const hosts = hostsOf(settings);
      const owners = await Promise.all(hosts.map((host) => records.find<string>(vendorHostKey(host))));
      return hosts.find((_, i) => owners[i] !== null && owners[i]!.value !== vendorId) ?? null;
    },

    async listIds(options = {}): Promise<readonly string[]> {
      return (await records.list(["vendor"], options)).map(({ key }) => key[1]!);
    },

    async save(vendor: VendorRecord, version: string | null): Promise<VendorSaveOutcome> {
      const hosts = hostsOf(vendor.settings);
      const owners = await Promise.all(hosts.map((host) => records.find<string>(vendorHostKey(host))));
      const taken = owners.findIndex((owner) => owner !== null && owner.value !== vendor.id);
      if (taken >= 0) return { kind: "host_taken", host: hosts[taken]! };
      const former = version === null ? null : await find(vendor.id);
      const dropped = former === null ? [] : hostsOf(former.value.settings).filter((host) => !hosts.includes(host));
      const saved = await records.commit({
        checks: [
          { key: vendorKey(vendor.id), version },
          ...hosts.map((host, i) => ({ key: vendorHostKey(host), version: owners[i]?.version ?? null })),
        ],
        sets: [
          { key: vendorKey(vendor.id), value: vendor },
          ...hosts.map((host) => ({ key: vendorHostKey(host), value: vendor.id })),
        ],
        deletes: dropped.map(vendorHostKey),
      });
      return { kind: saved ? "saved" : "conflict" };
    },

    async remove(vendorId: string): Promise<void> {
      while (true) {
        const stored = await find(vendorId);
        if (stored === null) return;
        const { value, version } = stored;
        const checks = [{ key: vendorKey(vendorId), version }];
        // Somebody who saves meanwhile may have added a host.
        const deletes = [vendorKey(vendorId), ...hostsOf(value.settings).map(vendorHostKey)];
        if (await records.commit({ checks, deletes })) return;
      }
    },
  };
}
