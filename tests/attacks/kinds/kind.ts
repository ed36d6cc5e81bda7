/**
 * What a kind of request is: it makes ready what the case needs, and answers the deed itself, so that the preparations
 * are neither counted nor timed.
 *
 * @module
 */

import type { AttackCase } from "../cases.ts";
import type { Outcome } from "../outcome.ts";
import type { Stage } from "../stage.ts";

/** Prepares a case. */
export type Kind = (stage: Stage, attack: AttackCase) => Promise<() => Promise<Outcome>>;

/** Members of a request, provided that there are no others: a member that is not understood fails the run. */
export function membersOf<T>(request: object, known: readonly (keyof T & string)[]): T {
  const unknown = Object.keys(request).filter((name) => name !== "kind" && !known.includes(name as keyof T & string));
  if (unknown.length > 0) throw new Error(`Unknown members of a request: ${unknown}`);
  return request as T;
}
