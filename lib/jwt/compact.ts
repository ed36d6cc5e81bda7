/**
 * JWS compact serialization ([RFC 7515](https://www.rfc-editor.org/rfc/rfc7515)), in its one canonical spelling.
 *
 * The text is judged before any key is looked for: length, three parts, base64url without slack, a header that is a plain
 * JSON object and asks for nothing extraordinary. Keys and addresses inside the header (`jwk`, `jku`, `x5u`, `x5c`) are
 * never looked at: whoever signs does not choose the key.
 *
 * @module
 */

import { encodeUtf8, type JsonObject, readBase64Url, readJsonObject, readUtf8 } from "../encoding.ts";
import { factsOf, isSignatureAlgorithm, type SignatureAlgorithm } from "./algorithms.ts";

/** Longest token in characters. */
const MAX_TOKEN_LENGTH = 16_384;

/** Longest header part in characters. */
const MAX_HEADER_LENGTH = 2048;

/** A token that has been taken apart. Nothing in it is verified yet. */
export interface CompactToken {
  /** The header. */
  readonly header: JsonObject;
  /** Its algorithm, one of those the caller allows. */
  readonly alg: SignatureAlgorithm;
  /** Its key id. */
  readonly kid: string | null;
  /** Its type, in lower case and without the prefix `application/`. */
  readonly typ: string | null;
  /** The payload. */
  readonly payload: Uint8Array<ArrayBuffer>;
  /** The signature. */
  readonly signature: Uint8Array<ArrayBuffer>;
  /** What was signed. */
  readonly signed: Uint8Array<ArrayBuffer>;
}

/** What reading a token leads to. */
export type CompactReading =
  | { readonly kind: "read"; readonly token: CompactToken }
  | { readonly kind: "refused"; readonly reason: "malformed" | "header" | "algorithm" };

/**
 * Takes a token apart.
 *
 * @param text JWS compact serialization.
 * @param allowed The algorithms that the caller allows, whatever the token says.
 * @returns The parts, or why the text is refused.
 */
export function readCompact(text: string, allowed: readonly string[]): CompactReading {
  if (text.length > MAX_TOKEN_LENGTH) return { kind: "refused", reason: "malformed" };
  const parts = text.split(".", 4);
  const [header, payload, signature] = parts.map(readBase64Url);
  if (parts.length !== 3 || !header || !payload || !signature || signature.length === 0) {
    return { kind: "refused", reason: "malformed" };
  }
  const members = parts[0]!.length > MAX_HEADER_LENGTH ? null : readJsonObject(readUtf8(header) ?? "");
  if (members === null) return { kind: "refused", reason: "malformed" };
  const { alg, kid, typ } = members;
  if (!isSignatureAlgorithm(alg) || !allowed.includes(alg)) return { kind: "refused", reason: "algorithm" };
  // `crit` names extensions that have to be understood, and there are none here; `b64` is the only one that changes what
  // was signed (RFC 7797), and some libraries obey it even without `crit`.
  const isPlain = !Object.hasOwn(members, "crit") && !Object.hasOwn(members, "b64");
  if (!isPlain || !isTextOrAbsent(kid) || !isTextOrAbsent(typ)) return { kind: "refused", reason: "header" };
  const signed = encodeUtf8(text.slice(0, text.lastIndexOf(".")));
  const type = typ?.toLowerCase().replace(/^application\//, "") ?? null;
  return { kind: "read", token: { header: members, alg, kid: kid ?? null, typ: type, payload, signature, signed } };
}

/** Verifies the signature of a token with a key that fits its algorithm. */
export async function verifySignature(
  token: Pick<CompactToken, "alg" | "signature" | "signed">,
  key: CryptoKey,
): Promise<boolean> {
  return await crypto.subtle.verify(factsOf(token.alg).parameters, key, token.signature, token.signed);
}

function isTextOrAbsent(value: unknown): value is string | undefined {
  return value === undefined || typeof value === "string";
}
