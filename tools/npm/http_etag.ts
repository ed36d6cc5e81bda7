/**
 * What the service uses of `@std/http/etag`, for machines that reach only the npm registry
 * ({@link https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3 | RFC 9110, 8.8.3}).
 *
 * @module
 */

/** How an entity tag is made. */
export interface ETagOptions {
  /** The digest; SHA-256 if absent. */
  algorithm?: AlgorithmIdentifier;
  /** Whether the tag is marked as weak. */
  weak?: boolean;
}

/** Makes the entity tag of a text or of bytes: its length and the beginning of its digest. */
export async function eTag(entity: string | Uint8Array<ArrayBuffer>, options: ETagOptions = {}): Promise<string> {
  const bytes = typeof entity === "string" ? new TextEncoder().encode(entity) : entity;
  const digest = new Uint8Array(await crypto.subtle.digest(options.algorithm ?? "SHA-256", bytes));
  const tag = `"${entity.length.toString(16)}-${digest.toBase64().slice(0, 27)}"`;
  return options.weak ? `W/${tag}` : tag;
}

/** Whether an `If-Match` header lets a change of the entity pass. Weak tags never match. */
export function ifMatch(value: string | null, etag: string | undefined): boolean {
  if (!value || !etag || etag.startsWith("W/")) return false;
  return value.trim() === "*" || listOf(value).includes(etag);
}

/** Whether an `If-None-Match` header asks for the entity, because the caller does not have it yet. */
export function ifNoneMatch(value: string | null, etag: string | undefined): boolean {
  if (!value || !etag) return true;
  if (value.trim() === "*") return false;
  return !listOf(value).map(strong).includes(strong(etag));
}

function listOf(value: string): string[] {
  return value.split(",").map((tag) => tag.trim());
}

function strong(tag: string): string {
  return tag.replace(/^W\//, "");
}
