/**
 * Waiting, and waiting no longer.
 *
 * @module
 */

/** Waits so many milliseconds. Tests pass one that only lets others go first. */
export type Wait = (milliseconds: number) => Promise<void>;

/** Waits by the clock of this machine. */
export const systemWait: Wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Waits for work, but not longer than so many milliseconds. The work itself goes on.
 *
 * @param milliseconds How long to wait.
 * @param work What to wait for.
 * @returns What the work brought; `null` if it was not done in time.
 */
export async function within<T>(milliseconds: number, work: Promise<T>): Promise<T | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<null>((resolve) => timer = setTimeout(() => resolve(null), milliseconds));
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Does something again and again until told to stop.
 *
 * @param milliseconds Time between two turns.
 * @param turn What to do; a failure of one turn does not stop the next.
 * @returns Stops it.
 */
export function repeat(milliseconds: number, turn: () => Promise<unknown>): () => void {
  const timer = setInterval(() => void turn().catch(() => {}), milliseconds);
  return () => clearInterval(timer);
}
