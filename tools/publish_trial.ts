/**
 * Publishes on trial, from a copy of what would be published.
 *
 * `deno publish` takes imports from `deno.json` alone, not from an import map on the command line. So where JSR cannot be
 * reached (argument `npm`), the copy's `deno.json` names the packages of npm, and the stand-ins for `@std` are part of it.
 *
 * @module
 */
import { cp } from "node:fs/promises";
import denoConfig from "../deno.json" with { type: "json" };
import importMap from "../npm.import_map.json" with { type: "json" };

const ROOT = new URL("..", import.meta.url).pathname;
const fromNpm = Deno.args.includes("npm");

const copy = await Deno.makeTempDir({ prefix: "cloakroom-package-" });
try {
  const include = [...denoConfig.publish.include, ...(fromNpm ? ["tools/npm/"] : [])];
  for (const name of include) await cp(ROOT + name, `${copy}/${name}`, { recursive: true });
  const imports = fromNpm ? npmImports() : denoConfig.imports;
  // The lint plugin is not in the copy.
  const { lint: _lint, ...rest } = denoConfig;
  await Deno.writeTextFile(`${copy}/deno.json`, JSON.stringify({ ...rest, imports, publish: { include } }));
  const { code } = await new Deno.Command("deno", { args: ["publish", "--dry-run"], cwd: copy }).spawn().status;
  Deno.exitCode = code;
} finally {
  await Deno.remove(copy, { recursive: true });
}

/** `deno.json` knows by itself that `name/` goes with `name`. */
function npmImports(): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(importMap.imports).filter(([name]) => !name.endsWith("/")));
}
