/**
 * What the parts of the token service share.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import type { Logger } from "../log.ts";
import type { Random } from "../random.ts";
import type { AttemptLimiter } from "./attempts.ts";
import type { ClientRegistry } from "./client.ts";
import type { BrowserSessionStore } from "./session.ts";
import type { SigningKeys } from "./signing_keys.ts";
import type { TokenStore } from "./token_store.ts";
import type { UserStore } from "./user.ts";

/** How long things live, in seconds. */
export interface Lifetimes {
  /** An authorization code. */
  readonly code: number;
  /** An access token. */
  readonly accessToken: number;
  /** An ID token. */
  readonly idToken: number;
  /** A refresh token that is not used. */
  readonly refreshTokenIdle: number;
  /** Everything under one grant, however often it is refreshed. */
  readonly refreshTokenAbsolute: number;
  /** How long the answer to a refresh is repeated to a caller that repeats the request; 0 for never. */
  readonly refreshReplay: number;
  /** A browser session. */
  readonly session: number;
}

/** Dependencies of every endpoint. */
export interface Context {
  /** The issuer, exactly as tokens name it. */
  readonly issuer: string;
  /** Clients. */
  readonly clients: ClientRegistry;
  /** Users. */
  readonly users: UserStore;
  /** Browser sessions. */
  readonly sessions: BrowserSessionStore;
  /** Grants, codes and tokens. */
  readonly tokens: TokenStore;
  /** Limits on guessing. */
  readonly attempts: AttemptLimiter;
  /** Keys that sign. */
  readonly signingKeys: SigningKeys;
  /** Lifetimes. */
  readonly lifetimes: Lifetimes;
  /** Scopes of authorization requests that name none. */
  readonly defaultScopes: readonly string[];
  /** Rounds that new password hashes have. */
  readonly passwordRounds: number;
  /** The clock. */
  readonly now: Clock;
  /** The random source. */
  readonly random: Random;
  /** The log. */
  readonly log: Logger;
}
