/**
 * Much at once, through real sockets: large bodies in little memory, slow browsers beside fast ones.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { lengthOf } from "../support/full.ts";
import { createStreet, HOST, type Street } from "./street.ts";

const MIB = 1024 * 1024;

/** Watches the memory of this process, in which browser, token handler and upstream are together. */
function watchMemory() {
  const before = Deno.memoryUsage().rss;
  let most = before;
  const timer = setInterval(() => most = Math.max(most, Deno.memoryUsage().rss), 20);
  return {
    /** By how many MiB it has grown at the most. */
    grown: () => (most - before) / MIB,
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

async function connect(street: Street, method: string, ...headers: readonly string[]): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: street.port });
  const lines = [
    `${method} /api/x HTTP/1.1`,
    `Host: ${HOST}`,
    "Sec-Fetch-Site: same-origin",
    `Cookie: ${street.cookie}`,
    ...headers,
  ];
  await connection.write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
  return connection;
}

/** A body that is made while it is read. */
function bodyOf(size: number): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(new Uint8Array(65_536));
      sent += 65_536;
      if (sent >= size) controller.close();
    },
  });
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

Deno.test("an upload of 200 MB streams to a slower upstream in little memory", async () => {
  const size = lengthOf({ short: 60, full: 200 }) * MIB;
  let received = 0;
  await using street = await createStreet({
    row: { maxBodyBytes: size },
    async upstream(request) {
      for await (const part of request.body!) {
        received += part.length;
        if (received % (4 * MIB) < part.length) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return new Response("done");
    },
  });
  using connection = await connect(street, "POST", `Content-Length: ${size}`);
  using memory = watchMemory();
  const part = new Uint8Array(MIB);
  for (let sent = 0; sent < size; sent += part.length) await writeAll(connection, part);
  const buffer = new Uint8Array(4096);
  const answer = new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
  assert(answer.startsWith("HTTP/1.1 200 "), answer);
  assertEquals(received, size);
  assert(memory.grown() < 128, `${memory.grown()} MiB`);
});

Deno.test("a download of 200 MB streams to a slower browser in little memory", async () => {
  const size = lengthOf({ short: 60, full: 200 }) * MIB;
  await using street = await createStreet({ upstream: () => new Response(bodyOf(size)) });
  using connection = await connect(street, "GET", "Connection: close");
  using memory = watchMemory();
  const buffer = new Uint8Array(65_536);
  let received = 0;
  for (let length = 0; length !== null; length = (await connection.read(buffer))!) {
    received += length;
    if (received % (4 * MIB) < length) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert(received > size, `${received} of ${size} bytes`);
  assert(memory.grown() < 64, `${memory.grown()} MiB`);
});

Deno.test("a thousand slow browsers do not stop a fast one", async () => {
  const count = lengthOf({ short: 240, full: 1000 });
  await using street = await createStreet({
    upstream: async (request) => {
      await request.body?.cancel().catch(() => {});
      return new Response(request.url.endsWith("/fast") ? "ok" : bodyOf(10 * MIB));
    },
  });
  const kinds = [
    // A head that never ends.
    async () => {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: street.port });
      await connection.write(new TextEncoder().encode(`GET /api/x HTTP/1.1\r\nHost: ${HOST}\r\nX-Slow: `));
      return connection;
    },
    // A body that never ends.
    () => connect(street, "POST", "Content-Length: 100000"),
    // An answer that nobody reads.
    () => connect(street, "GET"),
  ];
  using memory = watchMemory();
  const slow: Deno.TcpConn[] = [];
  try {
    for (let i = 0; i < count; i++) slow.push(await kinds[i % kinds.length]!());
    const delays: number[] = [];
    for (let i = 0; i < 100; i++) {
      const begun = performance.now();
      const answer = await street.call({ target: "/api/fast" });
      assertEquals([answer.status, answer.body], [200, "ok"]);
      delays.push(performance.now() - begun);
    }
    const [median, p99] = [50, 98].map((i) => delays.toSorted((a, b) => a - b)[i]!);
    assert(median! < 50 && p99! < 500, `a fast call takes ${median} ms, at the worst ${p99} ms`);
  } finally {
    for (const connection of slow) connection.close();
  }
  // What the three parties hold for an answer of 10 MiB that nobody reads; two of three connections get one. Nearly all of
  // it are the runtime's own buffers: a bare `Deno.serve` with `fetch` behind it holds as much.
  const perReader = memory.grown() / (count * 2 / kinds.length);
  assert(perReader < 3, `${perReader} MiB for each answer that nobody reads`);
});
