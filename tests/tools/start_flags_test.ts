/**
 * The file permissions of `deno task start`.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { fileFlags } from "../../tools/start_flags.ts";

const FILES: Readonly<Record<string, string>> = {
  "config.json": `{ "KV_PATH": "/var/kv" }`,
  "broken.json": `{ "KV_PATH"`,
};

const CASES: readonly (readonly [what: string, env: Record<string, string>, flags: readonly string[]])[] = [
  ["no configuration", {}, []],
  ["a database", { KV_PATH: "/var/kv" }, ["--allow-read=/var/kv", "--allow-write=/var/kv"]],
  ["a database in memory", { KV_PATH: ":memory:" }, []],
  ["a database elsewhere", { KV_PATH: "https://kv.example" }, []],
  ["empty variables", { KV_PATH: "", CLOAKROOM_MASTER_KEY_FILE: "", CLOAKROOM_CONFIG: "" }, []],
  ["a secret", { CLOAKROOM_MASTER_KEY_FILE: "/run/key" }, ["--allow-read=/run/key"]],
  [
    "a database and a secret",
    { KV_PATH: "kv", CLOAKROOM_MASTER_KEY_FILE: "/run/key" },
    ["--allow-read=kv,/run/key", "--allow-write=kv"],
  ],
  [
    "a configuration file with a database",
    { CLOAKROOM_CONFIG: "config.json" },
    ["--allow-read=/var/kv,config.json", "--allow-write=/var/kv"],
  ],
  [
    "a variable beside the configuration file",
    { CLOAKROOM_CONFIG: "config.json", KV_PATH: "kv" },
    ["--allow-read=kv,config.json", "--allow-write=kv"],
  ],
  ["a configuration file that cannot be parsed", { CLOAKROOM_CONFIG: "broken.json" }, ["--allow-read=broken.json"]],
  ["a configuration file that is not there", { CLOAKROOM_CONFIG: "lost.json" }, ["--allow-read=lost.json"]],
  ["a configuration in place", { CLOAKROOM_CONFIG: ` { "HOST": "::" }` }, []],
  ["a configuration in place with a database", { CLOAKROOM_CONFIG: `{ "KV_PATH": "kv" }` }, [
    "--allow-read=kv",
    "--allow-write=kv",
  ]],
  ["a variable of somebody else", { OTHER_FILE: "/etc/shadow" }, []],
];

Deno.test("fileFlags() allows the files that the configuration names, and no others", () => {
  const found = CASES.map(([what, env]) => [what, env, fileFlags(env, (path) => FILES[path] ?? null)]);
  assertEquals(found, CASES as unknown[]);
});
