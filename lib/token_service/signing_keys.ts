/**
 * The keys that sign tokens: one RSA and one elliptic, made on first need.
 *
 * Making an RSA key takes about half a second of another thread, so it is never done before the first page; `warm` of the
 * service starts it in the background.
 *
 * @module
 */

import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from "@panva/jose";
import { type Clock, systemClock } from "../clock.ts";
import { type JsonObject, readJsonObject } from "../encoding.ts";
import type { Records, Stored } from "../store/records.ts";
import { activeSigningKeyKey, signingKeyKey } from "./record_keys.ts";

/** How tokens are signed. RS256 is what every client knows, ES256 is shorter and quicker. */
export type SigningAlg = "RS256" | "ES256";

/** Every algorithm in use, the default first. */
export const SIGNING_ALGS: readonly SigningAlg[] = ["RS256", "ES256"];

/** A key that signs. */
export interface SigningKey {
  /** Its id in the key set. */
  readonly kid: string;
  /** The key. */
  readonly privateKey: CryptoKey;
}

/** The public half of a key, as the key set shows it. */
export type PublicJwk = JsonObject & { readonly kid: string; readonly alg: string };

/** Where signing keys come from. */
export interface SigningKeys {
  /** The key that signs now. */
  active(alg: SigningAlg): Promise<SigningKey>;
  /** The public halves of all keys whose signatures still count. */
  jwks(): Promise<readonly PublicJwk[]>;
}

/** Protects private keys in the store. */
export interface KeyWrap {
  /** Seals a text. */
  seal(plaintext: string): Promise<string>;
  /** Opens what `seal` made; `null` if it cannot. */
  open(sealed: string): Promise<string | null>;
  /** Tells whether `seal` would use the same key today. */
  isCurrent(sealed: string): boolean;
}

/** Where keys are kept: `records` and `wrap` together, or neither, and then in memory alone. */
export interface SigningKeysOptions {
  /** The store. */
  readonly records?: Records;
  /** What private keys are wrapped with before they are stored. */
  readonly wrap?: KeyWrap;
  /** The clock. */
  readonly now?: Clock;
}

interface SigningKeyRecord {
  readonly kid: string;
  readonly publicJwk: PublicJwk;
  readonly wrapped: string;
  readonly createdAt: number;
}

interface LoadedKey extends SigningKey {
  readonly publicJwk: PublicJwk;
}

/**
 * Creates the keys' holder; keys are made or loaded when they are first needed.
 *
 * @param options Where keys are kept.
 * @returns The holder.
 * @throws {TypeError} If private keys would have to be stored without protection.
 */
export function createSigningKeys(options: SigningKeysOptions = {}): SigningKeys {
  const { records, wrap, now = systemClock } = options;
  if ((records === undefined) !== (wrap === undefined)) {
    throw new TypeError("Cannot keep signing keys: expected both a store and a wrap, or neither");
  }
  const load = records === undefined || wrap === undefined
    ? createKey
    : (alg: SigningAlg) => loadKey(alg, { records, wrap, now });
  const loaded = new Map<SigningAlg, Promise<LoadedKey>>();

  async function find(alg: SigningAlg): Promise<LoadedKey> {
    const pending = loaded.get(alg) ?? load(alg);
    loaded.set(alg, pending);
    try {
      return await pending;
    } catch (error) {
      loaded.delete(alg);
      throw error;
    }
  }

  return {
    active: find,

    async jwks(): Promise<readonly PublicJwk[]> {
      const keys = await Promise.all(SIGNING_ALGS.map(find));
      return keys.map(({ publicJwk }) => publicJwk);
    },
  };
}

async function createKey(alg: SigningAlg): Promise<LoadedKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg);
  return { privateKey, ...await describe(alg, publicKey) };
}

async function describe(alg: SigningAlg, publicKey: CryptoKey): Promise<{ kid: string; publicJwk: PublicJwk }> {
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  return { kid, publicJwk: { ...jwk, kid, alg, use: "sig" } };
}

/** Finds the stored key, or makes one; of several processes that make one at the same time, one key wins. */
async function loadKey(
  alg: SigningAlg,
  { records, wrap, now }: { readonly records: Records; readonly wrap: KeyWrap; readonly now: Clock },
): Promise<LoadedKey> {
  /** After a change of what wraps, each key moves to it when it is next loaded. */
  async function rewrap({ key, value, version }: Stored<SigningKeyRecord>, text: string): Promise<void> {
    const rewrapped = { ...value, wrapped: await wrap.seal(text) };
    await records.commit({ checks: [{ key, version }], sets: [{ key, value: rewrapped }] });
  }

  while (true) {
    const active = await records.find<string>(activeSigningKeyKey(alg));
    if (active !== null) {
      const stored = await records.find<SigningKeyRecord>(signingKeyKey(alg, active.value));
      const text = stored === null ? null : await wrap.open(stored.value.wrapped);
      const jwk = text === null ? null : readJsonObject(text);
      if (stored === null || text === null || jwk === null) {
        throw new TypeError(`Cannot open signing key ${JSON.stringify(active.value)}: the wrap does not fit`);
      }
      const { kid, publicJwk, wrapped } = stored.value;
      if (!wrap.isCurrent(wrapped)) await rewrap(stored, text);
      return { kid, publicJwk, privateKey: await importJWK(jwk, alg) as CryptoKey };
    }
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    const { kid, publicJwk } = await describe(alg, publicKey);
    const wrapped = await wrap.seal(JSON.stringify(await exportJWK(privateKey)));
    const record: SigningKeyRecord = { kid, publicJwk, wrapped, createdAt: now() };
    await records.commit({
      checks: [{ key: activeSigningKeyKey(alg), version: null }],
      sets: [{ key: activeSigningKeyKey(alg), value: kid }, { key: signingKeyKey(alg, kid), value: record }],
    });
  }
}
