/**
 * One refresh per session and generation, whatever the number of tabs, workers and processes that want it.
 *
 * Within a process everybody waits for the same promise (see `sessions.ts`). Between processes a lease decides: its holder
 * calls, the others look every few milliseconds whether the result is there. The lease is short and renewed while the call
 * runs, so a process that dies is replaced while callers still wait.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import { drawToken, type Random } from "../random.ts";
import type { LeaseStore, LeaseTarget } from "../store/mod.ts";
import { repeat, type Wait } from "../waiting.ts";

/** Seconds for which a lease is taken, and milliseconds between two renewals. */
const LEASE_SECONDS = 4;
const RENEW_EVERY_MS = 1000;

/** Milliseconds between two looks, and how many looks there are: 5 s together, longer than a lease lives. */
const LOOK_EVERY_MS = 50;
const MAX_LOOKS = 100;

/** What a turn is about. */
export type RefreshTarget = Omit<LeaseTarget, "owner">;

/** What to do in a turn. */
export interface RefreshWork<T> {
  /** Looks whether somebody else has finished; `null` if not. */
  readonly look: () => Promise<T | null>;
  /** Does it. `afterUnknown`: somebody began with the same refresh token and never said what came of it. */
  readonly work: (afterUnknown: boolean) => Promise<WorkDone<T>>;
}

/** What came of the work. */
export interface WorkDone<T> {
  /** The result. */
  readonly result: T;
  /** Seconds in which nobody shall try again, after a failure that will pass. */
  readonly coolSeconds?: number;
}

/** What a turn leads to. */
export type TurnOutcome<T> =
  | { readonly kind: "done"; readonly result: T }
  | { readonly kind: "later"; readonly retryAfterSeconds: number };

/** What turns are made of. */
export interface RefreshTurnOptions {
  /** Who may refresh now. */
  readonly leases: LeaseStore;
  /** Time. */
  readonly now: Clock;
  /** Where owners' ids come from. */
  readonly random: Random;
  /** Waits between two looks. */
  readonly wait: Wait;
}

/** Takes turns. */
export type TakeRefreshTurn = <T>(target: RefreshTarget, work: RefreshWork<T>) => Promise<TurnOutcome<T>>;

/** Creates the taking of turns. */
export function createRefreshTurn({ leases, now, random, wait }: RefreshTurnOptions): TakeRefreshTurn {
  async function hold<T>(target: LeaseTarget, afterUnknown: boolean, { look, work }: RefreshWork<T>): Promise<T> {
    const stop = repeat(RENEW_EVERY_MS, () => leases.renew(target, now() + LEASE_SECONDS));
    let coolUntil: number | undefined;
    try {
      const found = await look();
      if (found !== null) return found;
      const { result, coolSeconds } = await work(afterUnknown);
      if (coolSeconds !== undefined) coolUntil = now() + coolSeconds;
      return result;
    } finally {
      stop();
      await leases.release(target, coolUntil);
    }
  }

  return async (about, work) => {
    const target = { ...about, owner: drawToken(random, 12) };
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      const found = await work.look();
      if (found !== null) return { kind: "done", result: found };
      const claim = await leases.claim(target, { now: now(), until: now() + LEASE_SECONDS });
      if (claim.kind === "cooling") return { kind: "later", retryAfterSeconds: Math.max(1, claim.until - now()) };
      if (claim.kind === "held") return { kind: "done", result: await hold(target, claim.afterUnknown, work) };
      await wait(LOOK_EVERY_MS);
    }
    return { kind: "later", retryAfterSeconds: 1 };
  };
}
