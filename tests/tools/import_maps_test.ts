/**
 * `deno.json` (JSR) and `npm.import_map.json` (npm) are two ways to the same packages.
 *
 * @module
 */
import { assert, assertEquals, assertExists } from "@std/assert";
import denoConfig from "../../deno.json" with { type: "json" };
import importMap from "../../npm.import_map.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);
const JSR: Readonly<Record<string, string>> = { ...denoConfig.imports, ...denoConfig.scopes["./tests/"] };
const NPM: Readonly<Record<string, string>> = importMap.imports;

/** `@std/http/status` belongs to `@std/http`. */
function packageOf(name: string): string {
  return name.split("/", name.startsWith("@") ? 2 : 1).join("/");
}

function versionOf(target: string): string | undefined {
  return /(?<=.@)[^@/]+(?=\/?$)/.exec(target)?.[0];
}

Deno.test("both import maps name the same packages", () => {
  assertEquals([...new Set(Object.keys(NPM).map(packageOf))].sort(), Object.keys(JSR).sort());
});

Deno.test("both import maps name the same versions; what npm lacks stands in tools/npm/", async () => {
  for (const [name, target] of Object.entries(NPM)) {
    if (packageOf(name).startsWith("@std/")) {
      assert((await Deno.stat(new URL(target, ROOT))).isFile, target);
      assertEquals(target.split("/", 3).join("/"), "./tools/npm");
    } else {
      assertExists(versionOf(target), name);
      assertEquals(versionOf(target), versionOf(JSR[packageOf(name)] ?? ""), name);
    }
  }
});
