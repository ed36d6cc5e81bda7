import { assertEquals } from "@std/assert";
import { type Fetch, readBytes, sendForJson } from "../lib/outbound.ts";

const limits = { timeoutMs: 5000, maxBytes: 1000 };

/** Calls a server on loopback that answers with `handler`. */
async function call(
  handler: (request: Request) => Response | Promise<Response>,
  options: { readonly init?: RequestInit; readonly timeoutMs?: number } = {},
) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handler);
  try {
    const url = `http://127.0.0.1:${server.addr.port}/`;
    const { init = {}, timeoutMs = limits.timeoutMs } = options;
    return await sendForJson(fetch, { url, init }, { timeoutMs, maxBytes: limits.maxBytes });
  } finally {
    await server.shutdown();
  }
}

Deno.test("sendForJson() gives status, headers and the JSON object of an answer", async () => {
  const answer = await call(async (request) => {
    const { method, headers } = request;
    const body = { method, type: headers.get("content-type"), body: await request.text() };
    return Response.json(body, { status: 400, headers: { "retry-after": "2" } });
  }, { init: { method: "POST", body: new URLSearchParams({ a: "b c" }) } });
  if (answer.kind !== "answered") throw new Error(answer.reason);
  assertEquals(answer.status, 400);
  assertEquals(answer.headers.get("retry-after"), "2");
  assertEquals(answer.json, {
    method: "POST",
    type: "application/x-www-form-urlencoded;charset=UTF-8",
    body: "a=b+c",
  });
});

Deno.test("sendForJson() reads no JSON but one object", async (t) => {
  const bodies: Readonly<Record<string, BodyInit>> = {
    "nothing": "",
    "HTML": "<html>login</html>",
    "truncated": '{"access_token":"a',
    "array": "[]",
    "null": "null",
    "byte order mark": "\ufeff{}",
    "UTF-16": Uint8Array.of(0xff, 0xfe, 0x7b, 0, 0x7d, 0),
    "not UTF-8": Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d),
    "duplicate members": '{"access_token":"a","access_token":"b"}',
    "deep nesting": "[".repeat(900),
  };
  for (const [what, body] of Object.entries(bodies)) {
    await t.step(what, async () => {
      const answer = await call(() => new Response(body));
      assertEquals(answer.kind === "answered" ? answer.json : answer.reason, null);
    });
  }
});

Deno.test("sendForJson() stops at its limits", async (t) => {
  let wasFollowed = false;
  const cases: Readonly<
    Record<string, readonly [reason: string, handler: (request: Request) => Response, ms?: number]>
  > = {
    "body with a length over the limit": ["too_large", () => new Response("x".repeat(1001))],
    "body without a length over the limit": ["too_large", () => new Response(endless())],
    "gzip that grows over the limit": ["too_large", () =>
      new Response(gzip("x".repeat(100_000)), {
        headers: { "content-encoding": "gzip" },
      })],
    "headers, then silence": ["timeout", () => new Response(silent()), 50],
    ...Object.fromEntries([300, 301, 302, 303, 307, 308, 399].map((status) => [`redirect ${status}`, [
      "redirected",
      (request: Request) => {
        if (new URL(request.url).pathname === "/elsewhere") wasFollowed = true;
        return new Response("moved", { status, headers: { location: "/elsewhere" } });
      },
    ]])),
  };
  for (const [what, [reason, handler, timeoutMs = limits.timeoutMs]] of Object.entries(cases)) {
    await t.step(what, async () => {
      assertEquals(await call(handler, { timeoutMs }), { kind: "failed", reason } as never);
    });
  }
  assertEquals(wasFollowed, false);
});

Deno.test("sendForJson() gives up on a server that never answers", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const answer = await call((request) => {
    request.signal.addEventListener("abort", () => resolve(new Response()));
    return promise;
  }, { timeoutMs: 50 });
  assertEquals(answer, { kind: "failed", reason: "timeout" });
});

Deno.test("sendForJson() calls a server that cannot be reached unreachable", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const answer = await sendForJson(fetch, { url: `http://127.0.0.1:${port}/` }, limits);
  assertEquals(answer, { kind: "failed", reason: "unreachable" });
});

Deno.test("sendForJson() calls a connection that breaks in the body unreachable", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    using connection = await listener.accept();
    await connection.read(new Uint8Array(1000));
    await connection.write(new TextEncoder().encode('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"a":'));
  })();
  const answer = await sendForJson(fetch, { url: `http://127.0.0.1:${listener.addr.port}/` }, limits);
  await served;
  listener.close();
  assertEquals(answer, { kind: "failed", reason: "unreachable" });
});

Deno.test("sendForJson() never lets a caller's options follow redirects", async () => {
  const seen: (RequestInit | undefined)[] = [];
  const fetch: Fetch = (_url, init) => Promise.resolve((seen.push(init), Response.json({})));
  await sendForJson(fetch, { url: "https://id.test/", init: { redirect: "follow" } }, limits);
  assertEquals(seen[0]?.redirect, "manual");
});

Deno.test("readBytes() reads up to its limit and not a byte more", async () => {
  assertEquals(await readBytes(new Response(null), 0), new Uint8Array());
  assertEquals(await readBytes(new Response("abc"), 3), Uint8Array.of(97, 98, 99));
  assertEquals(await readBytes(new Response("abc"), 2), null);
  let wasCancelled = false;
  const endlessBody = endless(() => wasCancelled = true);
  assertEquals(await readBytes(new Response(endlessBody), 1000), null);
  assertEquals(wasCancelled, true);
});

function endless(cancel: () => void = () => {}): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(300)), cancel });
}

function silent(): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) });
}

function gzip(text: string): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new Response(text).body!.pipeThrough(new CompressionStream("gzip"));
}
