/**
 * `deno task start` as a person runs it: the flags of `deno.json`, the choice of registry, the server.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, fail } from "@std/assert";

/** A running task, and everything it has said. */
class Task implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #said = "";

  constructor(env: Readonly<Record<string, string>>) {
    this.#child = new Deno.Command("deno", {
      args: ["task", "start"],
      cwd: new URL("../../", import.meta.url),
      env: { PORT: "0", NO_COLOR: "1", ...env },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Waits until the task has said something that matches, and answers the first group. */
  async find(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.#said);
      if (match !== null) return match[1] ?? "";
      const { value, done } = await this.#lines.read();
      if (done) fail(`The task ended without saying ${pattern}: ${this.#said}${await this.#child.stderr.text()}`);
      this.#said += value;
    }
  }

  /** Stops the task as a supervisor would, and answers its exit code. */
  async stop(): Promise<number> {
    this.#child.kill("SIGTERM");
    return (await this.#child.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has ended already.
    }
    await this.#child.status;
    await this.#lines.cancel();
    if (!this.#child.stderr.locked) await this.#child.stderr.cancel();
  }
}

async function statusOf(url: string): Promise<number> {
  const response = await fetch(url);
  await response.body?.cancel();
  return response.status;
}

Deno.test("deno task start serves the demo without any configuration, and leaves nothing behind when stopped", async () => {
  await using task = new Task({});
  const url = await task.find(/(http:\/\/localhost:\d+)\n/);
  assertEquals(await statusOf(`${url}/readyz`), 200);
  assertEquals(await task.stop(), 0);
  assertEquals(await fetch(url).then(() => "answered", () => "gone"), "gone");
});

Deno.test("deno task start may touch the files that the configuration names", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/key`,
      new Uint8Array(32).toBase64({ alphabet: "base64url", omitPadding: true }),
    );
    await using task = new Task({
      HOST: "127.0.0.1",
      KV_PATH: `${folder}/kv`,
      CLOAKROOM_MASTER_KEY_FILE: `${folder}/key`,
    });
    const url = await task.find(/listens on (\S+)\n/);
    assertMatch(url, /^http:\/\/127\.0\.0\.1:\d+$/);
    assertEquals(await statusOf(`${url}/readyz`), 200);
    assert((await Deno.stat(`${folder}/kv`)).isFile);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
