import { assertEquals, assertFalse, assertNotEquals } from "@std/assert";
import { systemRandom } from "../../lib/random.ts";
import { openReplay, type ReplayBinding, sealReplay } from "../../lib/token_service/replay.ts";

const BINDING: ReplayBinding = { refreshToken: "ort_x", request: ["spa", null, "https://api.test/"] };

Deno.test("openReplay() opens for the same token and request, and for no other", async () => {
  const sealed = await sealReplay("the answer", BINDING, systemRandom);
  assertFalse(sealed.includes("answer"));
  assertEquals(await openReplay(sealed, BINDING), "the answer");
  const others: readonly ReplayBinding[] = [
    { ...BINDING, refreshToken: "ort_y" },
    { ...BINDING, request: ["web", null, "https://api.test/"] },
    { ...BINDING, request: ["spa", "https://api.test/", null] },
    { ...BINDING, request: ["spa", "", "https://api.test/"] },
  ];
  for (const other of others) assertEquals(await openReplay(sealed, other), null);
});

Deno.test("openReplay() answers null for what was spoiled", async () => {
  const sealed = await sealReplay("x", BINDING, systemRandom);
  const flipped = (sealed[0] === "A" ? "B" : "A") + sealed.slice(1);
  for (const bad of ["", "A", "=", sealed.slice(0, -4), `${sealed}AAAA`, flipped]) {
    assertEquals(await openReplay(bad, BINDING), null, bad);
  }
});

Deno.test("sealReplay() never gives the same text twice", async () => {
  const [a, b] = await Promise.all([1, 2].map(() => sealReplay("x", BINDING, systemRandom)));
  assertNotEquals(a, b);
});
