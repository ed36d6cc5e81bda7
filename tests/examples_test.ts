/**
 * The examples, each as its reader would run it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { createApp } from "../examples/own_routes/main.ts";
import { systemClock } from "../lib/clock.ts";
import { createCloakroom, createMemoryRecords, Secret } from "../mod.ts";
import { forwardTo, openHttpsWorld } from "./examples/https_world.ts";
import { hasProgram, runShell } from "./examples/shell.ts";
import { createTestClock } from "./support/clock.ts";
import { createNetwork, type Hosts } from "./support/loopback.ts";
import { createMockIdp } from "./support/mock_idp.ts";
import { createMockUpstream } from "./support/mock_upstream.ts";
import { createTestBrowser } from "./support/test_browser.ts";

Deno.test("examples/own_routes greets whoever is signed in, with fresh cookies after a refresh, and lets them go", async () => {
  const now = createTestClock();
  const redirectUris = ["https://www.shop.test/auth/web/callback"];
  const idp = await createMockIdp({ clients: [{ id: "shop", secret: "secret", redirectUris }], now });
  const cloakroom = await createCloakroom({
    records: createMemoryRecords(now),
    masterKey: new Secret(new Uint8Array(32)),
    fetch: createNetwork({ "idp.test": idp.handle }).fetch,
    now,
  });
  await cloakroom.saveVendor("web", { issuer: idp.issuer, clientId: "shop", clientSecret: "secret" });
  const app = createApp(cloakroom);
  const browser = createTestBrowser({
    "www.shop.test": (request) => app(request, "192.0.2.1"),
    "idp.test": idp.handle,
  }, now);
  const page = "https://www.shop.test/";
  const open = async (address = page) => (await browser.navigate(address, { from: page })).last!.body;
  const linkIn = (body: string) => new URL(/href="([^"]+)"/.exec(body)![1]!.replaceAll("&amp;", "&"), page).href;

  const stranger = await open();
  assertMatch(stranger, /Hello, stranger/);
  assertMatch(await open(linkIn(stranger)), /Hello, Alice/);
  assertEquals((await browser.fetch(`${page}time`, { from: page })).status, 200);

  const ticket = () => browser.jar.all().find(({ name }) => name === "at")!.value;
  const first = ticket();
  now.advance(3600);
  const later = await open();
  assertMatch(later, /Hello, Alice/);
  assertEquals(idp.calls.token, 2);
  assert(ticket() !== first);

  assertMatch(await open(linkIn(later)), /Hello, stranger/);
  await cloakroom.settle();
});

Deno.test({
  name: "examples/configured_service leads from an environment file to a signed-in user and an API call",
  ignore: !hasProgram("curl") || !hasProgram("sed"),
  async fn() {
    const folder = await Deno.makeTempDir();
    using client = Deno.createHttpClient({ allowHost: true });
    try {
      const hosts: { -readonly [host in keyof Hosts]: Hosts[host] } = {};
      const idp = await createMockIdp({
        issuer: "https://id.example/",
        clients: [{
          id: "acme-web",
          secret: "secret-from-your-provider",
          redirectUris: ["https://api.site.example/auth/acme/callback"],
        }],
        now: systemClock,
      });
      const upstream = createMockUpstream();
      const unready = () => new Response(null, { status: 503 });
      Object.assign(hosts, {
        "id.example": idp.handle,
        "backend.example": upstream.handle,
        "www.site.example": () => new Response("the page"),
        "api.site.example": unready,
        "login.site.example": unready,
      });
      await using world = await openHttpsWorld(hosts, `${folder}/certificate.pem`);

      const managementClient = `operator:${crypto.randomUUID()}`;
      await Deno.writeTextFile(`${folder}/management.client`, managementClient);
      const masterKey = crypto.getRandomValues(new Uint8Array(32));
      await Deno.writeTextFile(
        `${folder}/master.key`,
        masterKey.toBase64({ alphabet: "base64url", omitPadding: true }),
      );
      await using service = startTask("examples/configured_service/cloakroom.env", {
        ...world.env,
        PORT: "0",
        KV_PATH: `${folder}/kv`,
        CLOAKROOM_MASTER_KEY_FILE: `${folder}/master.key`,
        CLOAKROOM_BOOTSTRAP_CLIENT_FILE: `${folder}/management.client`,
      });
      const port = Number(await service.find(/listens on http:\/\/127\.0\.0\.1:(\d+)\n/));
      hosts["api.site.example"] = hosts["login.site.example"] = forwardTo(port, client);

      const added = await runShell(`examples/configured_service/add_vendor.sh '${managementClient}'`, world.env);
      assert(added.success, added.stderr);
      assertEquals(JSON.parse(added.stdout).callbackUrls, ["https://api.site.example/auth/acme/callback"]);

      const browser = createTestBrowser(hosts, systemClock);
      const page = "https://www.site.example/";
      const login = `https://api.site.example/auth/acme/login?returnTo=${page}`;
      assertEquals((await browser.navigate(login, { from: page })).url.href, page);
      const news = await browser.fetch("https://api.site.example/news", { from: page });
      assertEquals(news.status, 200, news.body);
      assertEquals(news.headers.get("access-control-allow-origin"), "https://www.site.example");
      const [call] = upstream.calls;
      assertEquals(call?.path, "/news");
      assertEquals(call?.headers.get("authorization"), `Bearer ${idp.issued.accessTokens[0]}`);

      const said = await service.stop();
      const secrets = [managementClient, ...idp.issued.accessTokens, ...idp.issued.refreshTokens, ...idp.issued.codes];
      assertEquals(secrets.filter((secret) => said.includes(secret)), []);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** Runs `deno task start` with an environment file. */
function startTask(envFile: string, env: Readonly<Record<string, string>>) {
  const child = new Deno.Command("deno", {
    args: ["task", `--env-file=${envFile}`, "start"],
    cwd: new URL("..", import.meta.url),
    env: { NO_COLOR: "1", ...env },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const stderr = child.stderr.text();
  let said = "";

  /** Reads on until the text matches, or to the end. */
  async function read(pattern: RegExp | null): Promise<RegExpExecArray | null> {
    while (true) {
      const match = pattern?.exec(said) ?? null;
      if (match !== null) return match;
      const { value, done } = await lines.read();
      if (done) return null;
      said += value;
    }
  }

  async function stop(): Promise<string> {
    try {
      child.kill("SIGTERM");
    } catch {
      // It has ended already.
    }
    await read(null);
    await child.status;
    return said + await stderr;
  }

  return {
    stop,
    async find(pattern: RegExp): Promise<string> {
      const match = await read(pattern);
      if (match === null) throw new Error(`The task ended without saying ${pattern}: ${said}${await stderr}`);
      return match[1]!;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await stop();
    },
  };
}
