/**
 * What the documents say, held against the code: every code, setting, variable, address and cookie, so that neither drifts
 * away from the other.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import denoConfig from "../deno.json" with { type: "json" };
import { describeProblem, problemCodes } from "../lib/problem.ts";
import { createMemoryRecords } from "../lib/store/mod.ts";
import { createTokenService } from "../lib/token_service/mod.ts";
import { readVendorSettings } from "../lib/vendor/mod.ts";
import { createCloakroom, Secret } from "../mod.ts";
import { cookiesOf, setSessionCookies, setTransactionCookie } from "../routes/shared/cookies.ts";
import { createTokenServiceApp } from "../routes/token_service/mod.ts";
import { loadConfig, startService } from "../server.ts";
import { hasProgram, runShell } from "./examples/shell.ts";

const ROOT = new URL("..", import.meta.url);
const readme = await read("README.md");
const errors = await read("docs/errors.md");

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, ROOT));
}

/** The part of a document below a heading, up to the next one of any level. */
function sectionOf(document: string, heading: string): string {
  const [, section] = document.split(new RegExp(`^#+ ${heading}$`, "m"));
  assert(section !== undefined, `there is no heading "${heading}"`);
  return section.split(/^#+ /m, 1)[0]!;
}

/** The cells of every table row in a text, without heads. */
function rowsOf(text: string): readonly (readonly string[])[] {
  const lines = text.split("\n").filter((line) => line.startsWith("|"));
  const rows = lines.map((line) => line.slice(1, -1).split(/(?<!\\)\|/).map((cell) => cell.trim()));
  return rows.filter((_cells, i) => !isRule(rows[i]) && !isRule(rows[i + 1]));
}

function isRule(cells: readonly string[] | undefined): boolean {
  return cells?.every((cell) => /^:?-+:?$/.test(cell)) ?? false;
}

/** The texts between backticks. */
function codesOf(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code!);
}

/** What the first column of a section names. */
function namesOf(section: string): readonly string[] {
  return rowsOf(section).flatMap(([name]) => codesOf(name!));
}

async function createTestCloakroom() {
  const cloakroom = await createCloakroom({
    records: createMemoryRecords(),
    masterKey: new Secret(new Uint8Array(32)),
    management: { issuer: "https://id.example/", audience: "https://api.site.example/management" },
    fetch: () => Promise.reject(new TypeError("There is no network")),
  });
  await cloakroom.saveVendor("acme", { clientId: "acme-web", issuer: "https://id.example/" });
  return cloakroom;
}

Deno.test("docs/errors.md says of every code what the code says", () => {
  const told = rowsOf(sectionOf(errors, "Codes"));
  const meant = problemCodes.map((code) => {
    const { status, title, detail } = describeProblem(code);
    return [`\`${code}\``, `${status}`, title, detail];
  });
  assertEquals(told, meant);
});

Deno.test("docs/errors.md lists every reason for the end of a session", async () => {
  const source = await read("lib/store/sessions.ts");
  const [, union = ""] = /export type EndReason =([^;]+);/.exec(source) ?? [];
  assertEquals(
    namesOf(sectionOf(errors, "Why a session ended")),
    [...union.matchAll(/"(\w+)"/g)].map(([, name]) => name!),
  );
});

Deno.test("README.md lists every vendor setting", () => {
  const reading = readVendorSettings({ clientId: "acme-web" });
  assert(reading.kind === "read");
  const meant = [...Object.keys(reading.settings), "clientSecret"];
  assertEquals(namesOf(sectionOf(readme, "Vendor settings")).toSorted(), meant.toSorted());
});

Deno.test("README.md tells the defaults of vendor settings that are numbers, switches or words", () => {
  const reading = readVendorSettings({ clientId: "acme-web" });
  assert(reading.kind === "read");
  const settings: Readonly<Record<string, unknown>> = { ...reading.settings };
  for (const [name, , fallback] of rowsOf(sectionOf(readme, "Vendor settings"))) {
    const value = settings[codesOf(name!)[0]!];
    const isPlain = typeof value === "number" || typeof value === "boolean" || typeof value === "string";
    if (isPlain && !["`clientId`", "`clientAuthMethod`"].includes(name!)) {
      assertEquals(codesOf(fallback!), [`${value}`]);
    }
  }
});

Deno.test("README.md lists every variable of the configuration", async () => {
  const source = await read("lib/config.ts");
  const listOf = (name: string) => {
    const [, list = ""] = new RegExp(`const ${name}[^=]*= \\[([^\\]]+)\\]`).exec(source) ?? [];
    return [...list.matchAll(/"(\w+)"/g)].map(([, variable]) => variable!);
  };
  const meant = [...listOf("VARIABLES"), ...listOf("SECRETS").map((name) => `${name}_FILE`)];
  assert(meant.length > 10);
  assertEquals(namesOf(sectionOf(readme, "Configuration")).toSorted(), meant.toSorted());
});

Deno.test("README.md tells which environment variables the service may read", () => {
  const [told = []] = rowsOf(sectionOf(readme, "Permissions")).filter(([name]) => name === "env");
  assertEquals(codesOf(told[1]!).toSorted(), denoConfig.permissions.start.env.allow.toSorted());
});

Deno.test("README.md gives a reason for every dependency", () => {
  const meant = [...Object.keys(denoConfig.imports), ...Object.keys(denoConfig.scopes["./tests/"])];
  assertEquals(namesOf(sectionOf(readme, "Dependencies")).toSorted(), meant.toSorted());
});

Deno.test("README.md names every entry point of the package", () => {
  const [, told = ""] = /Parts can be used alone: ([^]+?)\. Each/.exec(readme) ?? [];
  assertEquals(codesOf(told), Object.keys(denoConfig.exports).filter((name) => name !== "."));
});

Deno.test("README.md tells the cookies as they are set", async () => {
  const vendor = await (await createTestCloakroom()).vendors.find("acme");
  const jar = await cookiesOf(vendor!, {
    host: "api.site.example",
    isPlainHttp: false,
    plainLoopbackCookies: false,
  });
  const headers = new Headers();
  setSessionCookies(headers, jar, { at: "x", rt: "x" });
  setTransactionCookie(headers, jar, { name: "", sealed: "x", present: [] });
  const meant = headers.getSetCookie().map((line) => {
    const [, name, attributes] = /^([^=]+)=[^;]+; (.+)$/.exec(line)!;
    return [`\`${name!.replace(/-$/, "-…")}\``, `\`${attributes}\``];
  });
  assertEquals(rowsOf(sectionOf(readme, "Cookies")).map((cells) => cells.slice(0, 2)), meant);
});

Deno.test("README.md lists endpoints that exist, with the methods that they take", async () => {
  const cloakroom = await createTestCloakroom();
  const tokenService = createTokenServiceApp(
    createTokenService({ issuer: "https://login.site.example/", records: createMemoryRecords() }),
    { clientAddress: () => "" },
  );
  const rows = rowsOf(sectionOf(readme, "Endpoints")).filter(([method]) => method !== "any");
  assert(rows.length > 20);
  for (const [methods, paths] of rows) {
    for (const path of codesOf(paths!)) {
      const isOurs = /^\/(?:auth|management|healthz|readyz)(?:\/|$)/.test(path);
      const [origin, app] = isOurs
        ? ["https://api.site.example", cloakroom]
        : ["https://login.site.example", tokenService];
      const address = origin + path.replace(":vendorId", "acme").replace(/:\w+/, "some-id");
      for (const method of codesOf(methods!)) {
        const { status } = await app.fetch(new Request(address, { method }));
        assert(status !== 404 && status !== 405, `${method} ${path} answers ${status}`);
      }
      const refused = await app.fetch(new Request(address, { method: "PATCH" }));
      assert([404, 405].includes(refused.status), `PATCH ${path} answers ${refused.status}`);
    }
  }
  await cloakroom.settle();
});

Deno.test("README.md names the two commands, and the version of Deno that the checks use", async () => {
  const [, version] = /deno@(\d+\.\d+\.\d+)/.exec(await read(".ci/run"))!;
  assert(readme.includes(`\n\`\`\`sh\nnpx -y deno@${version} task start\n\`\`\`\n`));
  assert(readme.includes(`\n\`\`\`sh\nnpx -y deno@${version} task test\n\`\`\`\n`));
});

Deno.test("the documents point at files and headings that exist", async () => {
  for (const path of ["README.md", "docs/design.md", "docs/errors.md", "examples/configured_service/README.md"]) {
    const document = await read(path);
    for (const [, target] of document.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target!)) continue;
      const [file, heading] = target!.split("#");
      const url = new URL(file === "" ? path : file!, new URL(path, ROOT));
      await Deno.stat(file === "" ? new URL(path, ROOT) : url);
      if (heading === undefined) continue;
      const headings = [...document.matchAll(/^#+ (.+)$/gm)].map(([, text]) =>
        text!.toLowerCase().replaceAll(" ", "-")
      );
      assert(headings.includes(heading), `${path} points at #${heading}`);
    }
  }
});

Deno.test({
  name: "the management commands of README.md work as they stand",
  ignore: !hasProgram("curl") || !hasProgram("sed"),
  async fn() {
    const service = await startService(await loadConfig({ PORT: "0" }));
    try {
      const blocks = [...readme.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block]) => block!);
      const commands = blocks.filter((block) => block.includes("curl ")).join("echo\n")
        .replaceAll("http://localhost:8787", service.url)
        .replaceAll("http://127.0.0.1:8788/", service.tokenService!.issuer);
      const { stdout, stderr } = await runShell(commands);
      const answers = stdout.trim().split("\n").map((line) => JSON.parse(line));
      assertEquals(answers.length, 4, stderr);
      const [saved, extended, refused, found] = answers;
      assertEquals(saved.callbackUrls, [`${service.url}/auth/acme/callback`]);
      assertEquals(saved.issuer, "https://id.example/");
      assertEquals(extended.upstreams, [{ path: "/api", target: "https://backend.example" }]);
      assertEquals(refused.code, "settings_refused");
      assertMatch(refused.errors[0].detail, /did you mean "issuer"/);
      assertEquals(found, extended);
      assertEquals(JSON.stringify(answers).includes("secret-from-your-provider"), false);
    } finally {
      await service.shutdown();
    }
  },
});
