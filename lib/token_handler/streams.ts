/**
 * Streams that are open on somebody's behalf, WebSockets and server-sent events: they end with the session or token that
 * opened them.
 *
 * A session that ends in this process ends its streams at once. For everything else (another process, another machine, a
 * token that nobody refreshes) each session with open streams is looked at every few seconds, once for all of them.
 *
 * @module
 */

import { type Clock, systemClock } from "../clock.ts";
import { repeat } from "../waiting.ts";
import type { LiveSession, Sessions } from "./sessions.ts";
import type { Vendor } from "./vendors.ts";

/** Milliseconds between two looks. */
const LOOK_EVERY_MS = 5000;

/** On whose behalf a stream is open. */
export type StreamOwner =
  | { readonly kind: "nobody" }
  | { readonly kind: "session"; readonly vendor: Vendor; readonly session: LiveSession }
  | {
    readonly kind: "token";
    /** End of the token, in seconds since 1970. */
    readonly expiresAt: number;
  };

/** Why a stream ends: its session or token is over, or the service stops. */
export type StreamEnd = "over" | "stopping";

/** The open streams of a process. */
export interface Streams {
  /**
   * Takes care of a stream.
   *
   * @param owner On whose behalf it is open.
   * @param end Ends it; called at most once.
   * @returns To be called when the stream is over by itself.
   */
  open(owner: StreamOwner, end: (why: StreamEnd) => void): () => void;
  /** Ends the streams of a session that has ended. */
  endSession(vendorId: string, sessionId: string): void;
  /** Ends all of them, and whichever is opened from now on. */
  stop(): void;
}

/** What streams need. */
export interface StreamsOptions {
  /** Whether sessions live. */
  readonly sessions: Pick<Sessions, "attend">;
  /** Time; the system's by default. */
  readonly now?: Clock;
}

/** Streams of one owner. */
interface Group {
  readonly ends: Set<(why: StreamEnd) => void>;
  /** Tells whether the owner is still good. */
  readonly look: () => Promise<boolean>;
}

/**
 * Creates an empty set of streams.
 *
 * @param options Sessions and dependencies.
 * @returns The streams.
 */
export function createStreams({ sessions, now = systemClock }: StreamsOptions): Streams {
  const groups = new Map<string | symbol, Group>();
  let rest: (() => void) | null = null;
  let isLooking = false;
  let isStopping = false;

  function nameOf(owner: StreamOwner): string | symbol {
    return owner.kind === "session" ? `${owner.vendor.id} ${owner.session.record.id}` : Symbol();
  }

  function lookAfter(owner: StreamOwner): Group["look"] {
    if (owner.kind === "nobody") return () => Promise.resolve(true);
    if (owner.kind === "token") return () => Promise.resolve(owner.expiresAt > now());
    let { session } = owner;
    return async () => {
      const found = await sessions.attend(owner.vendor, session);
      if (found.kind === "alive") session = found.session;
      return found.kind === "alive";
    };
  }

  function endGroup(name: string | symbol, why: StreamEnd): void {
    const ends = groups.get(name)?.ends ?? [];
    groups.delete(name);
    restIfEmpty();
    for (const end of ends) end(why);
  }

  function restIfEmpty(): void {
    if (groups.size > 0) return;
    rest?.();
    rest = null;
  }

  async function lookAtAll(): Promise<void> {
    if (isLooking) return;
    isLooking = true;
    for (const [name, { look }] of groups) {
      // A store that does not answer now says nothing about the session.
      const isGood = await look().catch(() => true);
      if (!isGood) endGroup(name, "over");
    }
    isLooking = false;
  }

  return {
    open(owner, end): () => void {
      if (isStopping) {
        end("stopping");
        return () => {};
      }
      const name = nameOf(owner);
      const group = groups.get(name) ?? { ends: new Set(), look: lookAfter(owner) };
      groups.set(name, group);
      group.ends.add(end);
      rest ??= repeat(LOOK_EVERY_MS, lookAtAll);
      return () => {
        group.ends.delete(end);
        if (group.ends.size === 0 && groups.get(name) === group) groups.delete(name);
        restIfEmpty();
      };
    },

    endSession: (vendorId, sessionId) => endGroup(`${vendorId} ${sessionId}`, "over"),

    stop(): void {
      isStopping = true;
      for (const name of [...groups.keys()]) endGroup(name, "stopping");
    },
  };
}
