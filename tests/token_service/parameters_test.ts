import { assertEquals } from "@std/assert";
import { createParameters, readFormParameters, readJsonParameters } from "../../lib/token_service/mod.ts";

Deno.test("createParameters() counts an empty value as absent and notes what is repeated", () => {
  const parameters = createParameters([["a", "1"], ["b", ""], ["c", "2"], ["c", "2"]]);
  assertEquals([parameters.get("a"), parameters.get("b"), parameters.get("d")], ["1", null, null]);
  assertEquals([...parameters.repeated], ["c"]);
});

Deno.test("createParameters() does not confuse names with members of objects", () => {
  const parameters = createParameters([["__proto__", "x"]]);
  assertEquals([parameters.get("__proto__"), parameters.get("constructor")], ["x", null]);
});

Deno.test("readFormParameters() decodes and stops at a hundred parameters", () => {
  assertEquals(readFormParameters("a=%C3%A9+b&a%3D=2")?.get("a"), "é b");
  assertEquals(readFormParameters("a&".repeat(99)) === null, false);
  assertEquals(readFormParameters("a&".repeat(100)), null);
});

Deno.test("readJsonParameters() accepts one flat object of texts and nothing else", () => {
  const good = readJsonParameters(String.raw`{"grant_type": "refresh_token", "q": "a \"quoted\" \\ word"}`);
  assertEquals([good?.get("grant_type"), good?.get("q")], ["refresh_token", 'a "quoted" \\ word']);
  const bad = [
    "",
    "null",
    "[]",
    '"text"',
    '{"a": 1}',
    '{"a": null}',
    '{"a": {"b": "c"}}',
    '{"a": ["b"]}',
    '{"a": "1", "a": "2"}',
    '{"a": "1", "\\u0061": "2"}',
    '{"a": "1"} {}',
    JSON.stringify(Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`p${i}`, ""]))),
  ];
  for (const text of bad) assertEquals(readJsonParameters(text), null, text);
});
