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
 * @param readFile Answers the text of a file, or `null`; the configuration may name the database in one
 * @returns Flags for `deno run`
 */
export function fileFlags(
  env: Readonly<Record<string, string>>,
  readFile: (path: string) => string | null,
): readonly string[] {
  const { KV_PATH = "", CLOAKROOM_CONFIG = "", ...others } = env;
  const isText = CLOAKROOM_CONFIG.trimStart().startsWith("{");
  const database = KV_PATH || databaseOf(isText ? CLOAKROOM_CONFIG : readFile(CLOAKROOM_CONFIG));
  const secrets = Object.entries(others).filter(([name]) => /^CLOAKROOM_\w+_FILE$/.test(name)).map(([, path]) => path);
  const write = /^(?:https?:\/\/|:memory:$)/.test(database) ? [] : [database];
  const read = [...write, ...secrets, ...(isText ? [] : [CLOAKROOM_CONFIG])];
  return [...permission("read", read), ...permission("write", write)];
}

/** `KV_PATH` in the text of a configuration. What is wrong with the text is for the server to say. */
function databaseOf(config: string | null): string {
  try {
    return String(JSON.parse(config ?? "{}").KV_PATH ?? "");
  } catch {
    return "";
  }
}

function permission(kind: "read" | "write", paths: readonly string[]): readonly string[] {
  const named = paths.filter((path) => path !== "");
  if (named.length === 0) return [];
  // The task's shell splits the answer at white space and Deno splits it at commas, so such a path cannot be named.
  const unspeakable = named.find((path) => /[\s,]/.test(path));
  if (unspeakable === undefined) return [`--allow-${kind}=${named.join(",")}`];
  console.error(`"${unspeakable}" has a space or comma, so the server may ${kind} every file; another path is safer`);
  return [`--allow-${kind}`];
}

function readFile(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return null;
  }
}

if (import.meta.main) {
  console.log([...await registryFlags(SERVER_PACKAGES), ...fileFlags(Deno.env.toObject(), readFile)].join(" "));
  // A name server that does not answer would keep the process waiting.
  Deno.exit();
}
