/**
 * The sealing keys of all vendors: found, made, rotated, and kept wrapped at rest.
 *
 * @module
 */

import { type Clock, systemClock } from "../clock.ts";
import { encodeBase64Url, type JsonObject, readBase64Url, readJsonObject } from "../encoding.ts";
import { drawToken, type Random, systemRandom } from "../random.ts";
import { importSealKey, KEY_BYTES, open, readSealHeader, seal, type SealKey } from "../seal/mod.ts";
import type { KeyState, VendorKeyRecord, VendorKeyStore } from "../store/mod.ts";

/** A key seals for 30 days, then the next one takes over: random IVs want it changed (NIST SP 800-38D, section 8.3). */
const KEY_LIFE_SECONDS = 30 * 86_400;

/** Values that one process seals with one key. Sixteen busy processes stay below 2^31 together. */
const MAX_SEALS = 2 ** 27;

/** How long keys are believed before the store is asked again, so that other processes' changes arrive. */
const FRESH_SECONDS = 2;

/** What the sealing and opening of a vendor's values needs. */
export interface VendorKeysOptions {
  /** Where the wrapped keys lie. */
  readonly store: VendorKeyStore;
  /** The service key, which wraps them. */
  readonly serviceKey: SealKey;
  /** Time; the system's by default. */
  readonly now?: Clock;
  /** Randomness; the system's by default. */
  readonly random?: Random;
}

/** Seals and opens JSON objects for vendors. */
export interface VendorKeys {
  /** Seals an object with the vendor's active key, making one if there is none or it has grown old. */
  seal(vendorId: string, purpose: string, value: JsonObject): Promise<string>;
  /** Opens a value sealed for this vendor and purpose; `null` for every kind of failure. */
  open(vendorId: string, purpose: string, text: string): Promise<JsonObject | null>;
  /** The id of the key that seals for a vendor now. */
  activeKeyId(vendorId: string): Promise<string>;
  /** The raw active key, for a publisher's own server that reads `at` by itself. Never put it on the wire. */
  exportActive(vendorId: string): Promise<{ readonly kid: string; readonly bytes: Uint8Array<ArrayBuffer> }>;
  /** Forgets a vendor's keys here and in the store. */
  removeAll(vendorId: string): Promise<void>;
}

interface LoadedKey {
  readonly keyId: string;
  readonly sealKey: SealKey;
  readonly state: KeyState;
  readonly createdAt: number;
  seals: number;
}

interface Ring {
  readonly readAt: number;
  readonly keys: ReadonlyMap<string, LoadedKey>;
}

/** Reads the vendor that a sealed text names; `null` if we cannot have written it. Nothing is verified by this. */
export function vendorIdOf(sealed: string): string | null {
  const header = readSealHeader(sealed);
  return header === null ? null : header.kid.slice(0, header.kid.lastIndexOf("."));
}

/**
 * Creates the keys of all vendors over a store of wrapped keys.
 *
 * @param options Store, service key and dependencies.
 * @returns Sealing and opening by vendor id.
 */
export function createVendorKeys(options: VendorKeysOptions): VendorKeys {
  const { store, serviceKey, now = systemClock, random = systemRandom } = options;
  const rings = new Map<string, Promise<Ring>>();

  async function unwrap(record: VendorKeyRecord): Promise<Uint8Array<ArrayBuffer>> {
    const findKey = (kid: string) => kid === serviceKey.kid ? serviceKey.key : null;
    const content = readJsonObject(await open(record.wrapped, { purpose: "vendor_key", findKey }) ?? "");
    const bytes = content?.vendor_id === record.vendorId && content.key_id === record.keyId
      ? readBase64Url(String(content.key))
      : null;
    if (bytes === null) {
      throw new Error(
        `Cannot unwrap key "${record.keyId}" of vendor "${record.vendorId}": it was wrapped with another service key`,
      );
    }
    return bytes;
  }

  async function load(vendorId: string, former: Ring | null): Promise<Ring> {
    const keys = new Map<string, LoadedKey>();
    for (const record of await store.list(vendorId)) {
      if (record.state === "retired") continue;
      const known = former?.keys.get(record.keyId);
      const sealKey = known?.sealKey ?? await importSealKey(`${vendorId}.${record.keyId}`, await unwrap(record));
      const { keyId, state, createdAt } = record;
      keys.set(keyId, { keyId, sealKey, state, createdAt, seals: known?.seals ?? 0 });
    }
    return { readAt: now(), keys };
  }

  async function ringOf(vendorId: string, atLeast = now() - FRESH_SECONDS): Promise<Ring> {
    const known = rings.get(vendorId);
    const ring = await known?.catch(() => null) ?? null;
    if (ring !== null && ring.readAt >= atLeast) return ring;
    if (rings.get(vendorId) !== known) return await rings.get(vendorId)!;
    const loading = load(vendorId, ring);
    rings.set(vendorId, loading);
    loading.catch(() => rings.delete(vendorId));
    return await loading;
  }

  async function make(vendorId: string): Promise<void> {
    const keyId = drawToken(random, 6);
    const content = { vendor_id: vendorId, key_id: keyId, key: encodeBase64Url(random(KEY_BYTES)) };
    const wrapped = await seal(JSON.stringify(content), { key: serviceKey, purpose: "vendor_key", random });
    await store.activate({ vendorId, keyId, wrapped, state: "active", createdAt: now() });
    rings.delete(vendorId);
  }

  async function activeKey(vendorId: string): Promise<LoadedKey> {
    while (true) {
      const ring = await ringOf(vendorId);
      const active = [...ring.keys.values()].findLast(({ state }) => state === "active");
      if (active !== undefined && active.createdAt + KEY_LIFE_SECONDS > now() && active.seals < MAX_SEALS) {
        return active;
      }
      await make(vendorId);
    }
  }

  return {
    async seal(vendorId: string, purpose: string, value: JsonObject): Promise<string> {
      const active = await activeKey(vendorId);
      active.seals++;
      return await seal(JSON.stringify(value), { key: active.sealKey, purpose, random });
    },

    async open(vendorId: string, purpose: string, text: string): Promise<JsonObject | null> {
      if (vendorIdOf(text) !== vendorId) return null;
      const plaintext = await open(text, {
        purpose,
        findKey: async (kid) => (await ringOf(vendorId)).keys.get(kid.slice(vendorId.length + 1))?.sealKey.key ?? null,
      });
      return plaintext === null ? null : readJsonObject(plaintext);
    },

    async activeKeyId(vendorId: string): Promise<string> {
      return (await activeKey(vendorId)).keyId;
    },

    async exportActive(vendorId: string) {
      const { keyId } = await activeKey(vendorId);
      const record = (await store.list(vendorId)).find((key) => key.keyId === keyId);
      if (record === undefined) throw new Error(`Cannot export key "${keyId}": it was removed meanwhile`);
      return { kid: `${vendorId}.${keyId}`, bytes: await unwrap(record) };
    },

    async removeAll(vendorId: string): Promise<void> {
      await store.removeAll(vendorId);
      rings.delete(vendorId);
    },
  };
}
