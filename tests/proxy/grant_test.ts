import { assertEquals } from "@std/assert";
import { isGranted, scopeOf } from "../../lib/proxy/grant.ts";

const UPSTREAM = { path: "/", target: "https://api.test" };

Deno.test("isGranted() wants every scope, by its whole name", () => {
  const upstream = { ...UPSTREAM, scopes: ["read:all", "write:all"] };
  const rows: readonly (readonly [scope: string | null, granted: boolean])[] = [
    ["read:all write:all", true],
    ["openid write:all read:all email", true],
    ["read:all", false],
    ["read:all write:allother", false],
    ["read:all Write:all", false],
    ["", false],
    [null, false],
  ];
  for (const [scope, granted] of rows) {
    assertEquals(isGranted(upstream, { scope, audience: null }), granted, `${scope}`);
  }
  assertEquals(isGranted(UPSTREAM, { scope: null, audience: null }), true);
});

Deno.test("isGranted() keeps a token from an API that it is not meant for", () => {
  const upstream = { ...UPSTREAM, audience: "https://api.test/" };
  const rows: readonly (readonly [audience: string | null, granted: boolean])[] = [
    ["https://api.test/", true],
    ["https://api.test", false],
    ["https://bank.test/", false],
    [null, true],
  ];
  for (const [audience, granted] of rows) {
    assertEquals(isGranted(upstream, { scope: null, audience }), granted, `${audience}`);
  }
  assertEquals(isGranted(UPSTREAM, { scope: null, audience: "https://bank.test/" }), true);
});

Deno.test("scopeOf() finds the scopes of a token where its issuer writes them", () => {
  const rows: readonly (readonly [claims: Record<string, unknown>, scope: string | null])[] = [
    [{ scope: "a b" }, "a b"],
    [{ scope: "" }, ""],
    [{ scp: "a b" }, "a b"],
    [{ scp: ["a", "b"] }, "a b"],
    [{ scope: "a", scp: ["b"] }, "a"],
    [{ scp: ["a", 1] }, null],
    [{ scope: ["a"] }, null],
    [{}, null],
  ];
  for (const [claims, scope] of rows) assertEquals(scopeOf(claims), scope, JSON.stringify(claims));
});
