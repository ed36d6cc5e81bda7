/**
 * The cases that need a process of their own: connections below HTTP, memory, ports. They are shorter under
 * `deno task test`, and whole under `deno task test:full`.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { cookiesOf, registryFlags, type ServerProcess, startCluster } from "../support/cluster.ts";
import { lengthOf } from "../support/full.ts";
import { sendRequest } from "../support/raw_http.ts";
import { type AttackCase, GROUPS, KINDS_APART, readCases } from "./cases.ts";
import { createH2Resets } from "./h2.ts";
import { membersOf } from "./kinds/kind.ts";
import { READINGS } from "./readings.ts";

/** What a case has led to. */
interface Measured {
  readonly statuses: readonly number[];
  readonly rssGrowthMebibytes?: number;
  readonly otherClientsP99Ms?: number;
  readonly newPorts?: readonly number[];
}

const HOST = "app.acme.test";
const MEBIBYTE = 1_048_576;

const JUDGES: Readonly<Record<string, (expected: never, measured: Measured) => boolean>> = {
  status: (expected: readonly number[], { statuses }) =>
    expected.length === 0 || (statuses.length > 0 && statuses.every((status) => expected.includes(status))),
  rss_growth_mib_max: (expected: number, { rssGrowthMebibytes }) => rssGrowthMebibytes! <= expected,
  other_clients_p99_ms_max: (expected: number, { otherClientsP99Ms }) => otherClientsP99Ms! <= expected,
  listening_ports_unchanged: (expected: boolean, { newPorts }) => (newPorts!.length === 0) === expected,
};

/** What to do, by kind. */
const DEEDS: Readonly<Record<string, (request: AttackCase["request"]) => Promise<Measured>>> = {
  tcp: readSlowly,
  h2: resetStreams,
  http: upload,
  signal: sendSignal,
};

const cases = readCases().filter(({ group, id, request: { kind } }) =>
  GROUPS.includes(group) && (READINGS[id]?.apart || (KINDS_APART.includes(kind) && kind !== "browser"))
);

/** These need a certain port, which a developer's own inspector may have. */
const ONLY_FULL = ["signal"];

for (const { id, what, request, expect } of cases) {
  const ignore = ONLY_FULL.includes(request.kind) && lengthOf({ short: 0, full: 1 }) === 0;
  Deno.test({ name: `attacks: ${id}: ${what}`, ignore }, async () => {
    const { note: _note, ...fields } = { ...expect, ...READINGS[id]?.expect };
    assertEquals(Object.keys(fields).filter((field) => !Object.hasOwn(JUDGES, field)), [], "unknown expectations");
    // A machine may be busy with something else: only what fails every time has failed.
    for (let left = 2; left >= 0; left--) {
      const measured = await DEEDS[request.kind]!(request);
      const wrong = Object.entries(fields).filter(([field, expected]) => !JUDGES[field]!(expected as never, measured));
      if (wrong.length === 0) return;
      assert(left > 0, `${wrong.map(([field]) => field)}: ${JSON.stringify(measured)}`);
    }
  });
}

/** Bytes of an answer that nobody takes. */
const ANSWER_BYTES = 10 * MEBIBYTE;

/** Rounds of slow reading in which nothing more came from the upstream: the product waits for its readers. */
const QUIET_ROUNDS = 20;

/** Clients that take an answer byte by byte. */
async function readSlowly(request: AttackCase["request"]): Promise<Measured> {
  const { n } = membersOf<{ n: number; read_drip_s: number }>(request, ["n", "read_drip_s"]);
  const count = lengthOf({ short: n / 4, full: n });
  await using cluster = await startCluster({ processes: 1 });
  let taken = 0;
  cluster.upstream.reply = () => new Response(createBytes(ANSWER_BYTES, (bytes) => taken += bytes));
  const cookie = cookiesOf(await cluster.signIn());
  const [process] = cluster.processes;
  const before = await readRss(process!);
  const connections: Deno.TcpConn[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: process!.port });
      connections.push(connection);
      const head = `GET /api/x HTTP/1.1\r\nHost: ${HOST}\r\nSec-Fetch-Site: same-origin\r\nCookie: ${cookie}\r\n\r\n`;
      await writeAll(connection, new TextEncoder().encode(head));
    }
    for (let quiet = 0; quiet < QUIET_ROUNDS;) {
      const last = taken;
      for (const connection of connections) assertEquals(await connection.read(new Uint8Array(1)), 1);
      quiet = taken === last ? quiet + 1 : 0;
    }
    assert(taken > 0);
    return { statuses: [], rssGrowthMebibytes: await readRss(process!) - before };
  } finally {
    for (const connection of connections) connection.close();
  }
}

/** So many bytes, made as they are taken. */
function createBytes(length: number, onTaken: (bytes: number) => void): ReadableStream<Uint8Array<ArrayBuffer>> {
  let left = length;
  return new ReadableStream({
    pull(controller): void {
      const bytes = new Uint8Array(Math.min(left, 65_536));
      left -= bytes.length;
      onTaken(bytes.length);
      controller.enqueue(bytes);
      if (left === 0) controller.close();
    },
  }, { highWaterMark: 0 });
}

/** A body of a gibibyte: with its length, and without. */
async function upload(request: AttackCase["request"]): Promise<Measured> {
  const { method, path, headers, body } = request;
  assertEquals([method, path, headers], ["POST", "{api}", { "X-CSRF": "1" }]);
  const bytes = Number(/^\{repeat:(\d+):0\}$/.exec(body as string)![1]);
  await using cluster = await startCluster({ processes: 1 });
  cluster.upstream.reply = async (request) => Response.json(await countBytes(request.body));
  const cookie = cookiesOf(await cluster.signIn());
  const [process] = cluster.processes;
  const before = await readRss(process!);
  const head = `POST /api/x HTTP/1.1\r\nHost: ${HOST}\r\nX-CSRF: 1\r\nCookie: ${cookie}\r\n`;
  const statuses = [
    await uploadRaw(process!.port, `${head}Content-Length: ${bytes}\r\n\r\n`, { bytes }),
    await uploadRaw(process!.port, `${head}Transfer-Encoding: chunked\r\n\r\n`, { bytes, isChunked: true }),
  ];
  return { statuses, rssGrowthMebibytes: await readRss(process!) - before };
}

async function countBytes(body: ReadableStream<Uint8Array> | null): Promise<number> {
  let bytes = 0;
  // A body that breaks off counts as far as it came.
  try {
    for await (const part of body ?? []) bytes += part.length;
  } catch { /* The product has cut it off. */ }
  return bytes;
}

/** Sends a body until it is whole, or until there is an answer; answers the status. */
async function uploadRaw(
  port: number,
  head: string,
  { bytes, isChunked = false }: { readonly bytes: number; readonly isChunked?: boolean },
): Promise<number> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const zeros = new Uint8Array(65_536).fill(0x30);
  const part = isChunked ? concatenate("10000\r\n", zeros, "\r\n") : zeros;
  let isAnswered = false;
  const writing = (async () => {
    await writeAll(connection, new TextEncoder().encode(head));
    for (let sent = 0; sent < bytes && !isAnswered; sent += zeros.length) await writeAll(connection, part);
  })().catch(() => {});
  const buffer = new Uint8Array(16_384);
  const length = await connection.read(buffer);
  isAnswered = true;
  const answer = new TextDecoder().decode(buffer.subarray(0, length ?? 0));
  // Whatever it still wants to say, it stops reading.
  connection.close();
  await writing;
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
}

function concatenate(before: string, bytes: Uint8Array, after: string): Uint8Array {
  const encoder = new TextEncoder();
  return Uint8Array.from([...encoder.encode(before), ...bytes, ...encoder.encode(after)]);
}

/** HTTP/2 streams that are opened and reset at once, on one connection, while somebody else uses the service. */
async function resetStreams(request: AttackCase["request"]): Promise<Measured> {
  const { streams: all, reset } = membersOf<{ streams: number; reset: boolean }>(request, ["streams", "reset"]);
  assert(reset);
  const streams = lengthOf({ short: all / 10, full: all });
  await using cluster = await startCluster({ processes: 1, provoked: /^recv_reset; remotely-reset .* reached limit/ });
  const cookie = cookiesOf(await cluster.signIn());
  const [process] = cluster.processes;
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: process!.port });
  let isOver = false;
  const attack = writeAll(connection, createH2Resets(streams, { authority: HOST, path: "/auth/acme/login" }))
    .catch(() => {}) // the server closes the connection as soon as it has had enough
    .finally(() => isOver = true);
  const answers = drain(connection);
  const latencies: number[] = [];
  while (!isOver || latencies.length < 200) latencies.push(await timeCall(process!, cookie));
  await attack;
  connection.closeWrite().catch(() => {});
  assert(await answers > 0, "HTTP/2 is not spoken here");
  const p99 = latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * 0.99)]!;
  return { statuses: [], otherClientsP99Ms: p99 };
}

/** Reads until the end, and answers how many bytes there were. */
async function drain(connection: Deno.TcpConn): Promise<number> {
  const buffer = new Uint8Array(65_536);
  let bytes = 0;
  for (;;) {
    const length = await connection.read(buffer).catch(() => null);
    if (length === null) return bytes;
    bytes += length;
  }
}

async function timeCall({ port }: ServerProcess, cookie: string): Promise<number> {
  const began = performance.now();
  const headers = [["Cookie", cookie], ["Sec-Fetch-Site", "same-origin"]] as const;
  const { status } = await sendRequest(port, { host: HOST, target: "/api/x", headers });
  assertEquals(status, 200);
  return performance.now() - began;
}

/** The runtime hears signals only some time after its start. */
const DEAF_MS = 1000;

const INSPECTOR_PORT = 9229;

/** A signal for the service itself, as it is started. */
async function sendSignal(request: AttackCase["request"]): Promise<Measured> {
  const { signal } = membersOf<{ signal: Deno.Signal }>(request, ["signal"]);
  assert(!await isOpen(INSPECTOR_PORT), `port ${INSPECTOR_PORT} is taken by somebody else`);
  const child = new Deno.Command("deno", {
    args: ["run", "-q", "-P=start", "--no-prompt", ...registryFlags(), "server.ts"],
    cwd: new URL("../../", import.meta.url),
    env: { PORT: "0", NO_COLOR: "1" },
    stdout: "piped",
    stderr: "null",
  }).spawn();
  try {
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    for (let said = ""; !said.includes("Ctrl+C");) said += (await reader.read()).value ?? "";
    await new Promise((resolve) => setTimeout(resolve, DEAF_MS));
    child.kill(signal);
    for (let i = 0; i < 50 && !await isOpen(INSPECTOR_PORT); i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const newPorts = await isOpen(INSPECTOR_PORT) ? [INSPECTOR_PORT] : [];
    await reader.cancel();
    return { statuses: [], newPorts };
  } finally {
    child.kill("SIGTERM");
    await child.status;
  }
}

async function isOpen(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await connection.write(bytes.subarray(written));
}

/** Mebibytes of memory that a process has. */
async function readRss({ port }: ServerProcess): Promise<number> {
  const { headers } = await sendRequest(port, { host: HOST, target: "/healthz" });
  return Number(headers.get("x-test-rss")) / MEBIBYTE;
}
