/**
 * The sealing keys of all vendors: found, made, rotated, retired, and kept wrapped at rest.
 *
 * @module
 */

import { type Clock, systemClock } from "../clock.ts";
import { encodeBase64Url, type JsonObject, readBase64Url, readJsonObject } from "../encoding.ts";
import { drawToken, type Random, systemRandom } from "../random.ts";
import { importSealKey, KEY_BYTES, open, readSealHeader, seal, type SealKey } from "../seal/mod.ts";
import type { KeyState, VendorKeyRecord, VendorKeyStore } from "../store/mod.ts";
import type { ServiceKeys } from "./service_keys.ts";

/** A key seals for 30 days, then the next one takes over: random IVs want it changed (NIST SP 800-38D, section 8.3). */
const KEY_LIFE_SECONDS = 30 * 86_400;

/** Values that one process seals with one key. Sixteen busy processes stay below 2^31 together. */
const MAX_SEALS = 2 ** 27;

/** How long keys are believed before the store is asked again, so that other processes' changes arrive. */
const FRESH_SECONDS = 1;

/** How often the use of a key is noted. */
const NOTE_EVERY_SECONDS = 3600;

/** What the sealing and opening of a vendor's values needs. */
export interface VendorKeysOptions {
  /** Where the wrapped keys lie. */
  readonly store: VendorKeyStore;
  /** The service keys, which wrap them. */
  readonly serviceKeys: ServiceKeys;
  /** Time; the system's by default. */
  readonly now?: Clock;
  /** Randomness; the system's by default. */
  readonly random?: Random;
}

/** What may be told about a key. */
export type VendorKeyInfo = Omit<VendorKeyRecord, "wrapped">;

/** Seals and opens JSON objects for vendors. */
export interface VendorKeys {
  /** Seals an object with the vendor's active key, making one if there is none or it has grown old. */
  seal(vendorId: string, purpose: string, value: JsonObject): Promise<string>;
  /** Opens a value sealed for this vendor and purpose; `null` for every kind of failure. */
  open(vendorId: string, purpose: string, text: string): Promise<JsonObject | null>;
  /** Says what became of the key that a sealed text names; `null` if the vendor never had it. Nothing is verified. */
  stateOf(vendorId: string, text: string): Promise<KeyState | null>;
  /** The id of the key that seals for a vendor now. */
  activeKeyId(vendorId: string): Promise<string>;
  /** The raw active key, for a publisher's own server that reads `at` by itself. Never put it on the wire. */
  exportActive(vendorId: string): Promise<{ readonly kid: string; readonly bytes: Uint8Array<ArrayBuffer> }>;
  /** Lists a vendor's keys, oldest first. */
  list(vendorId: string): Promise<readonly VendorKeyInfo[]>;
  /** Makes a new active key; what the former one sealed can still be opened. Answers the new key's id. */
  rotate(vendorId: string): Promise<string>;
  /** Retires a key for good: nothing it sealed can be opened any more. `false` if there is no such key. */
  retire(vendorId: string, keyId: string): Promise<boolean>;
  /** Forgets a vendor's keys here and in the store. */
  removeAll(vendorId: string): Promise<void>;
}

interface LoadedKey {
  readonly keyId: string;
  readonly state: KeyState;
  readonly createdAt: number;
  /** `null` once retired. */
  readonly sealKey: SealKey | null;
  lastUsedAt: number | null;
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
 * @param options Store, service keys and dependencies.
 * @returns Sealing and opening by vendor id.
 */
export function createVendorKeys(options: VendorKeysOptions): VendorKeys {
  const { store, serviceKeys, now = systemClock, random = systemRandom } = options;
  const rings = new Map<string, Promise<Ring>>();

  async function unwrap(record: VendorKeyRecord): Promise<Uint8Array<ArrayBuffer>> {
    const { vendorId, keyId, wrapped } = record;
    const content = await serviceKeys.open("vendor_key", wrapped);
    const isOwn = content?.vendor_id === vendorId && content.key_id === keyId;
    const bytes = isOwn ? readBase64Url(String(content.key)) : null;
    if (bytes === null) {
      throw new Error(`Cannot unwrap key "${keyId}" of vendor "${vendorId}": it was wrapped with another service key`);
    }
    if (!serviceKeys.isCurrent(wrapped)) await store.change(vendorId, keyId, await rewrapper(record, bytes));
    return bytes;
  }

  async function wrap(vendorId: string, keyId: string, bytes: Uint8Array): Promise<string> {
    return await serviceKeys.seal("vendor_key", { vendor_id: vendorId, key_id: keyId, key: encodeBase64Url(bytes) });
  }

  /** After a rotation of the service key, each vendor key moves to the new one when it is next loaded. */
  async function rewrapper({ vendorId, keyId, wrapped: former }: VendorKeyRecord, bytes: Uint8Array) {
    const wrapped = await wrap(vendorId, keyId, bytes);
    return (key: VendorKeyRecord) => key.wrapped === former ? { ...key, wrapped } : null;
  }

  async function load(vendorId: string, former: Ring | null): Promise<Ring> {
    const keys = new Map<string, LoadedKey>();
    for (const record of await store.list(vendorId)) {
      const { keyId, state, createdAt, lastUsedAt } = record;
      const known = former?.keys.get(keyId);
      const sealKey = state === "retired"
        ? null
        : known?.sealKey ?? await importSealKey(`${vendorId}.${keyId}`, await unwrap(record));
      keys.set(keyId, { keyId, state, createdAt, sealKey, lastUsedAt, seals: known?.seals ?? 0 });
    }
    return { readAt: now(), keys };
  }

  /**
   * The vendor's keys, at most a second old. A key that is wanted and not there may have been made by another process just
   * now, so it is looked for again, however often somebody makes up key ids: a cookie that is refused by mistake would be
   * cleared. One look at a time serves everybody who has asked before it began.
   */
  async function ringOf(vendorId: string, wanted?: string): Promise<Ring> {
    const known = rings.get(vendorId);
    const ring = await known?.catch(() => null) ?? null;
    const isComplete = wanted === undefined || ring?.keys.has(wanted);
    if (ring !== null && ring.readAt + FRESH_SECONDS >= now() && isComplete) return ring;
    const newer = rings.get(vendorId);
    if (newer !== undefined && newer !== known) return await newer;
    const loading = load(vendorId, ring);
    rings.set(vendorId, loading);
    loading.catch(() => rings.delete(vendorId));
    return await loading;
  }

  /** Makes a key to replace the active one, and answers its id; `null` if somebody else was quicker. */
  async function make(vendorId: string, former: string | null): Promise<string | null> {
    const keyId = drawToken(random, 6);
    const wrapped = await wrap(vendorId, keyId, random(KEY_BYTES));
    const key = { vendorId, keyId, wrapped, state: "active", createdAt: now(), lastUsedAt: null } as const;
    const isMade = await store.activate(key, former);
    rings.delete(vendorId);
    return isMade ? keyId : null;
  }

  async function activeKey(vendorId: string): Promise<LoadedKey & { readonly sealKey: SealKey }> {
    while (true) {
      const ring = await ringOf(vendorId);
      const active = [...ring.keys.values()].find(({ state }) => state === "active");
      const isFit = active !== undefined && active.createdAt + KEY_LIFE_SECONDS > now() && active.seals < MAX_SEALS;
      if (isFit && active.sealKey !== null) return active as LoadedKey & { readonly sealKey: SealKey };
      await make(vendorId, active?.keyId ?? null);
    }
  }

  /** The operator wants to know when a key is no longer needed; an hour more or less does not matter. */
  function noteUse(vendorId: string, key: LoadedKey): void {
    if (key.lastUsedAt !== null && key.lastUsedAt + NOTE_EVERY_SECONDS > now()) return;
    const lastUsedAt = key.lastUsedAt = now();
    store.change(vendorId, key.keyId, (record) => ({ ...record, lastUsedAt })).catch(() => key.lastUsedAt = null);
  }

  async function keyNamedBy(vendorId: string, text: string): Promise<LoadedKey | null> {
    if (vendorIdOf(text) !== vendorId) return null;
    const keyId = readSealHeader(text)!.kid.slice(vendorId.length + 1);
    return (await ringOf(vendorId, keyId)).keys.get(keyId) ?? null;
  }

  return {
    async seal(vendorId: string, purpose: string, value: JsonObject): Promise<string> {
      const active = await activeKey(vendorId);
      active.seals++;
      return await seal(JSON.stringify(value), { key: active.sealKey, purpose, random });
    },

    async open(vendorId: string, purpose: string, text: string): Promise<JsonObject | null> {
      const key = await keyNamedBy(vendorId, text);
      if (key === null || key.sealKey === null) return null;
      const { sealKey } = key;
      const plaintext = await open(text, { purpose, findKey: (kid) => kid === sealKey.kid ? sealKey.key : null });
      if (plaintext === null) return null;
      noteUse(vendorId, key);
      return readJsonObject(plaintext);
    },

    async stateOf(vendorId: string, text: string): Promise<KeyState | null> {
      return (await keyNamedBy(vendorId, text))?.state ?? null;
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

    async list(vendorId: string): Promise<readonly VendorKeyInfo[]> {
      return (await store.list(vendorId)).map(({ wrapped: _, ...info }) => info);
    },

    async rotate(vendorId: string): Promise<string> {
      while (true) {
        const active = (await store.list(vendorId)).find(({ state }) => state === "active");
        const keyId = await make(vendorId, active?.keyId ?? null);
        if (keyId !== null) return keyId;
      }
    },

    async retire(vendorId: string, keyId: string): Promise<boolean> {
      const retired = await store.change(vendorId, keyId, (key) => ({ ...key, state: "retired", wrapped: "" }));
      rings.delete(vendorId);
      return retired !== null;
    },

    async removeAll(vendorId: string): Promise<void> {
      await store.removeAll(vendorId);
      rings.delete(vendorId);
    },
  };
}
