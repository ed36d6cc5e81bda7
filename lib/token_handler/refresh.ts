/**
 * Calls with a session's refresh token to the vendor's token service; an answer is judged before anything is believed.
 *
 * @module
 */

import { type Clock, systemClock } from "../clock.ts";
import { type KeySets, verifyIdToken } from "../jwt/mod.ts";
import { type Logger, silentLogger } from "../log.ts";
import {
  type MetadataDirectory,
  sendRefresh,
  sendRevocation,
  type ServerMetadata,
  type TokenOutcome,
} from "../oauth/mod.ts";
import type { Fetch } from "../outbound.ts";
import { expiryOf, type TokenPair } from "./tokens.ts";
import type { Vendor } from "./vendors.ts";

/** Milliseconds that a refresh may take. Nobody waits that long, but cutting it off could lose the session. */
const REFRESH_TIMEOUT_MS = 30_000;

/** What a refresh brought: tokens of the same user, or why there are none. */
export type RefreshAnswer =
  | {
    readonly kind: "issued";
    readonly tokens: TokenPair;
    /** The new ID token, verified; `null` if there was none. */
    readonly idToken: string | null;
    /** The granted scope; `null` where it is the former one. */
    readonly scope: string | null;
  }
  | {
    /** The session is over: the token is dead, or the answer is about somebody else. */
    readonly kind: "refused";
    /** Whether a former call with the same token had no known end, so that the token may have been used up by it. */
    readonly afterUnknown: boolean;
  }
  | {
    /** It may work later. */
    readonly kind: "unavailable";
    /** What the server says about when. */
    readonly retryAfterSeconds: number | null;
    /** Whether the token may have been used up all the same, by this call or a former one. */
    readonly afterUnknown: boolean;
  };

/** A refresh token and whose it is. */
export interface RefreshRequest {
  /** The tenant. */
  readonly vendor: Vendor;
  /** The token. */
  readonly refreshToken: string;
  /** The user (`sub`). */
  readonly subject: string;
  /** Whether nobody knows what came of a former call with this token. */
  readonly afterUnknown: boolean;
}

/** Calls with refresh tokens. */
export interface RefreshCalls {
  /** Redeems one; where no answer comes at all, once more. */
  refresh(request: RefreshRequest): Promise<RefreshAnswer>;
  /** Revokes one, as far as the token service lets us (RFC 7009). */
  revoke(vendor: Vendor, refreshToken: string): Promise<void>;
}

/** What the calls are made of. */
export interface RefreshCallsOptions {
  /** What token services say about themselves. */
  readonly metadata: MetadataDirectory;
  /** Their keys. */
  readonly keySets: KeySets;
  /** Sends requests. It is never given a browser's abort signal. */
  readonly fetch: Fetch;
  /** Time; the system's by default. */
  readonly now?: Clock;
  /** The log. */
  readonly log?: Logger;
}

/** Creates the calls. */
export function createRefreshCalls(options: RefreshCallsOptions): RefreshCalls {
  const { metadata, keySets, fetch, now = systemClock, log = silentLogger } = options;

  async function send(
    found: ServerMetadata,
    { vendor, refreshToken }: RefreshRequest,
  ): Promise<{ readonly outcome: TokenOutcome; readonly isUnknown: boolean }> {
    let isAnswered = false;
    const noting: Fetch = async (input, init) => {
      const response = await fetch(input, init);
      isAnswered = true;
      return response;
    };
    const { authenticateClient: authentication } = vendor;
    const sending = { fetch: noting, authentication, timeoutMs: REFRESH_TIMEOUT_MS };
    const outcome = await sendRefresh(found, { refreshToken }, sending);
    return { outcome, isUnknown: outcome.kind === "unavailable" && !isAnswered };
  }

  return {
    async refresh(request: RefreshRequest): Promise<RefreshAnswer> {
      const { vendor, subject } = request;
      const found = await metadata.find(vendor.issuer);
      if (found.kind !== "found") {
        return { kind: "unavailable", retryAfterSeconds: null, afterUnknown: request.afterUnknown };
      }
      let { outcome, isUnknown } = await send(found.metadata, request);
      const afterUnknown = request.afterUnknown || isUnknown;
      if (isUnknown) outcome = (await send(found.metadata, request)).outcome;
      switch (outcome.kind) {
        case "refused":
          return { kind: "refused", afterUnknown };
        case "misconfigured":
        case "invalid_response": {
          const reason = outcome.kind === "misconfigured" ? outcome.error : outcome.fault;
          log({ level: "error", event: "refresh_unusable", vendor: vendor.id, reason });
          const isUsed = outcome.kind === "invalid_response";
          return { kind: "unavailable", retryAfterSeconds: null, afterUnknown: afterUnknown || isUsed };
        }
        case "unavailable": {
          log({ level: "warn", event: "refresh_unavailable", vendor: vendor.id });
          const { retryAfterSeconds, sent } = outcome;
          return { kind: "unavailable", retryAfterSeconds, afterUnknown: afterUnknown || sent };
        }
        case "issued": {
          const { accessToken, expiresIn, refreshToken, idToken, scope } = outcome.tokens;
          const tokens = {
            accessToken,
            expiresAt: expiryOf(expiresIn, now()),
            refreshToken: refreshToken ?? request.refreshToken,
          };
          if (idToken === null) return { kind: "issued", tokens, idToken, scope };
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
          if (verdict.kind !== "refused") {
            return { kind: "issued", tokens, idToken: verdict.kind === "verified" ? idToken : null, scope };
          }
          log({ level: "error", event: "refresh_id_token", vendor: vendor.id, reason: verdict.reason });
          await this.revoke(vendor, tokens.refreshToken);
          return { kind: "refused", afterUnknown: false };
        }
      }
    },

    async revoke(vendor: Vendor, refreshToken: string): Promise<void> {
      const found = await metadata.find(vendor.issuer);
      const isRevoked = found.kind === "found" &&
        await sendRevocation(found.metadata, { token: refreshToken, tokenTypeHint: "refresh_token" }, {
          fetch,
          authentication: vendor.authenticateClient,
        });
      if (!isRevoked) log({ level: "warn", event: "revocation_failed", vendor: vendor.id });
    },
  };
}
