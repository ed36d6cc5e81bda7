/**
 * Request bodies on their way to an upstream: counted while they stream, since their length may be missing or wrong, and
 * not waited for without end, since a server without that limit can be kept busy by whoever sends a byte now and then.
 *
 * @module
 */

import { within } from "../waiting.ts";

/** Bytes of a request body, unless the upstream says something else. */
export const MAX_BODY_BYTES = 10 * 1024 * 1024;

/** Milliseconds that any body may keep us waiting. */
const PATIENCE_MS = 30_000;

/** Milliseconds more for each byte that has come: whoever sends a thousand bytes a second is never cut off. */
const PATIENCE_PER_BYTE_MS = 1;

/** Why a body was cut off: as a problem code. `request_malformed`: it broke off by itself, or was badly framed. */
export type UploadCut = "body_too_large" | "body_timeout" | "request_malformed";

/** How a body is limited. */
export interface UploadOptions {
  /** Bytes that may pass. */
  readonly maxBytes: number;
  /** Told when we begin to wait for the browser, and when the upstream has to go on: the time of a call is not one time. */
  readonly onTurn: (turn: "browser" | "upstream") => void;
  /** Told why the body was cut off, if it was. */
  readonly onCut: (cut: UploadCut) => void;
}

/**
 * Limits a body. It is read only as fast as the upstream takes it.
 *
 * @param body The body as it comes.
 * @param options Limits.
 * @returns The same bytes; reading fails where a limit is passed.
 */
export function limitUpload(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  { maxBytes, onTurn, onCut }: UploadOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  let bytes = 0;
  let waitedMs = 0;

  async function cutOff(cut: UploadCut): Promise<never> {
    onCut(cut);
    await reader.cancel().catch(() => {});
    throw new Error(`Cannot read a body: ${cut}`);
  }

  return new ReadableStream({
    async pull(controller) {
      onTurn("browser");
      const askedAt = Date.now();
      const reading = reader.read().catch(() => cutOff("request_malformed"));
      const part = await within(PATIENCE_MS + PATIENCE_PER_BYTE_MS * bytes - waitedMs, reading);
      waitedMs += Date.now() - askedAt;
      if (part === null) return await cutOff("body_timeout");
      onTurn("upstream");
      if (part.done) return controller.close();
      bytes += part.value.byteLength;
      if (bytes > maxBytes) return await cutOff("body_too_large");
      controller.enqueue(part.value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
