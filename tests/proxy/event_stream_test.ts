import { assertEquals, assertRejects } from "@std/assert";
import { createEndableBody, isEventStream } from "../../lib/proxy/event_stream.ts";

Deno.test("isEventStream() goes by the media type", () => {
  const rows: readonly (readonly [type: string | null, is: boolean])[] = [
    ["text/event-stream", true],
    ["Text/Event-Stream; charset=utf-8", true],
    ["text/event-stream ;x", true],
    ["text/event-streams", false],
    ["application/json", false],
    ["x/y; a=text/event-stream", false],
    [null, false],
  ];
  for (const [type, is] of rows) {
    assertEquals(isEventStream(new Headers(type === null ? {} : { "content-type": type })), is, `${type}`);
  }
});

/** A source that a test feeds. */
function createSource() {
  let controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
  let left: unknown = null;
  let overs = 0;
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (given) => void (controller = given),
    cancel: (reason) => void (left = reason ?? "left"),
  });
  return {
    ...createEndableBody(source, () => overs++),
    send: (byte: number) => controller.enqueue(Uint8Array.of(byte)),
    close: () => controller.close(),
    fail: () => controller.error(new TypeError("connection reset")),
    left: () => left,
    overs: () => overs,
  };
}

Deno.test("an endable body passes what comes, as it comes", async () => {
  const { body, end, send, close, overs } = createSource();
  const reader = body.getReader();
  for (const byte of [1, 2, 3]) {
    send(byte);
    assertEquals((await reader.read()).value, Uint8Array.of(byte));
  }
  close();
  assertEquals([(await reader.read()).done, overs()], [true, 1]);
  end();
  assertEquals(overs(), 1, "it is over once");
});

Deno.test("an endable body that is ended ends properly, and leaves its source", async () => {
  const { body, end, send, left, overs } = createSource();
  const reader = body.getReader();
  send(1);
  await reader.read();
  const waiting = reader.read();
  end();
  assertEquals([(await waiting).done, left(), overs()], [true, "left", 1]);
  end();
  assertEquals(overs(), 1);
});

Deno.test("an endable body fails as its source does", async () => {
  const { body, fail, overs } = createSource();
  fail();
  await assertRejects(() => body.getReader().read(), TypeError, "connection reset");
  assertEquals(overs(), 1);
});

Deno.test("an endable body hands a cancellation on", async () => {
  const { body, end, left, overs } = createSource();
  await body.cancel("the browser left");
  assertEquals([left(), overs()], ["the browser left", 1]);
  end();
  assertEquals(overs(), 1);
});
