/**
 * The answer to a refresh that is asked for twice.
 *
 * A client whose answer got lost, or that has two tabs, shows the same refresh token again. For a short time it is given
 * the very same successors, never new ones. To that end the answer is kept, sealed under a key derived from the refresh
 * token itself: the store holds only the token's hash, so nobody who reads the store can open it.
 *
 * @module
 */

import { encodeBase64Url, encodeUtf8, readBase64Url, readUtf8 } from "../encoding.ts";
import type { Random } from "../random.ts";
import { decryptBytes, encryptBytes, IV_BYTES } from "../seal/aes_gcm.ts";

/** What an answer is sealed for: the token it was exchanged for, and the request that asked. */
export interface ReplayBinding {
  /** The refresh token that was used up. */
  readonly refreshToken: string;
  /** Everything else in the request that shaped the answer. */
  readonly request: readonly (string | null)[];
}

/** Seals an answer. */
export async function sealReplay(answer: string, binding: ReplayBinding, random: Random): Promise<string> {
  const iv = random(IV_BYTES);
  const key = await deriveKey(binding, "encrypt");
  const sealed = await encryptBytes(key, { iv, data: encodeUtf8(answer), additionalData: additionalDataOf(binding) });
  return encodeBase64Url(new Uint8Array([...iv, ...sealed]));
}

/** Opens an answer; `null` if it was sealed for another token or request. */
export async function openReplay(sealed: string, binding: ReplayBinding): Promise<string | null> {
  const bytes = readBase64Url(sealed) ?? new Uint8Array();
  const key = await deriveKey(binding, "decrypt");
  const [iv, data] = [bytes.slice(0, IV_BYTES), bytes.slice(IV_BYTES)];
  const opened = await decryptBytes(key, { iv, data, additionalData: additionalDataOf(binding) });
  return opened === null ? null : readUtf8(opened);
}

function additionalDataOf({ request }: ReplayBinding): Uint8Array<ArrayBuffer> {
  return encodeUtf8(JSON.stringify(request));
}

/** The token is 256 random bits, so HKDF needs neither salt nor rounds (RFC 5869, section 3.1). */
async function deriveKey({ refreshToken }: ReplayBinding, usage: "encrypt" | "decrypt"): Promise<CryptoKey> {
  const material = await crypto.subtle.importKey("raw", encodeUtf8(refreshToken), "HKDF", false, ["deriveKey"]);
  return await crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: encodeUtf8("cloakroom refresh replay") },
    material,
    { name: "AES-GCM", length: 256 },
    false,
    [usage],
  );
}
