/**
 * The attack cases: the product's copy of the file, and which groups of it are switched on.
 *
 * @module
 */

import type { JsonObject } from "../../lib/encoding.ts";

/** One line of the file; the fields are explained in `FORMAT.md`. */
export interface AttackCase {
  readonly group: string;
  readonly id: string;
  readonly what: string;
  readonly request: AttackRequest;
  readonly expect: JsonObject;
}

/** What to do; its form depends on the kind. */
export interface AttackRequest extends JsonObject {
  readonly kind: string;
}

/** The groups that have to hold. A group joins them as soon as the product has what it attacks. */
export const GROUPS = [
  ...["return-to-control", "return-to", "callback", "cookie", "jwt", "idp-reply", "logout", "race"],
  ...["path", "http-raw", "header-spoof", "upstream-response", "csrf-cors", "cache", "dos"],
];

/** Kinds that need more than sockets on loopback, and have tests of their own. */
export const KINDS_APART = ["browser", "fault", "h2", "signal", "tcp"];

/** Reads every case. */
export function readCases(): readonly AttackCase[] {
  const text = Deno.readTextFileSync(new URL("bad-inputs.jsonl", import.meta.url));
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}
