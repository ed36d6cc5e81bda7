import { assertEquals } from "@std/assert";
import { createMemoryRecords } from "../../lib/store/memory/mod.ts";
import { listAll } from "../../lib/token_service/list_all.ts";

Deno.test("listAll() goes on behind the first page, and stops where the prefix ends", async () => {
  const records = createMemoryRecords();
  const ids = Array.from({ length: 2001 }, (_, i) => `${i}`.padStart(4, "0"));
  await records.commit({
    sets: [...ids.map((id) => ({ key: ["a", id], value: id })), { key: ["b", "x"], value: "x" }],
  });
  const found: string[] = [];
  for await (const { value } of listAll<string>(records, ["a"])) found.push(value);
  assertEquals(found, ids);
});
