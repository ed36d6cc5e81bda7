/**
 * Sealed values: JWE compact serialization with `dir` and `A256GCM`
 * ([RFC 7516](https://www.rfc-editor.org/rfc/rfc7516)), of which only the header texts that we write ourselves exist.
 *
 * @module
 */

import { encodeBase64Url, encodeUtf8, readBase64Url, readJsonObject, readUtf8 } from "../encoding.ts";
import { type Random, systemRandom } from "../random.ts";
import { decryptBytes, encryptBytes, IV_BYTES, TAG_BYTES } from "./aes_gcm.ts";

/** Bytes of a sealing key. */
export const KEY_BYTES = 32;

/** A key id: the owner, a dot, and the key's id within the owner. */
const KID_REGEXP = /^[a-z0-9_-]{1,64}\.[A-Za-z0-9_-]{1,32}$/;

/** What a value is for: part of the authenticated header, so a value of one purpose never passes for another. */
const PURPOSE_REGEXP = /^[a-z_]{1,32}$/;

/** Longest header segment that we could have written. */
const MAX_HEADER_LENGTH = 256;

/** A key that seals, with the id by which it is found again. */
export interface SealKey {
  /** `<vendorId>.<keyId>`. */
  readonly kid: string;
  /** A non-extractable AES-GCM key of 256 bits. */
  readonly key: CryptoKey;
}

/** How to seal. */
export interface SealOptions {
  /** The key to seal with. */
  readonly key: SealKey;
  /** What the value is for, such as `at`, `rt` or `tx`. */
  readonly purpose: string;
  /** Where the IV comes from. */
  readonly random?: Random;
}

/** How to open. */
export interface OpenOptions {
  /** What the value has to be for. */
  readonly purpose: string;
  /** Finds the key of a key id; `null` where there is none (any more). */
  readonly findKey: (kid: string) => CryptoKey | null | Promise<CryptoKey | null>;
}

/**
 * Makes a sealing key of raw bytes. The `CryptoKey` cannot be exported again.
 *
 * @param kid `<vendorId>.<keyId>`.
 * @param bytes 32 random bytes.
 * @returns The key.
 * @throws {RangeError} If the id or the length is wrong.
 */
export async function importSealKey(kid: string, bytes: Uint8Array<ArrayBuffer>): Promise<SealKey> {
  if (!KID_REGEXP.test(kid)) {
    throw new RangeError("Cannot import a sealing key: expected an id of the form <vendorId>.<keyId>");
  }
  if (bytes.length !== KEY_BYTES) {
    throw new RangeError(`Cannot import key "${kid}": expected ${KEY_BYTES} bytes, got ${bytes.length}`);
  }
  const key = await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
  return { kid, key };
}

/**
 * Seals a text: nobody without the key can read it, change it, or pass it off under another purpose, vendor or key.
 *
 * @param plaintext The text.
 * @param options Key and purpose.
 * @returns JWE compact serialization.
 */
export async function seal(plaintext: string, options: SealOptions): Promise<string> {
  const { key: { kid, key }, purpose, random = systemRandom } = options;
  if (!PURPOSE_REGEXP.test(purpose)) throw new RangeError("Cannot seal: expected a purpose of a-z and _");
  const header = writeHeader(kid, purpose);
  const iv = random(IV_BYTES);
  const sealed = await encryptBytes(key, { iv, data: encodeUtf8(plaintext), additionalData: encodeUtf8(header) });
  const ciphertext = encodeBase64Url(sealed.subarray(0, -TAG_BYTES));
  return `${header}..${encodeBase64Url(iv)}.${ciphertext}.${encodeBase64Url(sealed.subarray(-TAG_BYTES))}`;
}

/**
 * Opens a sealed text.
 *
 * @param text JWE compact serialization.
 * @param options The purpose it must have, and where to find keys.
 * @returns The plaintext; `null` for every kind of failure, without telling them apart.
 */
export async function open(text: string, options: OpenOptions): Promise<string | null> {
  const [header, encryptedKey, iv, ciphertext, tag, ...rest] = text.split(".", 6);
  if (tag === undefined || encryptedKey !== "" || rest.length > 0) return null;
  const named = readHeader(header!);
  if (named === null || named.purpose !== options.purpose) return null;
  const ivBytes = readBase64Url(iv!);
  const cipherBytes = readBase64Url(ciphertext!);
  const tagBytes = readBase64Url(tag);
  if (ivBytes === null || cipherBytes === null || tagBytes?.length !== TAG_BYTES) return null;
  const key = await options.findKey(named.kid);
  if (key === null) return null;
  const data = new Uint8Array(cipherBytes.length + TAG_BYTES);
  data.set(cipherBytes);
  data.set(tagBytes, cipherBytes.length);
  const plaintext = await decryptBytes(key, { iv: ivBytes, data, additionalData: encodeUtf8(header!) });
  return plaintext === null ? null : readUtf8(plaintext);
}

/**
 * Reads which key a sealed text names. Nothing is verified yet: use it to find a tenant, never to trust one.
 *
 * @param text JWE compact serialization.
 * @returns Owner and key id, and the purpose; `null` if we cannot have written the header.
 */
export function readSealHeader(text: string): { readonly kid: string; readonly purpose: string } | null {
  const end = text.indexOf(".");
  return end < 0 ? null : readHeader(text.slice(0, end));
}

function writeHeader(kid: string, purpose: string): string {
  return encodeBase64Url(encodeUtf8(JSON.stringify({ alg: "dir", enc: "A256GCM", kid, typ: purpose })));
}

/** Headers that were found good: there are as many as keys and purposes, and every request brings one of them. */
const knownHeaders = new Map<string, { readonly kid: string; readonly purpose: string }>();
const MAX_KNOWN_HEADERS = 1000;

function readHeader(segment: string): { readonly kid: string; readonly purpose: string } | null {
  if (segment.length > MAX_HEADER_LENGTH) return null;
  const known = knownHeaders.get(segment);
  if (known !== undefined) return known;
  const bytes = readBase64Url(segment);
  const header = readJsonObject((bytes && readUtf8(bytes)) ?? "");
  if (header === null) return null;
  const { kid, typ } = header;
  if (typeof kid !== "string" || !KID_REGEXP.test(kid)) return null;
  if (typeof typ !== "string" || !PURPOSE_REGEXP.test(typ)) return null;
  if (writeHeader(kid, typ) !== segment) return null;
  if (knownHeaders.size >= MAX_KNOWN_HEADERS) knownHeaders.clear();
  const named = { kid, purpose: typ };
  knownHeaders.set(writeHeader(kid, typ), named);
  return named;
}
