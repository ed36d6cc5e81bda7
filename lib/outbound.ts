/**
 * Calls to servers that we do not control: a time limit, a size limit, no redirects, JSON only where JSON is due.
 *
 * Every call that can carry a secret or decide about a session goes through here, so that a slow, huge or strange
 * answer costs one refused operation and nothing more.
 *
 * @module
 */

import { type JsonObject, readJsonObject, readUtf8 } from "./encoding.ts";

/** The part of `fetch` that this project uses. */
export type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

/** What came back from a call. */
export type OutboundAnswer =
  | {
    /** An answer arrived. */
    readonly kind: "answered";
    /** Its status. */
    readonly status: number;
    /** Its headers. */
    readonly headers: Headers;
    /** The JSON object in its body; `null` where the body is anything else. */
    readonly json: JsonObject | null;
  }
  | {
    /** No usable answer. */
    readonly kind: "failed";
    /**
     * `unreachable`: the request was not delivered, or nobody knows. `timeout`: no answer in time. `too_large`: the body
     * passed the limit. `redirected`: the server wanted to send us elsewhere.
     */
    readonly reason: "unreachable" | "timeout" | "too_large" | "redirected";
  };

/** Limits of one call. */
export interface OutboundOptions {
  /** Milliseconds until the body must have arrived. */
  readonly timeoutMs: number;
  /** Bytes of the body after decoding. */
  readonly maxBytes: number;
}

/**
 * Sends a request and reads a JSON object from the answer.
 *
 * @param fetch The `fetch` to call.
 * @param request Where to, and the usual initialisation.
 * @param options Limits.
 * @returns What came back; never a rejection for anything the other side can cause.
 */
export async function sendForJson(
  fetch: Fetch,
  request: { readonly url: string; readonly init?: RequestInit },
  options: OutboundOptions,
): Promise<OutboundAnswer> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), options.timeoutMs);
  try {
    const response = await fetch(request.url, { ...request.init, redirect: "manual", signal: controller.signal });
    if (response.status >= 300 && response.status < 400) {
      await response.body?.cancel();
      return { kind: "failed", reason: "redirected" };
    }
    const body = await readBytes(response, options.maxBytes);
    if (body === null) return { kind: "failed", reason: "too_large" };
    return { kind: "answered", status: response.status, headers: response.headers, json: readBody(body) };
  } catch {
    return { kind: "failed", reason: controller.signal.aborted ? "timeout" : "unreachable" };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Reads a body up to a limit.
 *
 * @param message A request or response.
 * @param maxBytes The limit, counted after content decoding.
 * @returns The bytes; `null` if there are more, and the rest is cancelled.
 */
export async function readBytes(
  message: Request | Response,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  if (message.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = message.body.getReader();
  while (true) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.byteLength;
    if (length > maxBytes) {
      await reader.cancel();
      return null;
    }
    chunks.push(value);
  }
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

function readBody(body: Uint8Array): JsonObject | null {
  const text = readUtf8(body);
  return text === null ? null : readJsonObject(text);
}
