/**
 * Vendor ids: the part of our own paths that strangers may choose.
 *
 * @module
 */

const VENDOR_ID_REGEXP = /^[a-z0-9_-]{1,64}$/;

/** Words that stand where a vendor id may stand in a path. */
const RESERVED: ReadonlySet<string> = new Set([
  "auth",
  "login",
  "callback",
  "userinfo",
  "logout",
  "refresh",
  "sessions",
  "events",
  "backchannel-logout",
  "frontchannel-logout",
  "management",
]);

/** Tells whether a text can be a vendor id: 1 to 64 characters of `a-z 0-9 - _`, and no word of our own paths. */
export function isVendorId(text: string): boolean {
  return VENDOR_ID_REGEXP.test(text) && !RESERVED.has(text);
}
