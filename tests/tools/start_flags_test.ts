/**
 * The file permissions of `deno task start`.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { fileFlags } from "../../tools/start_flags.ts";

const CASES: readonly (readonly [what: string, env: Record<string, string>, flags: readonly string[]])[] = [
  ["no configuration", {}, []],
  ["a database", { KV_PATH: "/var/kv" }, ["--allow-read=/var/kv", "--allow-write=/var/kv"]],
  ["a database in memory", { KV_PATH: ":memory:" }, []],
  ["a database elsewhere", { KV_PATH: "https://kv.example" }, []],
  ["an empty variable", { KV_PATH: "", CLOAKROOM_MASTER_KEY_FILE: "" }, []],
  ["a secret", { CLOAKROOM_MASTER_KEY_FILE: "/run/key" }, ["--allow-read=/run/key"]],
  [
    "a database and a secret",
    { KV_PATH: "kv", CLOAKROOM_MASTER_KEY_FILE: "/run/key" },
    ["--allow-read=kv,/run/key", "--allow-write=kv"],
  ],
  ["a configuration file", { CLOAKROOM_CONFIG: "config.json" }, ["--allow-read=config.json"]],
  ["a configuration in place", { CLOAKROOM_CONFIG: `{ "HOST": "::" }` }, []],
  ["a variable of somebody else", { OTHER_FILE: "/etc/shadow" }, []],
];

Deno.test("fileFlags() allows the files that the configuration names, and no others", () => {
  assertEquals(CASES.map(([what, env]) => [what, env, fileFlags(env)]), CASES as unknown[]);
});
