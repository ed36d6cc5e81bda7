/**
 * From `deno run server.ts` to the first answered request, on a warm cache (goal 60 ms, must 120 ms; P7 of the performance
 * goals).
 *
 * Each round starts the demo as a process of its own and asks `GET /healthz` until it answers; a bare `Deno.serve` is
 * started in the same rounds, so that the machine's mood shows in both. Prints one line and writes
 * `bench/results/startup.json`.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- printing is what a benchmark is for

const ROUNDS = 15;

/** A port that nobody uses now; the demo takes the two behind it as well. */
const PORT = freePort();

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

const BARE =
  "Deno.serve({ port: Number(Deno.env.get('PORT')), hostname: '127.0.0.1', onListen() {} }, () => new Response('ok'));";

/** The flags under which the tasks run the server on this machine. */
const SERVER_FLAGS = ["run", "-q", "-P=start", "--no-prompt", ...registryFlags(), "server.ts"];

function registryFlags(): readonly string[] {
  const flags = Deno.args.filter((argument) => argument.startsWith("--import-map") || argument.startsWith("--lock"));
  return flags.length > 0 ? flags : ["--import-map=npm.import_map.json", "--lock=npm.lock"];
}

/** Asks until the answer is a good one; connecting to a closed port of this machine fails at once. */
async function untilAnswered(url: string): Promise<void> {
  while (true) {
    try {
      const response = await fetch(url);
      await response.body?.cancel();
      if (response.ok) return;
    } catch {
      // Nobody listens yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function measure(args: readonly string[], path: string): Promise<number> {
  const began = performance.now();
  const child = new Deno.Command("deno", {
    args: [...args],
    env: { PORT: `${PORT}`, NO_COLOR: "1" },
    stdout: "null",
    stderr: "null",
  }).spawn();
  await untilAnswered(`http://127.0.0.1:${PORT}${path}`);
  const took = performance.now() - began;
  child.kill("SIGKILL");
  await child.status;
  return took;
}

function summarise(times: readonly number[]): { readonly median: number; readonly min: number; readonly max: number } {
  const sorted = times.toSorted((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)]!, min: sorted[0]!, max: sorted.at(-1)! };
}

const bareFile = await Deno.makeTempFile({ suffix: ".ts" });
await Deno.writeTextFile(bareFile, BARE);
const bareFlags = ["run", "-q", "--no-config", "--allow-net", "--allow-env=PORT", bareFile];
await measure(SERVER_FLAGS, "/healthz");
await measure(bareFlags, "/");
const times = { demo: [] as number[], bare: [] as number[] };
for (let round = 0; round < ROUNDS; round++) {
  times.demo.push(await measure(SERVER_FLAGS, "/healthz"));
  times.bare.push(await measure(bareFlags, "/"));
}
await Deno.remove(bareFile);

const result = {
  date: new Date().toISOString(),
  rounds: ROUNDS,
  demo: summarise(times.demo),
  bare: summarise(times.bare),
};
const show = ({ median, min, max }: typeof result.demo) =>
  `${median.toFixed(0)} ms (${min.toFixed(0)}–${max.toFixed(0)})`;
console.log(
  `start to first answer: demo ${show(result.demo)}, bare Deno.serve ${show(result.bare)}; must 120, goal 60`,
);
await Deno.mkdir("bench/results", { recursive: true });
await Deno.writeTextFile("bench/results/startup.json", JSON.stringify(result, null, 2) + "\n");
