import { assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { inspect } from "node:util";
import { Secret } from "../lib/secret.ts";

const secret = new Secret("open sesame");

Deno.test("a Secret shows a placeholder wherever it is printed", async (t) => {
  const ways: Readonly<Record<string, () => string>> = {
    "template": () => `${secret}`,
    "concatenation": () => "" + secret,
    "String()": () => String(secret),
    "JSON.stringify()": () => JSON.stringify({ nested: [secret] }),
    "Deno.inspect()": () => Deno.inspect({ nested: { secret } }),
    "Deno.inspect() with everything shown": () =>
      Deno.inspect(secret, { showHidden: true, depth: Infinity, getters: true }),
    "util.inspect() of Node": () => inspect({ nested: { secret } }, { showHidden: true, depth: Infinity }),
    "an Error's message": () => new Error(`Cannot use ${secret}`).stack!,
    "an Error's cause": () => Deno.inspect(new Error("failed", { cause: secret })),
  };
  for (const [what, print] of Object.entries(ways)) {
    await t.step(what, () => {
      const text = print();
      assertStringIncludes(text, "[secret]");
      assertFalse(text.includes("sesame"), text);
    });
  }
});

Deno.test("a Secret has no member that holds the value", () => {
  assertEquals(Reflect.ownKeys(secret), []);
  assertEquals({ ...secret }, {});
  assertFalse(JSON.stringify(Object.entries(secret)).includes("sesame"));
});

Deno.test("reveal() gives the value back, whatever its type", () => {
  assertEquals(secret.reveal(), "open sesame");
  const bytes = Uint8Array.of(1, 2, 3);
  assertEquals(new Secret(bytes).reveal(), bytes);
});
