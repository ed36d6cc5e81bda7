/**
 * Tests in a real browser: whichever Chromium is on the path, driven by `playwright-core`.
 *
 * Where there is none the tests are ignored and their names say why, except under `CI=true`, where they fail.
 *
 * @module
 */

import { type Browser, chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** No sandbox, since tests run as root in containers; and nothing that calls out by itself. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const executablePath = findExecutable();

/** Registers a test that needs a browser. It launches one with {@linkcode withBrowser} as soon as its servers listen. */
export function testInBrowser(name: string, run: (t: Deno.TestContext) => Promise<void>): void {
  const isIgnored = executablePath === null && Deno.env.get("CI") !== "true";
  const reason = isIgnored ? ` (ignored: none of ${NAMES.join(", ")} is on the path)` : "";
  Deno.test({ name: `${name}${reason}`, ignore: isIgnored, fn: run });
}

/** Runs something with a fresh browser, and closes that whatever happens. */
export async function withBrowser(
  run: (browser: Browser) => Promise<void>,
  options: { readonly flags?: readonly string[] } = {},
): Promise<void> {
  if (executablePath === null) throw new Error(`Cannot launch a browser: none of ${NAMES.join(", ")} is on the path`);
  const browser = await chromium.launch({ executablePath, args: [...FLAGS, ...options.flags ?? []] });
  try {
    await run(browser);
  } finally {
    await browser.close();
  }
}

function findExecutable(): string | null {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  return NAMES.flatMap((name) => folders.map((folder) => `${folder}/${name}`)).find(isFile) ?? null;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
