/**
 * What this project expects of `@std`. Where packages come from npm this tests the stand-ins of `tools/npm/`; where they
 * come from JSR it shows that the originals keep the same promises.
 *
 * @module
 */
import * as std from "@std/assert";
import { accepts } from "@std/http/negotiation";
import { UserAgent } from "@std/http/user-agent";
import { FakeTime } from "@std/testing/time";

// Not from @std: a broken assertion could not report itself.
function expect(truth: boolean, what: string): void {
  if (!truth) throw new Error(what);
}

function fails(assertion: () => unknown): boolean {
  try {
    assertion();
    return false;
  } catch (error) {
    return error instanceof std.AssertionError;
  }
}

async function rejects(assertion: () => Promise<unknown>): Promise<boolean> {
  return await assertion().then(() => false, (error) => error instanceof std.AssertionError);
}

class Example {
  constructor(readonly value: number) {}
}

const EQUAL: readonly (readonly [string, unknown, unknown])[] = [
  ["numbers", 1, 1],
  ["not-a-number", NaN, NaN],
  ["zeros of both signs", 0, -0],
  ["nested objects", { a: [1, { b: null }] }, { a: [1, { b: null }] }],
  ["keys in another order", { a: 1, b: 2 }, { b: 2, a: 1 }],
  ["an object without prototype", Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
  ["dates", new Date(5), new Date(5)],
  ["addresses", new URL("http://a.example/"), new URL("http://a.example/")],
  ["bytes", new Uint8Array([1, 2]), new Uint8Array([1, 2])],
  ["maps", new Map([["a", { b: 1 }]]), new Map([["a", { b: 1 }]])],
  ["sets", new Set([1, 2]), new Set([2, 1])],
  ["instances of a class", new Example(1), new Example(1)],
];

const DIFFERENT: readonly (readonly [string, unknown, unknown])[] = [
  ["numbers", 1, 2],
  ["a number and its text", 1, "1"],
  ["null and undefined", null, undefined],
  ["deep down", { a: [1, { b: 2 }] }, { a: [1, { b: 3 }] }],
  ["a missing key", { a: 1 }, { a: 1, b: 2 }],
  ["an undefined key", { a: undefined }, {}],
  ["a list and an object", [1], { 0: 1 }],
  ["lists of different length", [1, 2], [1]],
  ["dates", new Date(5), new Date(6)],
  ["addresses", new URL("http://a.example/"), new URL("http://b.example/")],
  ["bytes", new Uint8Array([1, 2]), new Uint8Array([1, 3])],
  ["maps", new Map([["a", 1]]), new Map([["a", 2]])],
  ["sets", new Set([1]), new Set([2])],
  ["an instance and an object", new Example(1), { value: 1 }],
];

Deno.test("assertEquals() and assertNotEquals() compare deeply", () => {
  for (const [what, a, b] of EQUAL) {
    expect(!fails(() => std.assertEquals(a, b)), `${what}: equal`);
    expect(fails(() => std.assertNotEquals(a, b)), `${what}: not different`);
  }
  for (const [what, a, b] of DIFFERENT) {
    expect(fails(() => std.assertEquals(a, b)), `${what}: not equal`);
    expect(!fails(() => std.assertNotEquals(a, b)), `${what}: different`);
  }
});

Deno.test("each assertion passes what it should and fails what it should", () => {
  const table: readonly (readonly [string, () => void, () => void])[] = [
    ["assert", () => std.assert(1), () => std.assert(0)],
    ["assertFalse", () => std.assertFalse(""), () => std.assertFalse("a")],
    ["assertStrictEquals", () => std.assertStrictEquals(NaN, NaN), () => std.assertStrictEquals({}, {})],
    ["assertNotStrictEquals", () => std.assertNotStrictEquals({}, {}), () => std.assertNotStrictEquals(1, 1)],
    ["assertExists", () => std.assertExists(0), () => std.assertExists(null)],
    ["assertMatch", () => std.assertMatch("abc", /b/), () => std.assertMatch("abc", /d/)],
    ["assertNotMatch", () => std.assertNotMatch("abc", /d/), () => std.assertNotMatch("abc", /b/)],
    ["assertStringIncludes", () => std.assertStringIncludes("abc", "b"), () => std.assertStringIncludes("abc", "d")],
    [
      "assertArrayIncludes",
      () => std.assertArrayIncludes([{ a: 1 }, 2], [{ a: 1 }]),
      () => std.assertArrayIncludes([{ a: 1 }, 2], [{ a: 2 }]),
    ],
    [
      "assertInstanceOf",
      () => std.assertInstanceOf(new TypeError(), Error),
      () => std.assertInstanceOf(new Error(), TypeError),
    ],
    ["assertGreater", () => std.assertGreater(2, 1), () => std.assertGreater(1, 1)],
    ["assertGreaterOrEqual", () => std.assertGreaterOrEqual(1, 1), () => std.assertGreaterOrEqual(0, 1)],
    ["assertLess", () => std.assertLess(1, 2), () => std.assertLess(1, 1)],
    ["assertLessOrEqual", () => std.assertLessOrEqual(1, 1), () => std.assertLessOrEqual(1, 0)],
    [
      "assertIsError",
      () => std.assertIsError(new RangeError("too far"), RangeError, "far"),
      () => std.assertIsError(new RangeError("too far"), RangeError, "near"),
    ],
    ["fail", () => {}, () => std.fail()],
    ["unreachable", () => {}, () => std.unreachable()],
  ];
  for (const [name, good, bad] of table) {
    expect(!fails(good), `${name} passes`);
    expect(fails(bad), `${name} fails`);
  }
});

Deno.test("assertObjectMatch() ignores what is not asked for, at every depth", () => {
  const actual = { a: 1, b: { c: 2, d: [{ e: 3, f: 4 }, 5] }, g: new Date(1) };
  for (const part of [{}, { a: 1 }, { b: { d: [{ e: 3 }] } }, { g: new Date(1) }]) {
    expect(!fails(() => std.assertObjectMatch(actual, part)), JSON.stringify(part));
  }
  for (const part of [{ a: 2 }, { x: 1 }, { b: { d: [{ e: 4 }] } }, { b: null }, { g: new Date(2) }]) {
    expect(fails(() => std.assertObjectMatch(actual, part)), JSON.stringify(part));
  }
});

Deno.test("assertThrows() looks at class and message, and answers the error", () => {
  const error = new RangeError("too far");
  const thrower = () => {
    throw error;
  };
  expect(std.assertThrows(thrower) === error, "any error");
  expect(std.assertThrows(thrower, RangeError, "far") === error, "class and message");
  expect(fails(() => std.assertThrows(thrower, TypeError)), "another class");
  expect(fails(() => std.assertThrows(thrower, RangeError, "near")), "another message");
  expect(fails(() => std.assertThrows(() => 1)), "nothing thrown");
});

Deno.test("assertRejects() looks at class and message, and answers the error", async () => {
  const error = new RangeError("too far");
  const rejecter = () => Promise.reject(error);
  expect(await std.assertRejects(rejecter) === error, "any error");
  expect(await std.assertRejects(rejecter, RangeError, "far") === error, "class and message");
  expect(await rejects(() => std.assertRejects(rejecter, TypeError)), "another class");
  expect(await rejects(() => std.assertRejects(rejecter, RangeError, "near")), "another message");
  expect(await rejects(() => std.assertRejects(() => Promise.resolve())), "nothing rejected");
  const thrower = () => {
    throw error;
  };
  expect(await rejects(() => std.assertRejects(thrower)), "thrown, not rejected");
});

Deno.test("accepts() chooses by quality, then precision, then the server's order", () => {
  const html = "text/html";
  const json = "application/json";
  const cases: readonly (readonly [accept: string | null, offers: readonly string[], chosen: string | undefined])[] = [
    [null, [json, html], json],
    ["*/*", [json, html], json],
    ["text/html", [json, html], html],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", [json, html], html],
    ["application/json, text/html;q=0.9", [html, json], json],
    ["text/*, application/json;q=0.5", [json, html], html],
    ["text/html;q=0, */*", [html, json], json],
    ["text/html;q=0", [html], undefined],
    ["image/png", [json, html], undefined],
    ["TEXT/HTML", [html], html],
  ];
  for (const [accept, offers, chosen] of cases) {
    const request = { headers: new Headers(accept === null ? {} : { accept }) };
    std.assertEquals(accepts(request, ...offers), chosen, accept ?? "none");
  }
});

Deno.test("UserAgent names the common browsers and systems", () => {
  const chrome = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0";
  const cases: readonly (readonly [agent: string | null, browser: string | undefined, os: string | undefined])[] = [
    [`Mozilla/5.0 (X11; Linux x86_64) ${chrome} Safari/537.36`, "Chrome", "Linux"],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome} Safari/537.36 Edg/142.0.0.0`, "Edge", "Windows"],
    [`Mozilla/5.0 (Linux; Android 10; K) ${chrome} Mobile Safari/537.36`, "Mobile Chrome", "Android"],
    ["Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox", "Windows"],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
      "Safari",
      "macOS",
    ],
    [
      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
      "Mobile Safari",
      "iOS",
    ],
    ["curl/8.0", undefined, undefined],
    [null, undefined, undefined],
  ];
  for (const [agent, browser, os] of cases) {
    const found = new UserAgent(agent);
    std.assertEquals([found.browser.name, found.os.name], [browser, os], agent ?? "none");
  }
  std.assertEquals(new UserAgent(cases[3]?.[0] ?? "").browser.major, "145");
  std.assertEquals(new UserAgent(cases[3]?.[0] ?? "").os.version, "10");
});

Deno.test("FakeTime moves the clock and the timers, and gives real time back", async () => {
  const before = Date.now();
  {
    using time = new FakeTime(1000);
    const heard: string[] = [];
    setTimeout(() => heard.push(`timeout at ${Date.now()}`), 50);
    const interval = setInterval(() => heard.push(`interval at ${Date.now()}`), 40);
    time.tick(45);
    std.assertEquals(heard, ["interval at 1040"]);
    await time.tickAsync(10);
    std.assertEquals(heard, ["interval at 1040", "timeout at 1050"]);
    std.assertEquals(Date.now(), 1055);
    clearInterval(interval);
    time.tick(100);
    std.assertEquals(heard.length, 2);
  }
  std.assert(Date.now() >= before);
});
