/**
 * Canonical text encodings, digests and constant-time comparison.
 *
 * Everything that a stranger sends us as base64url is decoded, encoded again and compared, so one value has exactly
 * one spelling: no padding, no white space, no other alphabet, no stray bits in the last character.
 *
 * @module
 */

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Encodes bytes as base64url without padding ([RFC 4648, section 5](https://www.rfc-editor.org/rfc/rfc4648#section-5)). */
export function encodeBase64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Decodes canonical base64url without padding; `null` for every other spelling. */
export function readBase64Url(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    const bytes = Uint8Array.fromBase64(text, { alphabet: "base64url" });
    return encodeBase64Url(bytes) === text ? bytes : null;
  } catch {
    return null;
  }
}

/** Encodes text as UTF-8. */
export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Decodes UTF-8; `null` where the bytes are not valid. A byte order mark is kept, so that JSON parsers refuse it. */
export function readUtf8(bytes: Uint8Array): string | null {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return null;
  }
}

/**
 * Takes space and tab from both ends of a text, as header values are trimmed ([RFC 9110, section 5.6.3](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.3)).
 *
 * Not `trim()`, which would also take the Unicode space that somebody put before `__Host-`; and not a regular expression,
 * which takes quadratic time over a run of spaces in the middle.
 */
export function trimSpace(text: string): string {
  const isSpace = (at: number) => text[at] === " " || text[at] === "\t";
  let begin = 0;
  let end = text.length;
  while (begin < end && isSpace(begin)) begin++;
  while (end > begin && isSpace(end - 1)) end--;
  return text.slice(begin, end);
}

/** A JSON object: what nearly every message of OAuth consists of. */
export type JsonObject = { readonly [member: string]: unknown };

/** Tells whether a value is a JSON object: neither `null` nor an array nor a scalar. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A whole JSON string, quotes included. */
const JSON_STRING_REGEXP = /"[^"\\]*(?:\\.[^"\\]*)*"/g;

/**
 * Parses JSON text that has to be an object; `null` for everything else.
 *
 * A member name that occurs twice in an object makes the text ambiguous, because parsers differ in which of the two they
 * believe ([RFC 8259, section 4](https://www.rfc-editor.org/rfc/rfc8259#section-4)): it counts as everything else. So
 * does nesting so deep that it could only be meant to hurt.
 */
export function readJsonObject(text: string): JsonObject | null {
  try {
    let parsed = 0;
    const value: unknown = JSON.parse(text, function (this: unknown, _name, member: unknown) {
      if (!Array.isArray(this)) parsed++;
      return member;
    });
    // Outside strings every colon belongs to one member, and the parser has counted the root as one more.
    const written = text.replaceAll(JSON_STRING_REGEXP, "").split(":").length;
    return isJsonObject(value) && parsed === written ? value : null;
  } catch {
    return null;
  }
}

/** The SHA-256 digest of a text (as UTF-8) or of bytes. */
export async function digestOf(data: string | Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = typeof data === "string" ? encodeUtf8(data) : data;
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** The SHA-256 digest as base64url: how values that we only need to recognise are stored. */
export async function hashOf(text: string): Promise<string> {
  return encodeBase64Url(await digestOf(text));
}

/**
 * Compares two texts in a time that depends on their lengths alone.
 *
 * An absent value equals nothing, not even another absent one: `undefined === undefined` has let forged callbacks in.
 */
export function equalsConstantTime(a: string | null | undefined, b: string | null | undefined): boolean {
  if (typeof a !== "string" || typeof b !== "string") return false;
  const left = encodeUtf8(a);
  const right = encodeUtf8(b);
  let difference = left.length ^ right.length;
  for (let i = 0; i < left.length; i++) difference |= left[i]! ^ (right[i] ?? 0);
  return difference === 0;
}
