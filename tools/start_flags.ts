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
  const database = isFile(env.KV_PATH) ? [env.KV_PATH] : [];
  const secrets = Object.entries(env).filter(([name]) => /^CLOAKROOM_\w+_FILE$/.test(name)).map(([, path]) => path);
  const config = isFile(env.CLOAKROOM_CONFIG) ? [env.CLOAKROOM_CONFIG] : [];
  return [...permission("read", [...database, ...secrets, ...config]), ...permission("write", database)];
}

/** Neither an address of KV Connect, nor a database in memory, nor JSON text. */
function isFile(value: string | undefined): value is string {
  return value !== undefined && value !== "" && !/^(?:https?:\/\/|:memory:|\s*\{)/.test(value);
}

function permission(kind: "read" | "write", paths: readonly string[]): readonly string[] {
  if (paths.length === 0) return [];
  // The task's shell splits the answer at white space and Deno splits it at commas, so such a path cannot be named.
  if (!paths.some((path) => /[\s,]/.test(path))) return [`--allow-${kind}=${paths.join(",")}`];
  console.error(`A path has a space or comma in its name: files are open to the server to ${kind}`);
  return [`--allow-${kind}`];
}

if (import.meta.main) {
  console.log([...await registryFlags(SERVER_PACKAGES), ...fileFlags(Deno.env.toObject())].join(" "));
  // A name server that does not answer would keep the process waiting.
  Deno.exit();
}
