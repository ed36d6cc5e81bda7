/**
 * What came of a case: the answers, and what happened behind the product meanwhile.
 *
 * @module
 */

import type { UpstreamCall } from "../support/mock_upstream.ts";
import type { Exchange } from "../support/test_browser.ts";
import type { Person } from "./stage.ts";
import type { World } from "./world.ts";

/** One answer of the product, or of somebody whom a flow went past. */
export interface Answer {
  /** What was asked for, as far as that is an address. */
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** What a kind reports. */
export interface Outcome {
  /** The answers that the case is about. */
  readonly answers: readonly Answer[];
  /** Answers on the way that the browser took afterwards. */
  readonly further?: readonly Answer[];
  /** Whose session is looked at afterwards. */
  readonly caller?: Person;
  /** Somebody at another vendor, whom nothing of this concerns. */
  readonly bystander?: Person;
  /** Cookies that were sent. */
  readonly presented?: readonly (readonly [name: string, value: string])[];
  /** The return target that was asked for. */
  readonly asked?: string;
  /** Where the browser ended. */
  readonly landing?: URL;
  /** Whether the product closed the connection by itself. */
  readonly isClosed?: boolean;
  /** The body that the upstream sent. */
  readonly upstreamBody?: string;
  /** Time that the harness itself has used up meanwhile. */
  readonly uncountedMilliseconds?: number;
  /** What a scan found. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** What happened behind a product that is not the one of the world. */
  readonly effects?: Partial<Effects>;
}

/** What happened behind the product while the case ran. */
export interface Effects {
  /** Calls of the providers' token endpoints. */
  readonly idpCalls: number;
  readonly jwksFetches: number;
  /** Calls of the providers' revocation endpoints. */
  readonly revocations: number;
  /** Errors that an operator has to look at. */
  readonly alerts: number;
  readonly rssMebibytes: number;
  readonly upstreamCalls: number;
  /** What the upstream saw. */
  readonly seen: readonly UpstreamCall[];
  /** Hosts that were dialled. */
  readonly dialled: readonly string[];
  readonly milliseconds: number;
}

/** Begins to watch; what it returns says what has happened since. */
export function watch(world: World): () => Effects {
  const read = () => ({
    idpCalls: world.idp.calls.token + world.otherIdp.calls.token,
    jwksFetches: world.idp.calls.jwks + world.otherIdp.calls.jwks,
    revocations: world.idp.calls.revoke + world.otherIdp.calls.revoke,
    alerts: world.log.filter(({ level }) => level === "error").length,
    rssMebibytes: Deno.memoryUsage().rss / 1_048_576,
    upstreamCalls: world.upstream.calls.length,
    dialled: world.network.dialled.length,
    milliseconds: performance.now(),
  });
  const before = read();
  return () => {
    const after = read();
    return {
      idpCalls: after.idpCalls - before.idpCalls,
      jwksFetches: after.jwksFetches - before.jwksFetches,
      revocations: after.revocations - before.revocations,
      alerts: after.alerts - before.alerts,
      rssMebibytes: after.rssMebibytes - before.rssMebibytes,
      upstreamCalls: after.upstreamCalls - before.upstreamCalls,
      seen: world.upstream.calls.slice(before.upstreamCalls),
      dialled: world.network.dialled.slice(before.dialled).map((origin) => new URL(origin).hostname),
      milliseconds: after.milliseconds - before.milliseconds,
    };
  };
}

/** An exchange of a browser as an answer. */
export function answerOf({ url, status, headers, body }: Exchange): Answer {
  return { url, status, headers, body };
}
