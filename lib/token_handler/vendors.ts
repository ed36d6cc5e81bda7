/**
 * The vendors that this service knows, with the service-wide defaults filled in and their client secrets at hand.
 *
 * @module
 */

import { type Clock, systemClock } from "../clock.ts";
import { type ClientAuthentication, clientSecretBasic, clientSecretPost, publicClient } from "../oauth/mod.ts";
import { Secret } from "../secret.ts";
import type { Stored, VendorRecord, VendorStore } from "../store/mod.ts";
import type { Upstream, VendorSettings } from "../vendor/mod.ts";
import type { ServiceKeys } from "./service_keys.ts";

/** How long settings are believed before the store is asked again, so that other processes' changes arrive within 2 s. */
const FRESH_SECONDS = 1;

/** Vendors kept in memory at the most. */
const MAX_CACHED = 10_000;

/** What a vendor that does not say otherwise gets. */
export interface VendorDefaults {
  /** Issuer of the token service. */
  readonly issuer: string | null;
  /** Where API calls go. */
  readonly upstream: string | null;
  /** Public base address of this service. */
  readonly publicUrl: string | null;
}

/** A vendor, ready for use. */
export interface Vendor extends VendorSettings {
  /** Its id. */
  readonly id: string;
  /** Issuer of its token service. */
  readonly issuer: string;
  /** Hosts at which it is served, that of its public address among them; none = any host. */
  readonly hosts: readonly string[];
  /** Where its API calls go. */
  readonly upstreams: readonly Upstream[];
  /** Proves its client to the token service. */
  readonly authenticateClient: ClientAuthentication;
}

/** A change of a vendor's settings. */
export interface VendorChange {
  /** The new settings. */
  readonly settings: VendorSettings;
  /** A new client secret; `null` = keep the stored one, which a public client loses. */
  readonly clientSecret: string | null;
  /** Leaves a stored secret and its method as they are; `false` by default. */
  readonly keepsClient?: boolean;
}

/** How a change is saved. */
export interface VendorSaveOptions {
  /** Saves only over this version. */
  readonly expectedVersion?: string;
  /** Says what would come of it, and saves nothing. */
  readonly dryRun?: boolean;
}

/** What came of a change. */
export type VendorChangeOutcome =
  | { readonly kind: "would_save" }
  | { readonly kind: "saved"; readonly created: boolean; readonly record: VendorRecord; readonly version: string }
  | { readonly kind: "conflict" }
  | { readonly kind: "secret_missing" }
  | { readonly kind: "issuer_missing" }
  | { readonly kind: "version_differs" }
  | { readonly kind: "host_taken"; readonly host: string };

/** Finds and changes vendors. */
export interface VendorDirectory {
  /** Finds a vendor by id; `null` if there is none, or if it has no issuer to sign in at. */
  find(vendorId: string): Promise<Vendor | null>;
  /** Finds the vendor that lists a host, else the only vendor there is. */
  findByHost(host: string): Promise<Vendor | null>;
  /** Tells whether a host belongs to another vendor, which then is the only one that may be served there. */
  isTaken(host: string, vendorId: string): Promise<boolean>;
  /** Reads what is stored about a vendor. */
  read(vendorId: string): Promise<{ readonly record: VendorRecord; readonly version: string } | null>;
  /** Changes or creates a vendor. */
  save(vendorId: string, change: VendorChange, options?: VendorSaveOptions): Promise<VendorChangeOutcome>;
  /** Removes a vendor. */
  remove(vendorId: string): Promise<void>;
}

/** What the directory is made of. */
export interface VendorDirectoryOptions {
  /** Where vendors lie. */
  readonly store: VendorStore;
  /** The service keys, which seal client secrets. */
  readonly serviceKeys: ServiceKeys;
  /** Service-wide defaults. */
  readonly defaults: VendorDefaults;
  /** Time; the system's by default. */
  readonly now?: Clock;
}

/**
 * Creates the directory over a store.
 *
 * @param options Store, service keys, defaults and dependencies.
 * @returns The directory.
 */
export function createVendorDirectory(options: VendorDirectoryOptions): VendorDirectory {
  const { store, serviceKeys, defaults, now = systemClock } = options;
  const cache = new Map<string, { readonly readAt: number; readonly vendor: Promise<Vendor | null> }>();

  async function openSecret(vendorId: string, sealed: string): Promise<Secret> {
    const content = await serviceKeys.open("client_secret", sealed);
    if (content?.vendor_id !== vendorId) {
      throw new Error(`Cannot open the client secret of vendor "${vendorId}": it was sealed with another service key`);
    }
    return new Secret(String(content.secret));
  }

  async function sealSecret(vendorId: string, secret: string): Promise<string> {
    return await serviceKeys.seal("client_secret", { vendor_id: vendorId, secret });
  }

  async function authenticationOf(record: VendorRecord): Promise<ClientAuthentication> {
    const { id, settings: { clientId, clientAuthMethod }, sealedClientSecret } = record;
    if (clientAuthMethod === "none" || sealedClientSecret === null) return publicClient(clientId);
    const secret = await openSecret(id, sealedClientSecret);
    return clientAuthMethod === "client_secret_post"
      ? clientSecretPost(clientId, secret)
      : clientSecretBasic(clientId, secret);
  }

  /** After a rotation of the service key, each secret moves to the new one when it is next loaded. */
  async function rewrap({ value: record, version }: Stored<VendorRecord>): Promise<void> {
    const { id, sealedClientSecret: sealed } = record;
    if (sealed === null || serviceKeys.isCurrent(sealed)) return;
    const secret = await openSecret(id, sealed);
    await store.save({ ...record, sealedClientSecret: await sealSecret(id, secret.reveal()) }, version);
  }

  async function load(vendorId: string): Promise<Vendor | null> {
    const stored = await store.find(vendorId);
    if (stored === null) return null;
    await rewrap(stored);
    const { settings } = stored.value;
    const issuer = settings.issuer ?? defaults.issuer;
    if (issuer === null) return null;
    const publicUrl = settings.publicUrl ?? defaults.publicUrl;
    return {
      ...settings,
      id: vendorId,
      issuer,
      publicUrl,
      hosts: publicUrl === null ? settings.hosts : [...settings.hosts, new URL(publicUrl).host],
      upstreams: settings.upstreams ?? (defaults.upstream === null ? [] : [{ path: "/", target: defaults.upstream }]),
      authenticateClient: await authenticationOf(stored.value),
    };
  }

  /** Answers what was found a moment ago, or looks; a failed look is not remembered. */
  async function cached(name: string, look: () => Promise<Vendor | null>): Promise<Vendor | null> {
    const known = cache.get(name);
    if (known !== undefined && known.readAt + FRESH_SECONDS >= now()) return await known.vendor;
    if (cache.size >= MAX_CACHED) cache.clear();
    const vendor = look();
    cache.set(name, { readAt: now(), vendor });
    vendor.catch(() => cache.delete(name));
    return await vendor;
  }

  async function find(vendorId: string): Promise<Vendor | null> {
    return await cached(`id ${vendorId}`, () => load(vendorId));
  }

  const owners = new Map<string, { readonly readAt: number; readonly owner: string | null }>();

  /** The vendor that a host belongs to, at most a second old. */
  async function cachedOwner(host: string): Promise<string | null> {
    const known = owners.get(host);
    if (known !== undefined && known.readAt + FRESH_SECONDS >= now()) return known.owner;
    const owner = await store.findIdByHost(host);
    if (owners.size >= MAX_CACHED) owners.clear();
    owners.set(host, { readAt: now(), owner });
    return owner;
  }

  function forget(): void {
    cache.clear();
    owners.clear();
  }

  return {
    find,

    async findByHost(host: string): Promise<Vendor | null> {
      return await cached(`host ${host}`, async () => {
        const owner = await cachedOwner(host);
        if (owner !== null) return await find(owner);
        const ids = await store.listIds({ limit: 2 });
        const only = ids.length === 1 ? await find(ids[0]!) : null;
        return only !== null && (only.hosts.length === 0 || only.hosts.includes(host)) ? only : null;
      });
    },

    async isTaken(host: string, vendorId: string): Promise<boolean> {
      const owner = await cachedOwner(host);
      return owner !== null && owner !== vendorId;
    },

    async read(vendorId: string) {
      const stored = await store.find(vendorId);
      return stored === null ? null : { record: stored.value, version: stored.version };
    },

    async save(vendorId, change, { expectedVersion, dryRun = false } = {}): Promise<VendorChangeOutcome> {
      const stored = await store.find(vendorId);
      if (expectedVersion !== undefined && stored?.version !== expectedVersion) return { kind: "version_differs" };
      const { clientSecret, keepsClient = false } = change;
      const isLeft = keepsClient && stored !== null && stored.value.sealedClientSecret !== null;
      const settings = isLeft
        ? { ...change.settings, clientAuthMethod: stored.value.settings.clientAuthMethod }
        : change.settings;
      if ((settings.issuer ?? defaults.issuer) === null) return { kind: "issuer_missing" };
      const isPublic = settings.clientAuthMethod === "none";
      const sealedClientSecret = isPublic
        ? null
        : clientSecret !== null
        ? await sealSecret(vendorId, clientSecret)
        : stored?.value.sealedClientSecret ?? null;
      if (!isPublic && sealedClientSecret === null) return { kind: "secret_missing" };
      if (dryRun) {
        const host = await store.findTakenHost(vendorId, settings);
        return host === null ? { kind: "would_save" } : { kind: "host_taken", host };
      }
      const record: VendorRecord = {
        id: vendorId,
        settings,
        sealedClientSecret,
        createdAt: stored?.value.createdAt ?? now(),
        updatedAt: now(),
      };
      const outcome = await store.save(record, stored?.version ?? null);
      forget();
      if (outcome.kind !== "saved") return outcome;
      const saved = await store.find(vendorId);
      return { kind: "saved", created: stored === null, record, version: saved?.version ?? "" };
    },

    async remove(vendorId: string): Promise<void> {
      await store.remove(vendorId);
      forget();
    },
  };
}
