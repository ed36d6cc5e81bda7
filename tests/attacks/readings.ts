/**
 * What some cases say in words only, and where the product's contract differs from what a case expects. `README.md` gives
 * the reasons; a test compares the two.
 *
 * @module
 */

import type { JsonObject } from "../../lib/encoding.ts";
import { lengthOf } from "../support/full.ts";

/** How a case is read. */
export interface Reading {
  /** The caller's transaction cookie is left out. */
  readonly withoutCookies?: true;
  /** So many times at once. */
  readonly times?: number;
  /** Runs against a process of its own, although its kind would not need one. */
  readonly apart?: true;
  /** Fields of `expect` for which the contract says something else. */
  readonly expect?: JsonObject;
}

/** Readings by the id of the case. */
export const READINGS: Readonly<Record<string, Reading>> = {
  "cb-06": { withoutCookies: true },
  "cb-17": { expect: { status: [400, 401, 302, 404] } },
  "ck-48": { expect: { set_cookie: "unchanged" } },
  "jw-40": { times: 100 },
  "ht-47": { expect: { status: [400, 401] } },
  "do-03": { expect: { rss_growth_mib_max: lengthOf({ short: 64, full: 160 }) } },
  "do-11": { apart: true },
  "do-14": { expect: { has_429: false } },
  "do-18": { expect: { listening_ports_unchanged: false } },
  "if-15": { expect: { status: [503] } },
  "if-22": { expect: { set_cookie: "session renewed" } },
};
