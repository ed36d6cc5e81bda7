/**
 * Interleavings that can be repeated: everything that reaches a store or a provider waits at a gate until it is let
 * through, one at a time, in an order that a test chooses. Between two choices everything that can go on has gone on.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Records } from "../../lib/store/mod.ts";

/** Somebody who waits at a gate. */
export interface Waiting {
  /** Whose call it is, such as an instance of the service. */
  readonly owner: string;
  /** What is called: `store` or `provider`. */
  readonly what: string;
  /** When it came, on the clock of the test. */
  readonly since: number;
  /** Lets it through. */
  readonly pass: () => void;
}

/** Holds calls back. */
export interface Scheduler {
  /** Everybody who waits, in the order in which they came. */
  readonly waiting: readonly Waiting[];
  /** Waits until the test lets one through. */
  gate(owner: string, what: string): Promise<void>;
  /** Lets one through and waits until everything that follows from it has happened. */
  release(one: Waiting): Promise<void>;
  /** Waits until nothing more happens by itself. */
  settle(): Promise<void>;
  /** Lets nothing of this owner through any more: it has died. */
  kill(owner: string): void;
  /** A store behind gates: each call waits before it takes effect, and again before its answer is known. */
  guard(owner: string, records: Records): Records;
}

/** Methods of Web Crypto, which works on threads of its own and so has an order of its own. */
const CRYPTO_METHODS = ["decrypt", "digest", "encrypt", "exportKey", "importKey", "sign", "verify"] as const;

/** Lets everything go on that can. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Makes a scheduler. Until it is disposed of, Web Crypto works off its calls one by one, in the order of asking. */
export function createScheduler(now: () => number): Scheduler & Disposable {
  const waiting: Waiting[] = [];
  const dead = new Set<string>();
  let running = 0;
  let tail: Promise<unknown> = Promise.resolve();

  /** Counts work on other threads, so that one can wait until there is none. */
  async function track<T>(work: () => Promise<T>): Promise<T> {
    running++;
    try {
      return await work();
    } finally {
      running--;
    }
  }

  // deno-lint-ignore no-explicit-any
  const subtle = SubtleCrypto.prototype as any;
  const originals = CRYPTO_METHODS.map((name) => [name, subtle[name]] as const);
  for (const [name, original] of originals) {
    subtle[name] = function (...args: unknown[]): Promise<unknown> {
      return track(() => {
        // Whether a quick call is done at once or in the next turn is chance, so it is always the next one.
        const turn = tail.then(() => original.apply(this, args)).finally(nextTurn);
        tail = turn.catch(() => {});
        return turn;
      });
    };
  }

  async function gate(owner: string, what: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (!dead.has(owner)) waiting.push({ owner, what, since: now(), pass: resolve });
    await promise;
  }

  async function settle(): Promise<void> {
    // A second quiet turn: what ended on another thread may have begun something new.
    for (let quiet = 0; quiet < 2; quiet = running > 0 ? 0 : quiet + 1) {
      await nextTurn();
    }
  }

  return {
    waiting,
    gate,
    settle,

    async release(one: Waiting): Promise<void> {
      waiting.splice(waiting.indexOf(one), 1);
      one.pass();
      await settle();
    },

    kill(owner: string): void {
      dead.add(owner);
      for (const one of waiting.filter((one) => one.owner === owner)) waiting.splice(waiting.indexOf(one), 1);
    },

    guard(owner: string, records: Records): Records {
      async function pass<T>(call: () => Promise<T>): Promise<T> {
        await gate(owner, "store");
        const answer = await track(call);
        await gate(owner, "store");
        return answer;
      }
      return {
        find: (key) => pass(() => records.find(key)),
        list: (prefix, options) => pass(() => records.list(prefix, options)),
        commit: (change) => pass(() => records.commit(change)),
      };
    },

    [Symbol.dispose](): void {
      for (const [name, original] of originals) subtle[name] = original;
    },
  };
}
