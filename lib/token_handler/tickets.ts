/**
 * Tickets: what the two sealed cookies hold. The access ticket may be shared with sibling hosts; the refresh ticket is
 * the session's handle. A request counts only if both name the same session.
 *
 * @module
 */

import type { JsonObject } from "../encoding.ts";

/** The content of `at`. */
export interface AccessTicket {
  /** The access token; `null` where it lies in the session record because it is too large for a cookie. */
  readonly accessToken: string | null;
  /** End of the access token, in seconds since 1970. */
  readonly expiresAt: number;
  /** The session. */
  readonly sessionId: string;
  /** Which token pair of the session this is. */
  readonly generation: number;
}

/** The content of `__Host-rt`. */
export interface RefreshTicket {
  /** The refresh token; `null` where there is none, or it lies in the session record. */
  readonly refreshToken: string | null;
  /** The session. */
  readonly sessionId: string;
  /** Which token pair of the session this is. */
  readonly generation: number;
}

/** An access ticket as it is sealed; the names are part of the contract, since publishers' servers may open it. */
export function writeAccessTicket({ accessToken, expiresAt, sessionId, generation }: AccessTicket): JsonObject {
  return {
    ...(accessToken === null ? {} : { access_token: accessToken, token_type: "Bearer" }),
    expires_at: expiresAt,
    sid: sessionId,
    generation,
  };
}

/** Reads an access ticket; `null` for anything that we would not have written. */
export function readAccessTicket(content: JsonObject): AccessTicket | null {
  const { access_token = null, token_type = "Bearer", expires_at, sid, generation, ...others } = content;
  if (!isTokenOrNull(access_token) || token_type !== "Bearer" || !isSecond(expires_at)) return null;
  if (!isSessionId(sid) || !isGeneration(generation) || Object.keys(others).length > 0) return null;
  return { accessToken: access_token, expiresAt: expires_at, sessionId: sid, generation };
}

/** A refresh ticket as it is sealed. */
export function writeRefreshTicket({ refreshToken, sessionId, generation }: RefreshTicket): JsonObject {
  return { ...(refreshToken === null ? {} : { refresh_token: refreshToken }), sid: sessionId, generation };
}

/** Reads a refresh ticket; `null` for anything that we would not have written. */
export function readRefreshTicket(content: JsonObject): RefreshTicket | null {
  const { refresh_token = null, sid, generation, ...others } = content;
  if (!isTokenOrNull(refresh_token) || !isSessionId(sid) || !isGeneration(generation)) return null;
  return Object.keys(others).length > 0 ? null : { refreshToken: refresh_token, sessionId: sid, generation };
}

function isTokenOrNull(value: unknown): value is string | null {
  return value === null || (typeof value === "string" && value !== "");
}

function isSecond(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}

function isSessionId(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z0-9_-]{43}$/.test(value);
}

function isGeneration(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
}
