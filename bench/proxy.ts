/**
 * The proxy beside a bare `Deno.serve` + `fetch`, in one run, interleaved: requests per second and CPU µs per request
 * (user + system of the server process), as ratios. One core for the server, load and upstream on the other.
 *
 * `deno task bench proxy [rounds] [seconds]`. Needs `wrk` and `taskset`.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- printing is what a benchmark is for

const ROUNDS = Number(Deno.args[0] ?? 5);
const SECONDS = Number(Deno.args[1] ?? 3);

/** The request headers of a browser, 13 with the cookies. */
const BROWSER_HEADERS = {
  "accept": "application/json",
  "accept-language": "en-GB,en;q=0.9,sv;q=0.8",
  "cache-control": "no-cache",
  "pragma": "no-cache",
  "referer": "https://www.example/news/article?page=2",
  "sec-ch-ua": '"Chromium";v="156", "Not)A;Brand";v="8"',
  "sec-ch-ua-mobile": "?0",
  "sec-ch-ua-platform": '"Linux"',
  "sec-fetch-dest": "empty",
  "sec-fetch-mode": "cors",
  "sec-fetch-site": "same-origin",
  "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
};

interface Started {
  readonly port: number;
  readonly pid: number;
  readonly child: Deno.ChildProcess;
}

const FLAGS = ["run", "-q", "-A", "--import-map=npm.import_map.json", "--lock=npm.lock"];

async function start(core: number, script: string, ...args: readonly string[]): Promise<Started> {
  const child = new Deno.Command("taskset", {
    args: ["-c", `${core}`, "deno", ...FLAGS, script, ...args],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "{}" } = await reader.read();
  reader.releaseLock();
  return { ...JSON.parse(value), child };
}

/** Signs a user in through the real login and answers the Cookie header. */
async function signIn(port: number, user: string): Promise<string> {
  const base = `http://127.0.0.1:${port}`;
  const login = await fetch(`${base}/auth/acme/login`, { redirect: "manual" });
  await login.body?.cancel();
  const asked = new URL(login.headers.get("location")!).searchParams;
  const cookieOf = (response: Response) => response.headers.getSetCookie().map((line) => line.split(";", 1)[0]!);
  const callback = `${base}/auth/acme/callback?${new URLSearchParams({
    code: `${asked.get("nonce")}~${user}`,
    state: asked.get("state")!,
  })}`;
  const done = await fetch(callback, { redirect: "manual", headers: { cookie: cookieOf(login).join("; ") } });
  await done.body?.cancel();
  return cookieOf(done).filter((pair) => !pair.endsWith("=")).join("; ");
}

/** CPU time of a process so far, in µs. */
function cpuOf(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

interface Figures {
  readonly perSecond: number;
  readonly cpuMicros: number;
  readonly p99Ms: number;
}

async function load(
  server: Started,
  options: { connections: number; path: string; headers: Record<string, string> },
): Promise<Figures> {
  const { connections, path, headers } = options;
  const before = cpuOf(server.pid);
  const output = await new Deno.Command("taskset", {
    args: [
      "-c",
      "1",
      "wrk",
      "-t1",
      `-c${connections}`,
      `-d${SECONDS}s`,
      "--latency",
      ...Object.entries({ ...BROWSER_HEADERS, ...headers }).flatMap(([name, value]) => ["-H", `${name}: ${value}`]),
      `http://127.0.0.1:${server.port}${path}`,
    ],
    stdout: "piped",
  }).output();
  const text = new TextDecoder().decode(output.stdout);
  if (/Non-2xx/.test(text)) throw new Error(`Cannot measure: ${text}`);
  const requests = Number(/(\d+) requests in/.exec(text)![1]);
  const [, p99 = "0", unit] = /99%\s+([\d.]+)(us|ms|s)/.exec(text) ?? [];
  const p99Ms = Number(p99) * (unit === "us" ? 0.001 : unit === "s" ? 1000 : 1);
  return { perSecond: requests / SECONDS, cpuMicros: (cpuOf(server.pid) - before) / requests, p99Ms };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

const upstream = await start(1, "bench/support/upstream.ts");
const target = `http://127.0.0.1:${upstream.port}`;
const bare = await start(0, "bench/support/server.ts", "bare", target);
const kvPath = await Deno.makeTempFile();
const ours = await start(0, "bench/support/server.ts", "cloakroom", target, kvPath);
const cookie = await signIn(ours.port, "user-1");
const rows = [
  { name: "1 KB, 32 connections", connections: 32, path: "/api/1024" },
  { name: "100 KB, 32 connections", connections: 32, path: "/api/102400" },
];
for (const row of rows) {
  const ratios = { perSecond: [] as number[], cpu: [] as number[], p99: [] as number[] };
  const seen = { bare: [] as number[], ours: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    const measure = async (which: "bare" | "ours") =>
      await load(which === "bare" ? bare : ours, { ...row, headers: { cookie } });
    const order = round % 2 === 0 ? ["bare", "ours"] as const : ["ours", "bare"] as const;
    const figures: Record<string, Figures> = {};
    for (const which of order) figures[which] = await measure(which);
    ratios.perSecond.push(figures.ours!.perSecond / figures.bare!.perSecond);
    ratios.cpu.push(figures.bare!.cpuMicros / figures.ours!.cpuMicros);
    ratios.p99.push(figures.ours!.p99Ms / figures.bare!.p99Ms);
    seen.bare.push(figures.bare!.cpuMicros);
    seen.ours.push(figures.ours!.cpuMicros);
  }
  console.log(
    `${row.name}: ${median(ratios.perSecond).toFixed(2)} × bare by requests, ${
      median(ratios.cpu).toFixed(2)
    } × by CPU ` +
      `(${median(seen.bare).toFixed(0)} and ${median(seen.ours).toFixed(0)} µs a request), p99 ${
        median(ratios.p99).toFixed(2)
      } ×`,
  );
}
for (const { child } of [bare, ours, upstream]) child.kill("SIGKILL");
