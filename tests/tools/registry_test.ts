/**
 * The choice between JSR and npm, with a JSR of our own and Deno's real cache.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { chooseRegistry, type Machine } from "../../tools/registry.ts";

const PACKAGE = "@test/empty";
const SOURCE = "export {};\n";

/** The three files that make a JSR registry of one package. */
const FILES: Readonly<Record<string, string>> = {
  [`/${PACKAGE}/meta.json`]: JSON.stringify({
    scope: "test",
    name: "empty",
    latest: "1.0.0",
    versions: { "1.0.0": {} },
  }),
  [`/${PACKAGE}/1.0.0_meta.json`]: JSON.stringify({
    manifest: { "/mod.ts": { size: SOURCE.length, checksum: `sha256-${await sha256(SOURCE)}` } },
    exports: { ".": "./mod.ts" },
  }),
  [`/${PACKAGE}/1.0.0/mod.ts`]: SOURCE,
};

async function sha256(text: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).toHex();
}

/** A machine with an empty cache, and a JSR that counts the questions and can be switched off. */
class TestMachine implements AsyncDisposable {
  questions = 0;
  online = true;
  readonly #folder = Deno.makeTempDirSync();
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    this.questions += 1;
    const file = this.online ? FILES[new URL(request.url).pathname] : undefined;
    return file === undefined ? new Response(null, { status: 404 }) : new Response(file);
  });

  readonly machine: Machine = {
    denoDir: `${this.#folder}/deno`,
    jsrUrl: `http://127.0.0.1:${this.#server.addr.port}/`,
    memory: `${this.#folder}/project/jsr_did_not_answer`,
  };

  async choose(): Promise<string> {
    const { registry, reason } = await chooseRegistry([PACKAGE], this.machine);
    return `${registry}: ${reason}`;
  }

  cacheNpm(): void {
    Deno.mkdirSync(`${this.machine.denoDir}/npm/registry.example/hono`, { recursive: true });
  }

  /** Lets the real Deno fetch the package. */
  async cacheJsr(): Promise<void> {
    const { success, stderr } = await new Deno.Command("deno", {
      args: ["cache", "--no-config", `jsr:${PACKAGE}@1`],
      env: { DENO_DIR: this.machine.denoDir, JSR_URL: this.machine.jsrUrl },
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

Deno.test("chooseRegistry() takes JSR where it answers", async () => {
  await using test = new TestMachine();
  assertEquals(await test.choose(), "jsr: it answers");
});

Deno.test("chooseRegistry() takes JSR without asking where Deno has it in its cache", async () => {
  await using test = new TestMachine();
  await test.cacheJsr();
  test.questions = 0;
  assertEquals(await test.choose(), "jsr: cached");
  assertEquals(test.questions, 0);
});

Deno.test("chooseRegistry() takes npm where JSR does not answer, and asks once a day", async () => {
  await using test = new TestMachine();
  test.online = false;
  assertEquals(await test.choose(), "npm: JSR does not answer");
  test.cacheNpm();
  assertEquals(await test.choose(), "npm: cached, JSR did not answer today");
  assertEquals(test.questions, 1);

  test.online = true;
  const yesterday = new Date(Date.now() - 25 * 60 * 60 * 1000);
  await Deno.utime(test.machine.memory, yesterday, yesterday);
  assertEquals(await test.choose(), "jsr: it answers");
});

Deno.test("chooseRegistry() forgets a choice of npm when the cache is emptied", async () => {
  await using test = new TestMachine();
  test.online = false;
  assertEquals(await test.choose(), "npm: JSR does not answer");
  test.online = true;
  assertEquals(await test.choose(), "jsr: it answers");
});

Deno.test("chooseRegistry() does not take a page that answers everything for JSR", async () => {
  await using test = new TestMachine();
  await using portal = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("<html>"));
  const machine = { ...test.machine, jsrUrl: `http://127.0.0.1:${portal.addr.port}/` };
  assertEquals((await chooseRegistry([PACKAGE], machine)).registry, "npm");
});
