/**
 * The service keys: they wrap every key and secret in the store. The first one wraps; all of them open, so that the
 * operator can put a new one in front and take the old one away later.
 *
 * @module
 */

import { digestOf, encodeBase64Url, type JsonObject, readJsonObject } from "../encoding.ts";
import { type Random, systemRandom } from "../random.ts";
import { importSealKey, open, readSealHeader, seal } from "../seal/mod.ts";

/** Wraps and unwraps what lies in the store. */
export interface ServiceKeys {
  /** Seals an object with the first key. */
  seal(purpose: string, value: JsonObject): Promise<string>;
  /** Opens an object that any of the keys sealed; `null` for every kind of failure. */
  open(purpose: string, text: string): Promise<JsonObject | null>;
  /** Tells whether the first key sealed a text. */
  isCurrent(text: string): boolean;
}

/**
 * Creates the service keys.
 *
 * @param masterKeys 32 bytes each; the first one wraps.
 * @param random Randomness; the system's by default.
 * @returns The keys.
 * @throws {RangeError} If there is none, or one has another length.
 */
export async function createServiceKeys(
  masterKeys: readonly Uint8Array<ArrayBuffer>[],
  random: Random = systemRandom,
): Promise<ServiceKeys> {
  const keys = await Promise.all(masterKeys.map(async (bytes) => {
    // The digest tells master keys apart. A vendor may be called "service": its keys are never looked for here.
    const fingerprint = encodeBase64Url((await digestOf(bytes)).subarray(0, 6));
    return await importSealKey(`service.${fingerprint}`, bytes);
  }));
  const [current] = keys;
  if (current === undefined) throw new RangeError("Cannot create service keys: expected at least one master key");
  const findKey = (kid: string) => keys.find((key) => key.kid === kid)?.key ?? null;

  return {
    seal: (purpose, value) => seal(JSON.stringify(value), { key: current, purpose, random }),

    async open(purpose: string, text: string): Promise<JsonObject | null> {
      const plaintext = await open(text, { purpose, findKey });
      return plaintext === null ? null : readJsonObject(plaintext);
    },

    isCurrent: (text) => readSealHeader(text)?.kid === current.kid,
  };
}
