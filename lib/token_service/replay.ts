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

const IV_BYTES = 12;

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
  const sealed = await crypto.subtle.encrypt(
    parametersOf(iv, binding),
    await deriveKey(binding, "encrypt"),
    encodeUtf8(answer),
  );
  return encodeBase64Url(new Uint8Array([...iv, ...new Uint8Array(sealed)]));
}

/** Opens an answer; `null` if it was sealed for another token or request. */
export async function openReplay(sealed: string, binding: ReplayBinding): Promise<string | null> {
  const bytes = readBase64Url(sealed);
  if (bytes === null) return null;
  try {
    const opened = await crypto.subtle.decrypt(
      parametersOf(bytes.slice(0, IV_BYTES), binding),
      await deriveKey(binding, "decrypt"),
      bytes.slice(IV_BYTES),
    );
    return readUtf8(new Uint8Array(opened));
  } catch {
    return null;
  }
}

function parametersOf(iv: Uint8Array<ArrayBuffer>, { request }: ReplayBinding): AesGcmParams {
  return { name: "AES-GCM", iv, additionalData: encodeUtf8(JSON.stringify(request)) };
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
