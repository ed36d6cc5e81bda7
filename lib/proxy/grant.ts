/**
 * What a token is good for, held against what an upstream asks for.
 *
 * @module
 */

import type { JsonObject } from "../encoding.ts";
import type { Upstream } from "../vendor/mod.ts";

/** What is known about a token. */
export interface Grant {
  /** Its scopes, separated by spaces; `null` where nobody said. */
  readonly scope: string | null;
  /** The API that it was asked for; `null` where nobody said. */
  readonly audience: string | null;
}

/**
 * Decides whether a token may go to an upstream. A missing scope is no scope, but a missing audience is no other one: many
 * token services issue for their only API without being asked.
 */
export function isGranted(upstream: Upstream, { scope, audience }: Grant): boolean {
  const granted = scope?.split(" ") ?? [];
  const hasScopes = upstream.scopes?.every((needed) => granted.includes(needed)) ?? true;
  return hasScopes && (upstream.audience === undefined || audience === null || audience === upstream.audience);
}

/** The scopes that a verified access token names: in `scope` (RFC 9068), or in `scp` as Okta and Entra write it. */
export function scopeOf({ scope, scp }: JsonObject): string | null {
  if (typeof scope === "string") return scope;
  if (typeof scp === "string") return scp;
  return Array.isArray(scp) && scp.every((name) => typeof name === "string") ? scp.join(" ") : null;
}
