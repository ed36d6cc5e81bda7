/**
 * What a database has to offer so that Cloakroom can keep its state in it: read one record, list a prefix, and
 * commit several changes at once if nobody else changed the same records meanwhile.
 *
 * Two implementations exist, in memory and on Deno KV; both pass the same contract suite. Another database needs
 * these three methods and no more: everything the domain stores promise (used once, one winner, tenant first) is
 * built on them once, in the neighbouring files.
 *
 * @module
 */

/** Where a record stands: a path of texts, the kind first, then the tenant. */
export type RecordKey = readonly string[];

/** A record as it was read. */
export interface Stored<T> {
  /** Where it stands. */
  readonly key: RecordKey;
  /** What it holds. */
  readonly value: T;
  /** Changes with every write; hand it back in {@linkcode Commit.checks}. */
  readonly version: string;
}

/** Changes that happen together or not at all. */
export interface Commit {
  /** Versions that must still be current; `null` stands for "no such record". */
  readonly checks?: readonly { readonly key: RecordKey; readonly version: string | null }[];
  /** Records to write; from `expiresAt` on (seconds since 1970) a record reads as absent. */
  readonly sets?: readonly { readonly key: RecordKey; readonly value: unknown; readonly expiresAt?: number }[];
  /** Records to delete; deleting what is gone is fine. */
  readonly deletes?: readonly RecordKey[];
}

/** Which part of a prefix to list. */
export interface ListOptions {
  /** How many records at the most; 100 by default, 1,000 at the most. */
  readonly limit?: number;
  /** Only records whose last key part sorts after this one: the cursor of a paged list. */
  readonly after?: string;
}

/** A database of records with optimistic concurrency. */
export interface Records {
  /** Reads one record; `null` where there is none or it has expired. */
  find<T>(key: RecordKey): Promise<Stored<T> | null>;
  /** Lists the records directly below a prefix, in the order of their keys. */
  list<T>(prefix: RecordKey, options?: ListOptions): Promise<readonly Stored<T>[]>;
  /** Applies all changes, or none and answers `false` where a check no longer holds. */
  commit(change: Commit): Promise<boolean>;
}

/** The database could not be reached, or did not answer in time. Nothing is known to be lost. */
export class StoreUnavailableError extends Error {
  /** Stable code of this error. */
  readonly code = "store_unavailable";

  /** Says which operation had to be given up. */
  constructor(operation: string) {
    super(`Cannot ${operation}: the store did not answer in time`);
    this.name = "StoreUnavailableError";
  }
}
