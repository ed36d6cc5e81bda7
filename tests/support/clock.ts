/**
 * Time for tests: it stands still until a test moves it.
 *
 * @module
 */

import type { Clock } from "../../lib/clock.ts";

/** A clock that a test moves. */
export interface TestClock extends Clock {
  /** Lets so many seconds pass. */
  advance(seconds: number): void;
}

/** Makes a clock that shows 2027-01-15T08:00:00Z until it is moved. */
export function createTestClock(start = 1_800_000_000): TestClock {
  let seconds = start;
  return Object.assign(() => seconds, {
    advance(passed: number): void {
      seconds += passed;
    },
  });
}
