import { assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { limitUpload, type UploadCut } from "../../lib/proxy/upload.ts";

/** A body that a test sends part by part, limited. */
function createUpload(maxBytes: number) {
  let controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
  let left: unknown = null;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (given) => void (controller = given),
    cancel: (reason) => void (left = reason ?? "left"),
  });
  const turns: string[] = [];
  const cuts: UploadCut[] = [];
  const limited = limitUpload(body, {
    maxBytes,
    onTurn: (turn) => turns.push(turn),
    onCut: (cut) => cuts.push(cut),
  });
  return {
    limited,
    turns,
    cuts,
    send: (byteLength: number) => controller.enqueue(new Uint8Array(byteLength)),
    end: () => controller.close(),
    fail: (error: Error) => controller.error(error),
    left: () => left,
  };
}

Deno.test("limitUpload() passes every byte up to the limit, and tells whose turn it is", async () => {
  const { limited, turns, cuts, send, end } = createUpload(10);
  const reader = limited.getReader();
  assertEquals(turns, [], "nothing is read before somebody wants it");
  send(6);
  assertEquals((await reader.read()).value?.length, 6);
  const waiting = reader.read();
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(turns, ["browser", "upstream", "browser"]);
  send(4);
  assertEquals((await waiting).value?.length, 4);
  end();
  assertEquals((await reader.read()).done, true);
  assertEquals([turns.at(-1), cuts], ["upstream", []]);
});

Deno.test("limitUpload() cuts off one byte over the limit, and leaves the browser", async () => {
  const { limited, cuts, send, left } = createUpload(10);
  const reader = limited.getReader();
  send(10);
  await reader.read();
  send(1);
  await assertRejects(() => reader.read());
  assertEquals([cuts, left()], [["body_too_large"], "left"]);
});

Deno.test("limitUpload() waits 30 seconds, and a millisecond more for every byte that has come", async () => {
  const { limited, cuts, send, left } = createUpload(1_000_000);
  using time = new FakeTime();
  const reader = limited.getReader();
  const read = async (afterMs: number, byteLength: number) => {
    const reading = reader.read();
    await time.tickAsync(afterMs);
    send(byteLength);
    return (await reading).value?.length;
  };
  assertEquals(await read(29_999, 5000), 5000);
  assertEquals(await read(5000, 1), 1, "5,000 bytes bought five seconds, and one millisecond was left");
  const reading = assertRejects(() => reader.read());
  await time.tickAsync(1);
  await time.tickAsync(0);
  assertEquals([cuts, left()], [[], null]);
  await time.tickAsync(1);
  await reading;
  assertEquals([cuts, left()], [["body_timeout"], "left"]);
});

Deno.test("limitUpload() does not count the time that the upstream takes", async () => {
  const { limited, send } = createUpload(1000);
  using time = new FakeTime();
  const reader = limited.getReader();
  for (let i = 0; i < 10; i++) {
    send(1);
    assertEquals((await reader.read()).value?.length, 1);
    await time.tickAsync(29_000);
  }
});

Deno.test("limitUpload() fails as the body does, and hands a cancellation on", async () => {
  const failing = createUpload(10);
  failing.fail(new TypeError("connection reset"));
  await assertRejects(() => failing.limited.getReader().read());
  assertEquals(failing.cuts, ["request_malformed"]);

  const cancelled = createUpload(10);
  await cancelled.limited.cancel("the upstream left");
  assertEquals(cancelled.left(), "the upstream left");
});
