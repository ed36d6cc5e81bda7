/**
 * A cache that is bounded by bytes, not by entries: what was not asked for lately goes first.
 *
 * Entries live in two generations. When the young one has taken half of the bytes, it becomes the old one and the former
 * old one is dropped; an entry that is asked for in the old generation moves back to the young one. That is nearly as good
 * as least-recently-used and costs one Map lookup.
 *
 * @module
 */

/** Keeps values for a while. */
export interface BoundedCache<Value> {
  /** Finds a value. */
  get(name: string): Value | undefined;
  /** Keeps a value that takes about so many bytes. */
  set(name: string, value: Value, bytes: number): void;
  /** Forgets a value. */
  delete(name: string): void;
}

/**
 * Creates a cache.
 *
 * @param maxBytes How much it may hold at the most, as its users estimate it.
 * @returns The cache.
 */
export function createBoundedCache<Value>(maxBytes: number): BoundedCache<Value> {
  interface Entry {
    readonly value: Value;
    readonly bytes: number;
  }
  let young = new Map<string, Entry>();
  let old = new Map<string, Entry>();
  let youngBytes = 0;

  function keep(name: string, entry: Entry): void {
    if (entry.bytes > maxBytes / 2) return;
    youngBytes += entry.bytes - (young.get(name)?.bytes ?? 0);
    young.set(name, entry);
    if (youngBytes <= maxBytes / 2) return;
    old = young;
    young = new Map();
    youngBytes = 0;
  }

  return {
    get(name: string): Value | undefined {
      const fresh = young.get(name);
      if (fresh !== undefined) return fresh.value;
      const aged = old.get(name);
      if (aged === undefined) return undefined;
      old.delete(name);
      keep(name, aged);
      return aged.value;
    },

    set(name: string, value: Value, bytes: number): void {
      old.delete(name);
      keep(name, { value, bytes });
    },

    delete(name: string): void {
      youngBytes -= young.get(name)?.bytes ?? 0;
      young.delete(name);
      old.delete(name);
    },
  };
}
