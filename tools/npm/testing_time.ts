/**
 * What the tests use of `@std/testing/time`, for machines that reach only the npm registry: `FakeTime` on the fake timers
 * of `node:test`.
 *
 * @module
 */
import { mock } from "node:test";
import { setImmediate } from "node:timers";

/** Replaces `Date`, `setTimeout` and `setInterval` until `restore()`, or until its `using` block ends. */
export class FakeTime {
  /** Time stands still at `start` (default: now) and moves only when told to. */
  constructor(start: number | string | Date = Date.now()) {
    mock.timers.enable({ apis: ["Date", "setTimeout", "setInterval"], now: new Date(start) });
  }

  /** The faked time in milliseconds; setting it forwards runs what is due by then. */
  get now(): number {
    return Date.now();
  }
  set now(value: number) {
    if (value < Date.now()) throw new RangeError("Cannot set the time: it would go backwards");
    mock.timers.tick(value - Date.now());
  }

  /** Moves time on and runs what is due by then. */
  tick(ms = 0): void {
    this.now += ms;
  }

  /** Lets pending promises settle, then moves time on. */
  async tickAsync(ms = 0): Promise<void> {
    await this.runMicrotasks();
    this.tick(ms);
  }

  /** Lets pending promises settle. */
  async runMicrotasks(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Gives real time back. */
  restore(): void {
    mock.timers.reset();
  }

  /** Gives real time back at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.restore();
  }
}
