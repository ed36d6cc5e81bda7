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
import type { LeasePause, LeaseStore, LeaseTarget } from "../store/mod.ts";
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
  /** Does it. `afterUnknown`: nobody knows what came of a former call with the same refresh token. */
  readonly work: (afterUnknown: boolean) => Promise<WorkDone<T>>;
  /** Told that somebody else is at it. */
  readonly onTaken?: () => void;
}

/** What came of the work. */
export interface WorkDone<T> {
  /** The result. */
  readonly result: T;
  /** After a failure that will pass: for how many seconds nobody shall try again, and whether the token may be used up. */
  readonly pause?: { readonly seconds: number; readonly isUnknown: boolean };
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
    let pause: LeasePause | undefined;
    try {
      const found = await look();
      if (found !== null) return found;
      const done = await work(afterUnknown);
      if (done.pause !== undefined) {
        pause = { coolUntil: now() + done.pause.seconds, isUnknown: done.pause.isUnknown };
      }
      return done.result;
    } finally {
      stop();
      // A lease that cannot be given back runs out; what came of the work is worth more.
      await leases.release(target, pause).catch(() => {});
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
      work.onTaken?.();
      await wait(LOOK_EVERY_MS);
    }
    return { kind: "later", retryAfterSeconds: 1 };
  };
}
