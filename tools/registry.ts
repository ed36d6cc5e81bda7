/**
 * Chooses the registry that this machine can reach, and prints the flags which say so.
 *
 * `deno.json` names JSR packages. Where JSR cannot be reached, `npm.import_map.json` gives the same names from npm. The
 * tasks run this first and hand its answer on: `deno test $(deno run tools/registry.ts)`.
 *
 * It must not slow a start down, so the network is asked only when nothing else knows: what Deno has in its cache comes
 * first, then what was chosen today. A choice is dropped by itself when the cache it stood on is gone.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- what a task prints is its purpose
import denoConfig from "../deno.json" with { type: "json" };

/** Where packages come from, and the reason to tell. */
export interface Choice {
  /** The registry. */
  readonly registry: "jsr" | "npm";
  /** Why this one. */
  readonly reason: string;
}

/** What a choice depends on. */
export interface Machine {
  /** Deno's cache folder. */
  readonly denoDir: string;
  /** JSR's address. */
  readonly jsrUrl: string;
  /** The file whose age says when JSR last failed to answer. */
  readonly memory: string;
}

const DAY = 24 * 60 * 60 * 1000;
const PATIENCE = 700;
const JSR_PACKAGES = Object.entries(denoConfig.imports)
  .filter(([, target]) => target.startsWith("jsr:"))
  .map(([name]) => name);

/**
 * Chooses, says the choice on standard error, and answers the flags that follow from it.
 *
 * @param packages The JSR packages that are needed; all of `deno.json` if absent
 */
export async function registryFlags(packages: readonly string[] = JSR_PACKAGES): Promise<readonly string[]> {
  const { registry, reason } = await chooseRegistry(packages, {
    denoDir: Deno.env.get("DENO_DIR") ?? defaultDenoDir(),
    jsrUrl: Deno.env.get("JSR_URL") ?? "https://jsr.io",
    memory: ".cloakroom/jsr_did_not_answer",
  });
  console.error(`Packages come from ${registry === "jsr" ? "JSR" : "npm"} (${reason})`);
  return registry === "jsr" ? [] : ["--import-map=npm.import_map.json", "--lock=npm.lock"];
}

/** JSR where it is cached or answers, npm otherwise. */
export async function chooseRegistry(packages: readonly string[], machine: Machine): Promise<Choice> {
  const { denoDir, jsrUrl, memory } = machine;
  const descriptions = packages.map((name) => new URL(`/${name}/meta.json`, jsrUrl));
  const cached = await Promise.all(descriptions.map(async (url) => exists(`${denoDir}/${await cachePath(url)}`)));
  if (cached.every(Boolean)) return { registry: "jsr", reason: "cached" };
  if (ageOf(memory) < DAY && npmIsCached(denoDir)) {
    return { registry: "npm", reason: "cached, JSR did not answer today" };
  }
  if (await answer(descriptions)) return { registry: "jsr", reason: "it answers" };
  remember(memory);
  return { registry: "npm", reason: "JSR does not answer" };
}

function defaultDenoDir(): string {
  const home = Deno.env.get("HOME") ?? "";
  switch (Deno.build.os) {
    case "windows":
      return `${Deno.env.get("LOCALAPPDATA") ?? ""}\\deno`;
    case "darwin":
      return `${home}/Library/Caches/deno`;
    default:
      return `${Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`}/deno`;
  }
}

/** Where Deno keeps what it fetched from an address: scheme, host and the digest of the path. */
async function cachePath({ protocol, hostname, port, pathname }: URL): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pathname)));
  return `remote/${protocol.slice(0, -1)}/${hostname}${port && `_PORT${port}`}/${digest.toHex()}`;
}

function npmIsCached(denoDir: string): boolean {
  try {
    return Array.from(Deno.readDirSync(`${denoDir}/npm`)).some(({ name }) => exists(`${denoDir}/npm/${name}/hono`));
  } catch {
    return false;
  }
}

async function answer(descriptions: readonly URL[]): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    // Read as JSON, because a hotel's sign-in page answers 200 to everything.
    await Promise.all(descriptions.map(async (url) => await (await fetch(url, { signal })).json()));
    return true;
  } catch {
    return false;
  }
}

function exists(path: string): boolean {
  return ageOf(path) < Infinity;
}

function ageOf(path: string): number {
  try {
    return Date.now() - (Deno.statSync(path).mtime?.getTime() ?? 0);
  } catch {
    return Infinity;
  }
}

/** A folder that cannot be written to costs the next start a question to JSR, no more. */
function remember(memory: string): void {
  try {
    Deno.mkdirSync(memory.replace(/[^/]+$/, ""), { recursive: true });
    Deno.writeTextFileSync(memory, "");
  } catch {
    // As said above.
  }
}

if (import.meta.main) {
  console.log((await registryFlags()).join(" "));
  // A name server that does not answer would keep the process waiting.
  Deno.exit();
}
