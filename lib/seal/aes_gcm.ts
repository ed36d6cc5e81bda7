/**
 * AES-256-GCM on Web Crypto: 96-bit IV, 128-bit tag behind the ciphertext.
 *
 * @module
 */

/** Bytes of an IV ([NIST SP 800-38D, section 8.2](https://doi.org/10.6028/NIST.SP.800-38D)). */
export const IV_BYTES = 12;

/** Bytes of the authentication tag. */
export const TAG_BYTES = 16;

/** What one operation works on. */
export interface AesGcmInput {
  /** A fresh random value for each encryption under a key. */
  readonly iv: Uint8Array<ArrayBuffer>;
  /** Plaintext to encrypt, or ciphertext and tag to decrypt. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** What is authenticated but not encrypted. */
  readonly additionalData: Uint8Array<ArrayBuffer>;
}

/** Encrypts; the answer is ciphertext and tag. */
export async function encryptBytes(key: CryptoKey, input: AesGcmInput): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.encrypt(parametersOf(input), key, input.data));
}

/** Decrypts; `null` for every kind of failure. */
export async function decryptBytes(key: CryptoKey, input: AesGcmInput): Promise<Uint8Array<ArrayBuffer> | null> {
  if (input.iv.length !== IV_BYTES || input.data.length < TAG_BYTES) return null;
  try {
    return new Uint8Array(await crypto.subtle.decrypt(parametersOf(input), key, input.data));
  } catch {
    return null;
  }
}

function parametersOf({ iv, additionalData }: AesGcmInput): AesGcmParams {
  return { name: "AES-GCM", iv, additionalData, tagLength: TAG_BYTES * 8 };
}
