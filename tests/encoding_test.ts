import { assert, assertEquals, assertFalse } from "@std/assert";
import {
  digestOf,
  encodeBase64Url,
  encodeUtf8,
  equalsConstantTime,
  hashOf,
  isJsonObject,
  readBase64Url,
  readJsonObject,
  readUtf8,
  trimSpace,
} from "../lib/encoding.ts";

Deno.test("readBase64Url() reads back what encodeBase64Url() writes, for every length up to 64", () => {
  for (let length = 0; length <= 64; length++) {
    const bytes = crypto.getRandomValues(new Uint8Array(length));
    assertEquals(readBase64Url(encodeBase64Url(bytes)), bytes);
  }
});

Deno.test("readBase64Url() accepts one spelling of each value", async (t) => {
  const good = "-_8A"; // fb ff 00
  assertEquals(readBase64Url(good), Uint8Array.of(0xfb, 0xff, 0x00));
  const refused = {
    "standard alphabet": "+/8A",
    "padding": "AA==",
    "padding without need": "-_8A=",
    "one character": "A",
    "five characters": "-_8AA",
    "stray bits in the last of two characters": "AB",
    "stray bits in the last of three characters": "AAB",
    "space": "-_ 8A",
    "space in front": " -_8A",
    "newline behind": "-_8A\n",
    "tab": "-_\t8A",
    "NUL": "-_8A\u0000",
    "another letter": "-_8Å",
    "percent encoding": "-_8%41",
  };
  for (const [what, text] of Object.entries(refused)) {
    await t.step(what, () => assertEquals(readBase64Url(text), null));
  }
});

Deno.test("readUtf8() refuses bytes that are not UTF-8, and keeps a byte order mark", () => {
  assertEquals(readUtf8(encodeUtf8("Sésame ✓")), "Sésame ✓");
  assertEquals(readUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b)), "\ufeff{");
  for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe2, 0x9c], [0xf4, 0x90, 0x80, 0x80]]) {
    assertEquals(readUtf8(Uint8Array.from(bytes)), null);
  }
});

Deno.test("readJsonObject() reads objects whose members are unique at every depth", async (t) => {
  const good = [
    "{}",
    ' {"a" : 1}\n',
    '{"a":":","b":{"a":[{"a":"{\\"a\\":1,\\"a\\":2}"}]},"c":[1,{"a":1},{"a":2}]}',
    '{"":{"":""}}',
    '{"a":"\\\\","b":"\\u003a"}',
    '{"__proto__":{"isAdmin":true},"constructor":1}',
    '{"a":1e3,"b":null,"c":[[],{}]}',
  ];
  for (const text of good) await t.step(text, () => assertEquals(readJsonObject(text), JSON.parse(text)));
  assertEquals(Object.getPrototypeOf(readJsonObject('{"__proto__":null}')), Object.prototype);

  const refused = {
    "array": "[]",
    "null": "null",
    "string": '"a"',
    "number": "1",
    "nothing": "",
    "truncated": '{"a":1',
    "something behind": '{"a":1}{}',
    "byte order mark": '\ufeff{"a":1}',
    "comment": '{"a":1/**/}',
    "member twice": '{"a":1,"a":1}',
    "member twice, once escaped": '{"a":1,"\\u0061":2}',
    "member twice further down": '{"a":{"b":1,"b":2}}',
    "member twice in a list": '{"a":[{"b":1,"b":2}]}',
    "member twice, the first with members of its own": '{"a":{"b":1},"a":2}',
    "empty name twice": '{"":1,"":2}',
    "__proto__ twice": '{"__proto__":1,"__proto__":2}',
    "array nested 100,000 deep": `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`,
    "object nested 100,000 deep": `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`,
    "bracket repeated 100,000 times": "[".repeat(100_000),
  };
  for (const [what, text] of Object.entries(refused)) {
    await t.step(what, () => assertEquals(readJsonObject(text), null));
  }
});

Deno.test("isJsonObject() is true for objects alone", () => {
  assert(isJsonObject({}));
  for (const value of [null, undefined, [], "", 0, true]) assertFalse(isJsonObject(value));
});

Deno.test("digestOf() and hashOf() give SHA-256 (FIPS 180-2, appendix B.1)", async () => {
  const hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assertEquals((await digestOf("abc")).toHex(), hex);
  assertEquals((await digestOf(encodeUtf8("abc"))).toHex(), hex);
  assertEquals(await hashOf("abc"), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
});

Deno.test("equalsConstantTime() tells equal texts from all others, and absent values equal nothing", () => {
  for (const text of ["", "a", "Sésame", "x".repeat(1000)]) assert(equalsConstantTime(text, text));
  const different: readonly (readonly [string | null | undefined, string | null | undefined])[] = [
    ["a", "b"],
    ["a", "aa"],
    ["aa", "a"],
    ["", "a"],
    ["a", ""],
    ["a", "a\u0000"],
    ["é", "e\u0301"],
    [undefined, undefined],
    [null, null],
    [undefined, ""],
    ["", null],
    ["undefined", undefined],
  ];
  for (const [a, b] of different) assertFalse(equalsConstantTime(a, b), `${a} ${b}`);
});

Deno.test("trimSpace() takes space and tab from both ends, nothing else, and long runs in between do not matter", () => {
  assertEquals(trimSpace(" \t a b\t "), "a b");
  assertEquals([trimSpace(""), trimSpace(" \t"), trimSpace("\u2000x\n")], ["", "", "\u2000x\n"]);
  const inner = `a${" ".repeat(1_000_000)}b`;
  assertEquals(trimSpace(` ${inner} `), inner);
});
