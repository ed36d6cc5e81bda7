/**
 * What may be written down: event names, ids and reasons, never objects that came from outside.
 *
 * @module
 */

/** One line of the log. Only these members exist, so tokens, codes, cookies and bodies cannot slip in. */
export interface LogEvent {
  /** How grave it is: `error` means that an operator has to act. */
  readonly level: "debug" | "info" | "warn" | "error";
  /** What happened, in `snake_case`. */
  readonly event: string;
  /** The request it happened in. */
  readonly requestId?: string;
  /** The tenant concerned. */
  readonly vendor?: string;
  /** Why, as a code of ours. */
  readonly reason?: string;
  /** HTTP status concerned: ours, or that of the server we called. */
  readonly status?: number;
  /** A path pattern of ours, such as `/auth/:vendorId/login`. */
  readonly route?: string;
  /** A host that we called. */
  readonly host?: string;
  /** A key id. */
  readonly keyId?: string;
  /** How many. */
  readonly count?: number;
  /** How long it took, in milliseconds. */
  readonly durationMs?: number;
}

/** Receives log events. The library never prints by itself. */
export type Logger = (event: LogEvent) => void;

/** Drops every event. */
export const silentLogger: Logger = () => {};
