/**
 * The lint plugin reports an import that points the wrong way, and no other.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import plugin from "../../tools/layers_lint.ts";

/** File, source, and the message; `null` where the line is allowed. */
type Row = readonly [file: string, source: string, message: string | null];

const IMPORTS: readonly Row[] = [
  ["lib/random.ts", `import { a } from "./encoding.ts";`, null],
  ["lib/random.ts", `import { a } from "./pkce.ts";`, "random may not see pkce"],
  ["lib/random.ts", `import { a } from "./store/mod.ts";`, "random may not see store"],
  ["lib/pkce.ts", `import { a } from "./encoding.ts";`, null],
  ["lib/seal/mod.ts", `import { a } from "./jwe.ts";`, null],
  ["lib/seal/jwe.ts", `import { a } from "../encoding.ts";`, null],
  ["lib/seal/jwe.ts", `import { a } from "../jwt/mod.ts";`, "seal may not see jwt"],
  ["lib/jwt/mod.ts", `import type { A } from "../store/mod.ts";`, "jwt may not see store"],
  ["lib/token_handler/login.ts", `import { a } from "../oauth/mod.ts";`, null],
  ["lib/token_handler/login.ts", `import type { A } from "../store/mod.ts";`, null],
  ["lib/token_handler/login.ts", `import { type A, type B } from "../store/mod.ts";`, null],
  ["lib/token_handler/login.ts", `export type { A } from "../store/mod.ts";`, null],
  [
    "lib/token_handler/login.ts",
    `import { a, type B } from "../store/mod.ts";`,
    "token_handler may import types from store, not code",
  ],
  [
    "lib/token_handler/login.ts",
    `import "../store/mod.ts";`,
    "token_handler may import types from store, not code",
  ],
  [
    "lib/token_handler/login.ts",
    `import { a } from "../token_service/mod.ts";`,
    "token_handler may not see token_service",
  ],
  ["lib/proxy/mod.ts", `export * from "../token_handler/mod.ts";`, "proxy may not see token_handler"],
  ["lib/proxy/mod.ts", `export { a } from "../token_handler/mod.ts";`, "proxy may not see token_handler"],
  ["lib/proxy/mod.ts", `const a = await import("../token_handler/mod.ts");`, "proxy may not see token_handler"],
  ["lib/store/kv/mod.ts", `import { a } from "../records.ts";`, null],
  ["lib/store/vendors.ts", `import type { A } from "../vendor/mod.ts";`, null],
  ["lib/store/vendors.ts", `import { a } from "../vendor/mod.ts";`, "store may import types from vendor, not code"],
  ["lib/store/vendors.ts", `import type { A } from "../proxy/mod.ts";`, "store may not see proxy"],
  ["lib/doctor/mod.ts", `import { a } from "../store/mod.ts";`, null],
  ["lib/cli/mod.ts", `import { a } from "../../routes/app.ts";`, "cli may not see routes"],
  ["lib/browser/mod.ts", `import { a } from "./watch.ts";`, null],
  ["lib/browser/mod.ts", `import { a } from "../encoding.ts";`, "browser may not see encoding"],
  ["lib/fresh/mod.ts", `import { a } from "../encoding.ts";`, "lib/fresh has no row in tools/layers_lint.ts"],
  ["routes/app.ts", `import { a } from "../lib/store/mod.ts";`, null],
  ["routes/app.ts", `import { a } from "../server.ts";`, "routes may not see server.ts"],
  ["lib/seal/mod.ts", `import { a } from "../../tools/ok.ts";`, "seal may not see tools"],
  ["lib/seal/mod.ts", `import { a } from "../../mod.ts";`, "seal may not see mod.ts"],
  ["server.ts", `import { a } from "./routes/app.ts";`, null],
  ["mod.ts", `import { a } from "./lib/store/mod.ts";`, null],
  ["tests/routes/app_test.ts", `import { a } from "../../server.ts";`, null],
];

const PACKAGES: readonly Row[] = [
  ["routes/app.ts", `import { Hono } from "@hono/hono";`, null],
  ["routes/pages/a.ts", `import { html } from "@hono/hono/html";`, null],
  ["lib/proxy/mod.ts", `import type { Context } from "@hono/hono";`, "@hono/hono is for routes"],
  ["lib/jwt/mod.ts", `import { jwtVerify } from "@panva/jose";`, null],
  ["lib/token_service/keys.ts", `import { SignJWT } from "@panva/jose";`, null],
  ["lib/links/mod.ts", `import { SignJWT } from "@panva/jose";`, null],
  ["lib/session_token/mod.ts", `import { SignJWT } from "@panva/jose";`, null],
  [
    "lib/seal/mod.ts",
    `import { compactDecrypt } from "@panva/jose";`,
    "@panva/jose is for jwt, token_service, links, session_token",
  ],
  [
    "routes/app.ts",
    `import { decodeJwt } from "@panva/jose/jwt/decode";`,
    "@panva/jose is for jwt, token_service, links, session_token",
  ],
  ["lib/vendor/hosts.ts", `const { a } = await import("tldts");`, null],
  ["lib/proxy/mod.ts", `import { a } from "valibot";`, "the package has no line in tools/layers_lint.ts"],
  ["lib/seal/mod.ts", `import { a } from "node:buffer";`, "the package has no line in tools/layers_lint.ts"],
  ["lib/seal/mod.ts", `import { a } from "node:crypto";`, "cryptography is Web Crypto here"],
  ["server.ts", `import { a } from "node:crypto";`, "cryptography is Web Crypto here"],
  ["tests/a_test.ts", `import { Hono } from "@hono/hono";`, null],
];

const MACHINE: readonly Row[] = [
  [
    "lib/store/kv/mod.ts",
    `const kv = await Deno.openKv();`,
    "Deno belongs in server.ts: take what you need as an argument",
  ],
  ["lib/store/kv/mod.ts", `let kv: Deno.Kv;`, "Deno belongs in server.ts: take what you need as an argument"],
  ["routes/app.ts", `globalThis.Deno.exit();`, "Deno belongs in server.ts: take what you need as an argument"],
  ["lib/store/kv/mod.ts", `/** The part of Deno.Kv that is used. */ const a = Symbol.for("Deno.customInspect");`, null],
  ["lib/log.ts", `console.log("a");`, "Nothing is printed here: take a Logger"],
  ["server.ts", `console.log(Deno.version);`, null],
  ["tools/ok.ts", `console.log(Deno.version);`, null],
];

/** The same rows, with what the plugin says about them. */
function judged(rows: readonly Row[]): readonly Row[] {
  return rows.map(([file, source]) => {
    const messages = Deno.lint.runPlugin(plugin, file, source).map(({ message }) => message.replace(/^.*": /, ""));
    return [file, source, messages.length === 0 ? null : messages.join()];
  });
}

Deno.test("layers_lint reports imports that do not point down, and no others", () => {
  assertEquals(judged(IMPORTS), IMPORTS);
});

Deno.test("layers_lint keeps each package where it belongs", () => {
  assertEquals(judged(PACKAGES), PACKAGES);
});

Deno.test("layers_lint keeps Deno and console out of the library and the routes", () => {
  assertEquals(judged(MACHINE), MACHINE);
});

Deno.test("layers_lint names the import that it reports", () => {
  const [found] = Deno.lint.runPlugin(plugin, "lib/random.ts", `import { a } from "./pkce.ts";`);
  assertEquals(found?.message, `Cannot import "./pkce.ts": random may not see pkce`);
});

Deno.test("layers_lint knows the files of this repository by their full path", () => {
  const file = new URL("../../lib/log.ts", import.meta.url).pathname;
  assertEquals(Deno.lint.runPlugin(plugin, file, `console.log("a");`).length, 1);
});
