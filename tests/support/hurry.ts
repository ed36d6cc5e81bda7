/**
 * Long time limits that run out sooner, for tests against servers that never answer. Short timers are left alone.
 *
 * @module
 */

/** How many times faster long timers run. */
export const HURRY = 10;

/** Timers of this many milliseconds and more are long. */
const LONG_MS = 1000;

/** Does something while long timers run {@linkcode HURRY} times faster. */
export async function hurried<T>(act: () => Promise<T>): Promise<T> {
  const { setTimeout: ordinary } = globalThis;
  globalThis.setTimeout =
    ((run: (...args: unknown[]) => void, milliseconds = 0, ...args: unknown[]) =>
      ordinary(run, milliseconds >= LONG_MS ? milliseconds / HURRY : milliseconds, ...args)) as typeof setTimeout;
  try {
    return await act();
  } finally {
    globalThis.setTimeout = ordinary;
  }
}
