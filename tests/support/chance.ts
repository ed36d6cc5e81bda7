/**
 * Chance that can be repeated: generated tests draw from it, and print the seed when they fail.
 *
 * @module
 */

import type { Random } from "../../lib/random.ts";

/** A source of repeatable choices. */
export interface Chance {
  /** A whole number from 0 to `end`, `end` itself excluded. */
  below(end: number): number;
  /** One of several. */
  pick<T>(choices: readonly T[]): T;
  /** Bytes, for code that takes a `Random`. */
  readonly bytes: Random;
}

/** Makes a source; the same seed gives the same choices (mulberry32). */
export function createChance(seed: number): Chance {
  let state = seed >>> 0;

  function draw(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  function below(end: number): number {
    return draw() % end;
  }

  return {
    below,
    pick: (choices) => choices[below(choices.length)]!,
    bytes: (byteLength) => Uint8Array.from({ length: byteLength }, () => below(256)),
  };
}
