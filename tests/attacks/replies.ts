/**
 * Answers of a server that misbehaves, as the cases write them.
 *
 * @module
 */

import type { JsonObject } from "../../lib/encoding.ts";
import { membersOf } from "./kinds/kind.ts";

/** An answer as a case writes it. What it does not name is as in a good one. */
export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly json?: unknown;
  /** Members laid over those of the good answer. */
  readonly patch?: JsonObject;
  /** A body of so many bytes. */
  readonly body_bytes?: number;
  /** A body that has so many bytes once it is decoded. */
  readonly gzip_bomb?: number;
  /** A byte a second. */
  readonly drip?: boolean;
  /** Milliseconds before the headers, and in front of the body. */
  readonly delay_ms?: number;
  readonly body_stall_ms?: number;
  /** `reset`: no answer at all. */
  readonly connect?: string;
}

const MEMBERS = [
  ...["status", "headers", "body", "json", "patch", "body_bytes", "gzip_bomb"] as const,
  ...["drip", "delay_ms", "body_stall_ms", "connect"] as const,
];

/** A server that waits can be told that nobody cares any more. */
export interface Patience {
  /** Waits so many milliseconds, or until {@linkcode Patience.end}. */
  wait(milliseconds: number): Promise<void>;
  /** Ends every wait. */
  end(): void;
}

/** Makes patience. */
export function createPatience(): Patience {
  const ended = Promise.withResolvers<void>();
  return {
    end: ended.resolve,
    async wait(milliseconds): Promise<void> {
      let timer: ReturnType<typeof setTimeout> | undefined;
      await Promise.race([ended.promise, new Promise((resolve) => timer = setTimeout(resolve, milliseconds))]);
      clearTimeout(timer);
    },
  };
}

/** Reads a reply; one with unknown members fails the run. */
export async function readReply(given: object): Promise<Reply> {
  const reply = membersOf<Reply>(given, MEMBERS);
  // Made beforehand, so that the making is not taken for the product's use of memory.
  if (reply.gzip_bomb !== undefined) await bombOf(reply.gzip_bomb);
  return reply;
}

/** Tells whether a reply takes longer than anybody has. */
export function isSlow({ drip = false, delay_ms = 0, body_stall_ms = 0 }: Reply): boolean {
  return drip || delay_ms > 1000 || body_stall_ms > 1000;
}

/** Answers as a case writes it, `good` being the JSON of the good answer. */
export async function answerWith(reply: Reply, good: JsonObject, patience: Patience): Promise<Response> {
  const { status = 200, delay_ms = 0 } = reply;
  if (delay_ms > 0) await patience.wait(delay_ms);
  const headers = new Headers({ "content-type": "application/json", ...reply.headers });
  if (reply.gzip_bomb !== undefined) headers.set("content-encoding", "gzip");
  const mayHaveBody = status !== 204 && status !== 304;
  return new Response(mayHaveBody ? await bodyOf(reply, good, patience) : null, { status, headers });
}

async function bodyOf(reply: Reply, good: JsonObject, patience: Patience): Promise<BodyInit> {
  const { body, json, patch = {}, body_bytes, gzip_bomb, drip, body_stall_ms } = reply;
  if (body_bytes !== undefined) return zeros(body_bytes);
  if (gzip_bomb !== undefined) return await bombOf(gzip_bomb);
  const text = body ?? JSON.stringify(json === undefined ? { ...good, ...patch } : json);
  if (drip) return slowly(text, patience);
  return body_stall_ms === undefined ? text : stalled(text, () => patience.wait(body_stall_ms));
}

const bombs = new Map<number, Promise<Uint8Array<ArrayBuffer>>>();

/** What has so many bytes once it is decoded. */
function bombOf(length: number): Promise<Uint8Array<ArrayBuffer>> {
  const known = bombs.get(length) ?? new Response(zeros(length).pipeThrough(new CompressionStream("gzip"))).bytes();
  bombs.set(length, known);
  return known;
}

const CHUNK = new Uint8Array(65_536);

/** So many bytes of nothing, made as they are taken. */
function zeros(length: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  let left = length;
  return new ReadableStream({
    pull(controller): void {
      controller.enqueue(CHUNK.slice(0, Math.min(left, CHUNK.length)));
      left -= CHUNK.length;
      if (left <= 0) controller.close();
    },
  });
}

function slowly(text: string, patience: Patience): ReadableStream<Uint8Array<ArrayBuffer>> {
  const bytes = new TextEncoder().encode(text);
  let sent = 0;
  return new ReadableStream({
    async pull(controller): Promise<void> {
      await patience.wait(1000);
      controller.enqueue(bytes.slice(sent, ++sent));
      if (sent === bytes.length) controller.close();
    },
  });
}

function stalled(text: string, wait: () => Promise<void>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    async pull(controller): Promise<void> {
      await wait();
      controller.enqueue(new TextEncoder().encode(text));
      controller.close();
    },
  });
}

/** A server that closes every connection without an answer. */
export interface ResettingServer {
  readonly send: (request: Request) => Promise<Response>;
  close(): Promise<void>;
}

/** Starts one. What it was sent stays unread, so the close is a reset. */
export function startResettingServer(): ResettingServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const connection of listener) connection.close();
  })();
  return {
    send: async ({ method, signal }) => await fetch(`http://127.0.0.1:${listener.addr.port}/`, { method, signal }),
    async close(): Promise<void> {
      listener.close();
      await serving;
    },
  };
}
