/**
 * Prints the flags of `deno task start`: the registry to take packages from, and permission for the files that the
 * configuration names, and no others.
 *
 * `KV_PATH` may be any path, so `deno.json` cannot list it; leave to read and write everything would be too much for a
 * service that holds tokens. Without configuration it runs with no file permission at all.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- what a task prints is its purpose
import { registryFlags } from "./registry.ts";

/** What the server needs to start; the rest of the JSR packages is for tests. */
const SERVER_PACKAGES = ["@hono/hono", "@panva/jose"];

/**
 * The file permissions that a configuration needs: its database to read and write, and each file that holds a secret or
 * the whole configuration to read.
 *
 * @param env The environment variables
 * @returns Flags for `deno run`
 */
export function fileFlags(env: Readonly<Record<string, string>>): readonly string[] {
  const named = Object.entries(env).filter(([, value]) => isFile(value));
  const read = named.filter(([name]) => /^KV_PATH$|^CLOAKROOM_CONFIG$|^CLOAKROOM_\w+_FILE$/.test(name));
  const write = named.filter(([name]) => name === "KV_PATH");
  return [...permission("read", read), ...permission("write", write)];
}

/** Neither an address of KV Connect, nor a database in memory, nor JSON text. */
function isFile(value: string): boolean {
  return !/^(?:$|https?:\/\/|:memory:|\s*\{)/.test(value);
}

function permission(kind: "read" | "write", variables: readonly (readonly [string, string])[]): readonly string[] {
  if (variables.length === 0) return [];
  // The task's shell splits the answer at white space and Deno splits it at commas, so such a path cannot be named.
  const unspeakable = variables.find(([, path]) => /[\s,]/.test(path));
  if (unspeakable === undefined) return [`--allow-${kind}=${variables.map(([, path]) => path).join(",")}`];
  console.error(`${unspeakable[0]} has a space or comma in its path: the server may ${kind} all files`);
  return [`--allow-${kind}`];
}

if (import.meta.main) {
  console.log([...await registryFlags(SERVER_PACKAGES), ...fileFlags(Deno.env.toObject())].join(" "));
  // A name server that does not answer would keep the process waiting.
  Deno.exit();
}
