/**
 * The refresh call itself: one request to the vendor's token service, its answer judged before anything is believed.
 *
 * @module
 */

import { type Clock, systemClock } from "../clock.ts";
import { type KeySets, verifyIdToken } from "../jwt/mod.ts";
import { type Logger, silentLogger } from "../log.ts";
import { type MetadataDirectory, sendRefresh, type TokenOutcome } from "../oauth/mod.ts";
import type { Fetch } from "../outbound.ts";
import { expiryOf, type TokenPair } from "./tokens.ts";
import type { Vendor } from "./vendors.ts";

/** Milliseconds that the call may take. Nobody waits that long, but cutting it off could lose the session. */
const TIMEOUT_MS = 30_000;

/** What a refresh brought: tokens of the same user, or why there are none. */
export type RefreshAnswer =
  | Exclude<TokenOutcome, { kind: "issued" }>
  | { readonly kind: "issued"; readonly tokens: TokenPair; readonly idToken: string | null };

/** Redeems a refresh token of a user. */
export type Refresher = (vendor: Vendor, refreshToken: string, subject: string) => Promise<RefreshAnswer>;

/** What a refresher is made of. */
export interface RefresherOptions {
  /** What token services say about themselves. */
  readonly metadata: MetadataDirectory;
  /** Their keys. */
  readonly keySets: KeySets;
  /** Sends the request. */
  readonly fetch: Fetch;
  /** Time; the system's by default. */
  readonly now?: Clock;
  /** The log. */
  readonly log?: Logger;
}

/** Creates the refresher. It is never given a browser's abort signal. */
export function createRefresher(options: RefresherOptions): Refresher {
  const { metadata, keySets, fetch, now = systemClock, log = silentLogger } = options;

  return async (vendor, refreshToken, subject) => {
    const found = await metadata.find(vendor.issuer);
    if (found.kind !== "found") return { kind: "unavailable", retryAfterSeconds: null, sent: false };
    const { authenticateClient: authentication } = vendor;
    const outcome = await sendRefresh(found.metadata, { refreshToken }, {
      fetch,
      authentication,
      timeoutMs: TIMEOUT_MS,
    });
    if (outcome.kind === "misconfigured") {
      log({ level: "error", event: "refresh", vendor: vendor.id, reason: outcome.error });
    }
    if (outcome.kind !== "issued") return outcome;
    const { accessToken, expiresIn, refreshToken: next, idToken } = outcome.tokens;
    if (idToken !== null) {
      const verdict = await verifyIdToken(idToken, {
        keySets,
        jwksUri: found.metadata.jwksUri,
        issuer: vendor.issuer,
        clientId: vendor.clientId,
        nonce: null,
        subject,
        accessToken,
        now,
      });
      if (verdict.kind === "refused") {
        log({ level: "error", event: "refresh_id_token", vendor: vendor.id, reason: verdict.reason });
        return { kind: "refused", error: "invalid_grant" };
      }
    }
    const tokens = { accessToken, expiresAt: expiryOf(expiresIn, now()), refreshToken: next };
    return { kind: "issued", tokens, idToken };
  };
}
