import { assertEquals } from "@std/assert";
import { decideClientScopes, decideUserScopes, readScopes } from "../../lib/token_service/scope.ts";

const ALLOWED = ["openid", "profile", "email", "read:articles"];

Deno.test("readScopes() splits at runs of spaces, drops what is named twice, refuses what cannot be a scope", () => {
  assertEquals(readScopes("  openid   email openid "), ["openid", "email"]);
  assertEquals(readScopes(""), []);
  for (const text of ['a"b', "a\\b", "a\tb", "é", "a\nb"]) assertEquals(readScopes(text), null, text);
});

Deno.test("decideUserScopes() stays within what the client is registered for", () => {
  const rows: readonly (readonly [string | null, readonly string[] | null])[] = [
    ["openid  email", ["openid", "email"]],
    ["read:articles", ["read:articles"]],
    ["openid offline_access", ["openid", "offline_access"]],
    [null, ["openid"]],
    ["openid admin:everything", null],
    ["OpenID", null],
    ["profile", null],
    ["email read:articles", null],
    ['openid "', null],
  ];
  for (const [requested, scopes] of rows) {
    assertEquals(decideUserScopes(requested, ALLOWED, { defaultScopes: ["openid", "other"] }), scopes, `${requested}`);
  }
});

Deno.test("decideClientScopes() never hands out scopes about a person", () => {
  const rows: readonly (readonly [string | null, readonly string[] | null])[] = [
    [null, ["read:articles"]],
    ["read:articles", ["read:articles"]],
    ["openid", null],
    ["profile", null],
    ["offline_access", null],
    ["write:articles", null],
    ["\\", null],
  ];
  for (const [requested, scopes] of rows) {
    assertEquals(decideClientScopes(requested, [...ALLOWED, "offline_access"]), scopes, `${requested}`);
  }
});
