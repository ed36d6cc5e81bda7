/**
 * The table of upstreams: which API calls of a vendor go where. What is not in it cannot be reached.
 *
 * @module
 */

/** One row of the table. */
export interface Upstream {
  /** Path prefix of the calls: `/`, or segments without a slash at the end. The longest match wins. */
  readonly path: string;
  /** Origin to forward to, with an optional path that is put in front: `https://api.example`. */
  readonly target: string;
  /** Methods that may pass; absent = all. */
  readonly methods?: readonly string[];
  /** The API's own name: a token that is known to be meant for another one does not pass. Absent = the vendor's names. */
  readonly audience?: string;
  /** Scopes that a token has to have, all of them. */
  readonly scopes?: readonly string[];
  /** Whether calls without a signed-in user are forwarded, without a token. */
  readonly anonymous?: boolean;
  /** Milliseconds until the upstream must have begun to answer; 30,000 by default. */
  readonly timeoutMs?: number;
  /** Largest request body in bytes; 10 MiB by default. Bodies are streamed, so a large one takes no memory. */
  readonly maxBodyBytes?: number;
}

/** Where a call goes. */
export type UpstreamMatch =
  | { readonly kind: "found"; readonly upstream: Upstream }
  | { readonly kind: "method_refused"; readonly methods: readonly string[] }
  | { readonly kind: "not_found" };

/**
 * Finds the row for a call.
 *
 * @param upstreams The vendor's table.
 * @param call Method and path in normal form, which is what will be forwarded.
 * @returns The row, or why there is none.
 */
export function matchUpstream(
  upstreams: readonly Upstream[],
  call: { readonly method: string; readonly path: string },
): UpstreamMatch {
  let best: Upstream | null = null;
  for (const upstream of upstreams) {
    if (covers(upstream.path, call.path) && upstream.path.length > (best?.path.length ?? 0)) best = upstream;
  }
  if (best === null) return { kind: "not_found" };
  if (best.methods !== undefined && !best.methods.includes(call.method)) {
    return { kind: "method_refused", methods: best.methods };
  }
  return { kind: "found", upstream: best };
}

function covers(prefix: string, path: string): boolean {
  if (prefix === "/") return true;
  // A semicolon begins path parameters, which some servers take away before they look at the path.
  const next = path[prefix.length];
  return path.startsWith(prefix) && (next === undefined || next === "/" || next === ";");
}
