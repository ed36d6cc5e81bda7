/**
 * The schema: where each kind of record stands and how long it lives. One prefix a purpose, so that a handle looked
 * for under the wrong purpose is simply not there.
 *
 * @module
 */

import type { RecordKey } from "./records.ts";

/** `VendorRecord`, until removed. */
export const vendorKey = (vendorId: string): RecordKey => ["vendor", vendorId];

/** The id of the vendor that owns a host, until removed. */
export const vendorHostKey = (host: string): RecordKey => ["vendor_by_host", host];

/** `VendorKeyRecord`, until 30 days after retirement. */
export const vendorKeyKey = (vendorId: string, keyId: string): RecordKey => ["vendor_key", vendorId, keyId];

/** The id of the key that was activated last, until removed: whoever activates the next one has to replace this. */
export const activeVendorKeyKey = (vendorId: string): RecordKey => ["active_vendor_key", vendorId];

/** `SessionRecord`, until the session's absolute end; an ended session stays as its own tombstone. */
export const sessionKey = (vendorId: string, sessionId: string): RecordKey => ["session", vendorId, sessionId];

/** A further part of a large `SessionRecord`, as long as the record. */
export const sessionPartKey = (vendorId: string, sessionId: string, part: string): RecordKey => [
  "session_part",
  vendorId,
  sessionId,
  part,
];

/** The lease on a session's refresh, until some minutes after its end. */
export const leaseKey = (vendorId: string, sessionId: string): RecordKey => ["lease", vendorId, sessionId];

/** `true` for each session that began from a session of the token service (`sid`), until the session's absolute end. */
export const issuerSessionKey = (vendorId: string, issuerSessionId: string, sessionId: string): RecordKey => [
  "session_by_issuer_session",
  vendorId,
  issuerSessionId,
  sessionId,
];

/** When the token service ended every session of a user (`sub`) or of one of its sessions (`sid`), for minutes. */
export const endedKey = (
  vendorId: string,
  by: "sid" | "sub",
  digest: string,
): RecordKey => ["ended", vendorId, by, digest];

/** `true` for each session of a user, until the session's absolute end. */
export const subjectSessionKey = (vendorId: string, subject: string, sessionId: string): RecordKey => [
  "session_by_subject",
  vendorId,
  subject,
  sessionId,
];

/** `true` once the value was used, until the value itself has expired. */
export const onceKey = (purpose: string, digest: string): RecordKey => ["once", purpose, digest];
