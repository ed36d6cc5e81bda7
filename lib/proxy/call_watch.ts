/**
 * Calls that are under way: given up where the upstream takes too long or the browser has left.
 *
 * Most calls are over before anybody could wish to stop them, and a timer and a browser's abort signal for each of them
 * cost more than the token work of the whole request. One timer looks after all calls instead, and asks for a browser's
 * signal only where a call has been under way for a while.
 *
 * @module
 */

/** Milliseconds between two looks; a browser that leaves is noticed within one or two of them. */
const LOOK_EVERY_MS = 40;

/** One call that is looked after. */
export interface WatchedCall {
  /** Aborted when the call is to be given up. */
  readonly signal: AbortSignal;
  /** Whether it was given up because its time was over. */
  readonly isTimedOut: boolean;
  /** Lets the time begin anew. */
  start(): void;
  /** Lets the time stand still, while we wait for the browser. */
  stop(): void;
  /** The call is over: it is not looked after any more. */
  end(): void;
}

/** Looks after calls. */
export interface CallWatch {
  /**
   * Begins to look after a call.
   *
   * @param timeoutMs How long the upstream may take.
   * @param signalOf Answers the browser's signal; asked for only where the call takes a while.
   * @returns The call.
   */
  watch(timeoutMs: number, signalOf: () => AbortSignal): WatchedCall;
}

interface Pending extends WatchedCall {
  look(now: number): void;
}

/** Creates the watch. It has a timer only while there are calls. */
export function createCallWatch(): CallWatch {
  const pending = new Set<Pending>();
  let timer: ReturnType<typeof setInterval> | undefined;

  function look(): void {
    const now = performance.now();
    for (const call of pending) call.look(now);
  }

  return {
    watch(timeoutMs: number, signalOf: () => AbortSignal): WatchedCall {
      const controller = new AbortController();
      let endsAt = performance.now() + timeoutMs;
      let browser: AbortSignal | null = null;
      let isTimedOut = false;
      const giveUp = () => controller.abort();

      const call: Pending = {
        signal: controller.signal,
        get isTimedOut(): boolean {
          return isTimedOut;
        },
        start: () => endsAt = performance.now() + timeoutMs,
        stop: () => endsAt = Infinity,
        end(): void {
          pending.delete(call);
          browser?.removeEventListener("abort", giveUp);
          if (pending.size > 0) return;
          clearInterval(timer);
          timer = undefined;
        },
        look(now: number): void {
          if (browser === null) {
            browser = signalOf();
            browser.addEventListener("abort", giveUp);
          }
          isTimedOut = now >= endsAt;
          if (isTimedOut || browser.aborted) giveUp();
        },
      };
      pending.add(call);
      timer ??= setInterval(look, LOOK_EVERY_MS);
      return call;
    },
  };
}
