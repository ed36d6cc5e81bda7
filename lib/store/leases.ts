/**
 * Who may refresh a session's tokens now: one process at a time, for a few seconds at a time.
 *
 * A lease carries its owner's id, because a commit that seems to have failed may have happened. One that ran out without
 * being given back tells the next owner that the refresh token may have been used already.
 *
 * @module
 */

import { leaseKey } from "./keys.ts";
import type { Records, Stored } from "./records.ts";

/** What asking for a lease leads to. */
export type LeaseClaim =
  | {
    readonly kind: "held";
    /** Whether nobody knows what came of a former call with the same generation. */
    readonly afterUnknown: boolean;
  }
  | { readonly kind: "taken" }
  | { readonly kind: "cooling"; readonly until: number };

/** Whose lease, and of what. */
export interface LeaseTarget {
  /** The tenant. */
  readonly vendorId: string;
  /** The session. */
  readonly sessionId: string;
  /** The generation of the tokens that are to be replaced. */
  readonly generation: number;
  /** Who asks: a random id. */
  readonly owner: string;
}

/** What a call that failed for the time being leaves behind. */
export interface LeasePause {
  /** Until when nobody gets the lease, in seconds since 1970. */
  readonly coolUntil: number;
  /** Whether the refresh token may have been used up all the same. */
  readonly isUnknown: boolean;
}

/** Remembers leases. */
export interface LeaseStore {
  /** Asks for the lease until a time, in seconds since 1970. */
  claim(target: LeaseTarget, times: { readonly now: number; readonly until: number }): Promise<LeaseClaim>;
  /** Prolongs a lease that is still one's own. */
  renew(target: LeaseTarget, until: number): Promise<boolean>;
  /** Gives a lease back; with a pause, nobody gets it before that is over. */
  release(target: LeaseTarget, pause?: LeasePause): Promise<void>;
}

interface Lease {
  /** `null` while it cools off. */
  readonly owner: string | null;
  readonly generation: number;
  readonly until: number;
  /** Whether the refresh token may have been used up. */
  readonly isUnknown: boolean;
}

/** Seconds that a lease is remembered after its end, so that the next owner learns of an unfinished call. */
const MEMORY_SECONDS = 600;

/** Creates the store. */
export function createLeaseStore(records: Records): LeaseStore {
  async function write(target: LeaseTarget, lease: Lease, former: Stored<Lease> | null): Promise<boolean> {
    const key = leaseKey(target.vendorId, target.sessionId);
    return await records.commit({
      checks: [{ key, version: former?.version ?? null }],
      sets: [{ key, value: lease, expiresAt: lease.until + MEMORY_SECONDS }],
    });
  }

  async function remove({ key, version }: Stored<Lease>): Promise<boolean> {
    return await records.commit({ checks: [{ key, version }], deletes: [key] });
  }

  async function cool(
    target: LeaseTarget,
    { coolUntil: until, isUnknown }: LeasePause,
    former: Stored<Lease>,
  ): Promise<boolean> {
    return await write(target, { owner: null, generation: target.generation, until, isUnknown }, former);
  }

  async function find(target: LeaseTarget): Promise<Stored<Lease> | null> {
    return await records.find<Lease>(leaseKey(target.vendorId, target.sessionId));
  }

  return {
    async claim(target, { now, until }): Promise<LeaseClaim> {
      const stored = await find(target);
      const lease = stored?.value ?? null;
      if (lease !== null && lease.until > now && lease.owner !== target.owner) {
        return lease.owner === null ? { kind: "cooling", until: lease.until } : { kind: "taken" };
      }
      const { owner, generation } = target;
      const isUnfinished = lease !== null && lease.owner !== null && lease.owner !== owner;
      const isUnknown = lease?.generation === generation && (isUnfinished || lease.isUnknown);
      if (!await write(target, { owner, generation, until, isUnknown }, stored)) return { kind: "taken" };
      return { kind: "held", afterUnknown: isUnknown };
    },

    async renew(target, until): Promise<boolean> {
      const stored = await find(target);
      if (stored?.value.owner !== target.owner) return false;
      return await write(target, { ...stored.value, until }, stored);
    },

    async release(target, pause): Promise<void> {
      while (true) {
        const stored = await find(target);
        if (stored?.value.owner !== target.owner) return;
        // A renewal may come in between, and then the lease is still to be given back.
        if (await (pause === undefined ? remove(stored) : cool(target, pause, stored))) return;
      }
    },
  };
}
