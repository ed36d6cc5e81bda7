import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { Attendance, LiveSession } from "../../lib/token_handler/sessions.ts";
import { createStreams, type StreamEnd, type StreamOwner } from "../../lib/token_handler/streams.ts";
import type { Vendor } from "../../lib/token_handler/vendors.ts";
import { createTestClock } from "../support/clock.ts";

const vendor = { id: "acme" } as Vendor;

function ownerOf(id: string): StreamOwner {
  return { kind: "session", vendor, session: { record: { id } } as LiveSession };
}

/** Streams whose sessions a test ends by hand. */
function createSetting() {
  const now = createTestClock();
  const looks: string[] = [];
  const over = new Set<string>();
  let isStoreAway = false;
  const attend = (_vendor: Vendor, session: LiveSession): Promise<Attendance> => {
    looks.push(session.record.id);
    if (isStoreAway) return Promise.reject(new Error("the store is away"));
    const isOver = over.has(session.record.id);
    return Promise.resolve(isOver ? { kind: "ended", reason: "user" } : { kind: "alive", session });
  };
  const streams = createStreams({ sessions: { attend }, now });
  const ends: string[] = [];
  const open = (name: string, owner: StreamOwner) =>
    streams.open(owner, (why: StreamEnd) => void ends.push(`${name} ${why}`));
  const setStoreAway = (away: boolean) => void (isStoreAway = away);
  return { now, looks, over, streams, ends, open, setStoreAway };
}

Deno.test("streams end with their session, which is looked at once for all of them", async () => {
  using time = new FakeTime();
  const { looks, over, ends, open } = createSetting();
  const leave = open("a1", ownerOf("a"));
  open("a2", ownerOf("a"));
  open("b", ownerOf("b"));
  await time.tickAsync(4999);
  assertEquals(looks, []);
  await time.tickAsync(1);
  await time.tickAsync();
  assertEquals(looks, ["a", "b"]);
  leave();
  over.add("a");
  await time.tickAsync(5000);
  await time.tickAsync();
  assertEquals([looks, ends], [["a", "b", "a", "b"], ["a2 over"]]);
  over.add("b");
  await time.tickAsync(5000);
  await time.tickAsync(50_000);
  assertEquals([looks.length, ends], [5, ["a2 over", "b over"]], "nobody looks where nothing is open");
});

Deno.test("streams of a session that ends here end at once, those of others go on", () => {
  using _time = new FakeTime();
  const { streams, ends, open } = createSetting();
  open("a", ownerOf("a"));
  open("b", ownerOf("b"));
  streams.endSession("globex", "a");
  assertEquals(ends, []);
  streams.endSession("acme", "a");
  streams.endSession("acme", "a");
  assertEquals(ends, ["a over"]);
});

Deno.test("streams of a token end with it, those of nobody do not", async () => {
  using time = new FakeTime();
  const { now, ends, open } = createSetting();
  open("token", { kind: "token", expiresAt: now() + 60 });
  open("nobody", { kind: "nobody" });
  now.advance(59);
  await time.tickAsync(5000);
  await time.tickAsync();
  assertEquals(ends, []);
  now.advance(1);
  await time.tickAsync(5000);
  await time.tickAsync();
  assertEquals(ends, ["token over"]);
});

Deno.test("a store that is away ends nothing", async () => {
  using time = new FakeTime();
  const { over, ends, open, setStoreAway } = createSetting();
  open("a", ownerOf("a"));
  over.add("a");
  setStoreAway(true);
  await time.tickAsync(5000);
  await time.tickAsync();
  assertEquals(ends, []);
  setStoreAway(false);
  await time.tickAsync(5000);
  await time.tickAsync();
  assertEquals(ends, ["a over"]);
});

Deno.test("a service that stops ends every stream, and whichever comes later", () => {
  using _time = new FakeTime();
  const { streams, ends, open } = createSetting();
  open("a", ownerOf("a"));
  open("nobody", { kind: "nobody" });
  streams.stop();
  open("late", ownerOf("a"));
  assertEquals(ends, ["a stopping", "nobody stopping", "late stopping"]);
});
