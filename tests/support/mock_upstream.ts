/**
 * An API for tests: it answers everything, and writes down what it received.
 *
 * @module
 */

import type { Handler } from "./loopback.ts";

/** A call as the upstream saw it. */
export interface UpstreamCall {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Headers;
}

/** An upstream. */
export interface MockUpstream {
  readonly handle: Handler;
  /** What it received. */
  readonly calls: readonly UpstreamCall[];
  /** Answers instead, where a test wants something else. */
  reply: Handler | null;
}

/** Makes an upstream. */
export function createMockUpstream(): MockUpstream {
  const calls: UpstreamCall[] = [];
  const upstream: MockUpstream = {
    calls,
    reply: null,
    async handle(request: Request): Promise<Response> {
      const { pathname, search } = new URL(request.url);
      calls.push({ method: request.method, path: `${pathname}${search}`, headers: new Headers(request.headers) });
      if (upstream.reply !== null) return await upstream.reply(request);
      await request.body?.cancel();
      return Response.json({ ok: true });
    },
  };
  return upstream;
}
