/**
 * `deno task ok`: everything that has to pass before handing over.
 *
 * All steps run, even after one has failed. Each prints a line with its duration, a failed one also the end of what it
 * said. The last line counts tests.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- what a task prints is its purpose
import denoConfig from "../deno.json" with { type: "json" };
import { registryFlags } from "./registry.ts";

/** A step that takes longer than this hangs. */
const PATIENCE = 8 * 60 * 1000;
const TAIL_LINES = 80;
const ROOT = new URL("..", import.meta.url);

const flags = await registryFlags();
const registry = flags.length === 0 ? "jsr" : "npm";

/** What each step hands to `deno`. */
const STEPS: Readonly<Record<string, readonly string[]>> = {
  format: ["fmt", "--check"],
  lint: ["lint"],
  types: ["check", "-q", ...(registry === "npm" ? ["--frozen"] : []), ...flags],
  documentation: ["doc", "-q", "--lint", ...flags, ...Object.values(denoConfig.exports)],
  tests: ["test", "-q", "-P", "--no-prompt", "--doc", "--clean", "--coverage", "--coverage-raw-data-only", ...flags],
  coverage: ["coverage", "coverage", `--include=^${ROOT}(?:lib/|routes/|server\\.ts$)`],
  package: ["run", "-q", "-P=ok", "--no-prompt", "--no-lock", "tools/publish_trial.ts", registry],
};

const failures: string[] = [];
let tests = "";
for (const [name, args] of Object.entries(STEPS)) {
  const { passed, output } = await run(name, args);
  if (!passed) failures.push(name);
  if (name === "tests") tests = countTests(output);
}
if (failures.length > 0) console.log(`FAILED: ${failures.join(", ")}`);
console.log(tests);
Deno.exit(failures.length > 0 ? 1 : 0);

async function run(name: string, args: readonly string[]): Promise<{ passed: boolean; output: string }> {
  const begin = performance.now();
  const { success, stdout, stderr } = await new Deno.Command("deno", {
    args: [...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(PATIENCE),
  }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(`${name.padEnd(13)} ${success ? "ok    " : "FAILED"} ${seconds.padStart(6)} s`);
  if (!success) console.log(`${output.trimEnd().split("\n").slice(-TAIL_LINES).join("\n")}\n`);
  return { passed: success, output };
}

/** The end of a test run, such as `ok | 7 passed (2 steps) | 0 failed (1s)`; a run without an end has failed. */
function countTests(output: string): string {
  const [, passed = 0, failed = 1] = /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed/m.exec(output) ?? [];
  return `${passed} passed, ${failed} failed`;
}
