/**
 * Answers that go on, and browsers that leave, through real sockets.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { lengthOf } from "../support/full.ts";
import { createStreet, HOST, type Street } from "./street.ts";

/** A connection on which a test reads what has come so far. */
interface Reading {
  /** Reads until a text has come, and answers everything that has. */
  until(text: string): Promise<string>;
  /** Reads to the end. */
  rest(): Promise<string>;
  /** Closes the connection. */
  leave(): void;
  [Symbol.dispose](): void;
}

async function request({ port, cookie }: Street, method: string, ...headers: readonly string[]): Promise<Reading> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const lines = [
    `${method} /api/x HTTP/1.1`,
    `Host: ${HOST}`,
    "Sec-Fetch-Site: same-origin",
    `Cookie: ${cookie}`,
    ...headers,
  ];
  await connection.write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
  const buffer = new Uint8Array(65_536);
  let received = "";
  let isClosed = false;

  async function read(): Promise<boolean> {
    const length = await connection.read(buffer).catch(() => null);
    if (length === null) return false;
    received += new TextDecoder().decode(buffer.subarray(0, length));
    return true;
  }

  function leave(): void {
    if (!isClosed) connection.close();
    isClosed = true;
  }

  return {
    async until(text) {
      while (!received.includes(text)) assert(await read(), `closed before "${text}": ${received.slice(-300)}`);
      return received;
    },
    async rest() {
      while (await read()) continue;
      return received;
    },
    leave,
    [Symbol.dispose]: leave,
  };
}

/** An upstream of events that a test sends one by one. */
function createEvents() {
  const encoder = new TextEncoder();
  const left = Promise.withResolvers<number>();
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start: (given) => void (controller = given),
    cancel: () => left.resolve(performance.now()),
  });
  return {
    reply: () => new Response(body, { headers: { "content-type": "text/event-stream" } }),
    send: (text: string) => controller.enqueue(encoder.encode(`data: ${text}\n\n`)),
    end: () => controller.close(),
    /** When the upstream was left. */
    left: left.promise,
  };
}

Deno.test("events arrive one by one, each when it is sent", async () => {
  const events = createEvents();
  await using street = await createStreet({ upstream: events.reply });
  using reading = await request(street, "GET", "Accept: text/event-stream", "Connection: close");
  events.send("first");
  assertMatch(await reading.until("data: first\n\n"), /^HTTP\/1\.1 200 [^]*content-type: text\/event-stream\r\n/);
  const delays: number[] = [];
  for (let i = 0; i < 50; i++) {
    const begun = performance.now();
    events.send(`event ${i}`);
    await reading.until(`data: event ${i}\n\n`);
    delays.push(performance.now() - begun);
  }
  const median = delays.toSorted((a, b) => a - b)[25]!;
  assert(median < 20, `an event takes ${median} ms`);
  events.end();
  assertMatch(await reading.rest(), /\r\n0\r\n\r\n$/, "the end of the upstream is a proper end");
});

Deno.test("events go on for as long as nobody ends them", async () => {
  const events = createEvents();
  await using street = await createStreet({ upstream: events.reply, row: { timeoutMs: 100 } });
  using reading = await request(street, "GET", "Connection: close");
  const seconds = lengthOf({ short: 1, full: 60 });
  for (let i = 0; i < seconds * 4; i++) {
    events.send(`event ${i}`);
    await reading.until(`data: event ${i}\n\n`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  events.end();
  assertEquals((await reading.rest()).split("data: ").length - 1, seconds * 4);
});

Deno.test("events end with the session: properly, so that the page asks again and is told", async () => {
  const events = createEvents();
  await using street = await createStreet({ upstream: events.reply });
  using reading = await request(street, "GET");
  events.send("first");
  await reading.until("data: first");
  const begun = performance.now();
  const logout = await street.callAs([["Cookie", street.cookie], ["X-CSRF", "1"]], {
    method: "POST",
    target: "/auth/acme/logout",
  });
  assertEquals(logout.status, 200);
  await reading.until("\r\n0\r\n\r\n");
  const took = await events.left - begun;
  assert(took < 1000, `${took} ms`);
  assertEquals((await street.call()).status, 401);
});

Deno.test("a service that stops ends events", async () => {
  const events = createEvents();
  await using street = await createStreet({ upstream: events.reply });
  using reading = await request(street, "GET");
  events.send("first");
  await reading.until("data: first");
  street.setting.cloakroom.endStreams();
  await reading.until("\r\n0\r\n\r\n");
  await events.left;
});

Deno.test("a download does not end with the session: it is an answer that was given", async () => {
  const parts = Promise.withResolvers<void>();
  await using street = await createStreet({
    upstream: () =>
      new Response(
        new ReadableStream({
          async pull(controller) {
            controller.enqueue(new TextEncoder().encode("first half, "));
            await parts.promise;
            controller.enqueue(new TextEncoder().encode("second half"));
            controller.close();
          },
        }),
      ),
  });
  using reading = await request(street, "GET", "Connection: close");
  await reading.until("first half");
  await street.callAs([["Cookie", street.cookie], ["X-CSRF", "1"]], { method: "POST", target: "/auth/acme/logout" });
  parts.resolve();
  assertMatch(await reading.rest(), /second half\r\n0\r\n\r\n$/);
});

/** What an upstream does until it is left. */
interface Leaving {
  /** How the browser asks. */
  readonly head: readonly [method: string, ...headers: string[]];
  /** Answers; `reached` is called where the browser shall leave, `left` where the upstream notices. */
  readonly upstream: (request: Request, reached: () => void, left: () => void) => Response | Promise<Response>;
}

function endless(type: string, left: () => void): Response {
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("data: 1\n\n")),
    cancel: left,
  });
  return new Response(body, { headers: { "content-type": type } });
}

const LEAVING: Readonly<Record<string, Leaving>> = {
  "before the upstream has begun": {
    head: ["GET"],
    upstream(request, reached, left) {
      request.signal.addEventListener("abort", left);
      reached();
      return new Promise((resolve) => request.signal.addEventListener("abort", () => resolve(new Response())));
    },
  },
  "in the middle of a download": {
    head: ["GET"],
    upstream: (_request, _reached, left) => endless("application/octet-stream", left),
  },
  "in the middle of events": {
    head: ["GET"],
    upstream: (_request, _reached, left) => endless("text/event-stream", left),
  },
  "in the middle of an upload": {
    head: ["POST", "Content-Length: 1000000"],
    async upstream(request, reached, left) {
      reached();
      await request.body?.pipeTo(new WritableStream()).catch(left);
      return new Response();
    },
  },
};

for (const [when, { head, upstream }] of Object.entries(LEAVING)) {
  Deno.test(`a browser that leaves ${when} takes the upstream with it, within 100 ms`, async () => {
    const delays: number[] = [];
    // A machine may be busy with something else.
    for (let i = 0; i < 5 && delays.every((delay) => delay > 100); i++) {
      const reached = Promise.withResolvers<void>();
      const left = Promise.withResolvers<void>();
      await using street = await createStreet({
        upstream: (request) => upstream(request, reached.resolve, left.resolve),
      });
      const [method, ...headers] = head;
      using reading = await request(street, method, ...headers);
      await Promise.race([reached.promise, reading.until("data: 1")]);
      const begun = performance.now();
      reading.leave();
      await left.promise;
      delays.push(performance.now() - begun);
      const blamed = street.setting.log.filter(({ event }) => event.startsWith("upstream_"));
      assertEquals(blamed, [], "the upstream is not to blame");
    }
    assert(delays.some((delay) => delay <= 100), `it took ${delays} ms`);
  });
}
