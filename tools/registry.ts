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
  /** Why this one, as the end of a sentence. */
  readonly reason: string;
}

/** What the choice is made from. */
export interface Facts {
  /** Whether all packages are in Deno's cache, from JSR. */
  readonly jsrCached: boolean;
  /** Whether npm was chosen within a day, and its packages are still in Deno's cache. */
  readonly npmRemembered: boolean;
  /** Asks JSR; takes a moment. */
  readonly jsrAnswers: () => Promise<boolean>;
}

/** What is read to gather the facts. */
export interface Surroundings {
  /** The name of JSR packages that have to be there, `@scope/name` each. */
  readonly packages: readonly string[];
  /** Deno's cache folder. */
  readonly denoDir: string;
  /** The file that remembers a choice of npm. */
  readonly memory: string;
  /** JSR's address. */
  readonly jsrUrl: string;
}

/** What makes Deno take every package from npm. */
export const NPM_FLAGS = ["--import-map=npm.import_map.json", "--lock=npm.lock"] as const;

const DAY = 24 * 60 * 60 * 1000;
const PATIENCE = 700;
const JSR_PACKAGES = Object.entries(denoConfig.imports)
  .filter(([, target]) => target.startsWith("jsr:"))
  .map(([name]) => name);

/** JSR where it is cached or answers, npm otherwise. */
export async function chooseRegistry(facts: Facts): Promise<Choice> {
  if (facts.jsrCached) return { registry: "jsr", reason: "cached" };
  if (facts.npmRemembered) return { registry: "npm", reason: "JSR did not answer today" };
  if (await facts.jsrAnswers()) return { registry: "jsr", reason: "it answers" };
  return { registry: "npm", reason: "JSR does not answer" };
}

/** Chooses, remembers, says the choice on standard error, and answers the flags for it. */
export async function registryFlags(
  packages: readonly string[] = JSR_PACKAGES,
  surroundings: Surroundings = readSurroundings(packages),
): Promise<readonly string[]> {
  const { registry, reason } = await chooseRegistry(await gatherFacts(surroundings));
  console.error(`Packages come from ${registry === "jsr" ? "JSR" : "npm"}: ${reason}`);
  if (registry === "jsr") return [];
  remember(surroundings.memory);
  return NPM_FLAGS;
}

/** Looks at the cache and the memory; asks nobody yet. */
export async function gatherFacts({ packages, denoDir, memory, jsrUrl }: Surroundings): Promise<Facts> {
  const descriptions = packages.map((name) => new URL(`/${name}/meta.json`, jsrUrl));
  const cached = await Promise.all(descriptions.map(async (url) => exists(`${denoDir}/${await cachePath(url)}`)));
  return {
    jsrCached: cached.every(Boolean),
    npmRemembered: ageOf(memory) < DAY && npmCached(denoDir),
    jsrAnswers: () => answers(descriptions),
  };
}

function readSurroundings(packages: readonly string[]): Surroundings {
  return {
    packages,
    denoDir: Deno.env.get("DENO_DIR") ?? defaultDenoDir(),
    memory: ".cloakroom/registry",
    jsrUrl: Deno.env.get("JSR_URL") ?? "https://jsr.io",
  };
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

function npmCached(denoDir: string): boolean {
  try {
    return Array.from(Deno.readDirSync(`${denoDir}/npm`)).some(({ name }) => exists(`${denoDir}/npm/${name}/hono`));
  } catch {
    return false;
  }
}

async function answers(descriptions: readonly URL[]): Promise<boolean> {
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
    // The time of the first choice counts, so that JSR is asked again a day later.
    if (ageOf(memory) >= DAY) Deno.writeTextFileSync(memory, "npm\n");
  } catch {
    // As said above.
  }
}

if (import.meta.main) {
  console.log((await registryFlags()).join(" "));
  // A name server that does not answer would keep the process waiting.
  Deno.exit();
}
