/**
 * Sealing: values that travel through the browser, or lie in a database, and that only we can read and write.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { importSealKey, open, seal } from "@cloakroom/token-handler/seal";
 *
 * const key = await importSealKey("acme.k1", crypto.getRandomValues(new Uint8Array(32)));
 * const sealed = await seal("a token", { key, purpose: "at" });
 *
 * const findKey = (kid: string) => kid === key.kid ? key.key : null;
 * assertEquals(await open(sealed, { purpose: "at", findKey }), "a token");
 * assertEquals(await open(sealed, { purpose: "rt", findKey }), null);
 * ```
 *
 * The format is JWE compact serialization, `dir` with `A256GCM`, so any JOSE library that holds the key can open it.
 * The protected header names vendor, key and purpose and is authenticated, so none of the three can be swapped. IVs are
 * random: a key may seal 2^31 values.
 *
 * @module
 */

export {
  importSealKey,
  KEY_BYTES,
  open,
  type OpenOptions,
  readSealHeader,
  seal,
  type SealKey,
  type SealOptions,
} from "./jwe.ts";
