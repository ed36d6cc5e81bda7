/**
 * The key of the service itself is replaced, process by process, while people are signed in.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { createService, loadConfig } from "../../server.ts";
import { APP, type Cluster, drawKey, startCluster } from "../support/cluster.ts";
import type { TestBrowser } from "../support/test_browser.ts";

Deno.test("the master key is replaced process by process; at the end the new one is enough", async () => {
  await using cluster = await startCluster({ processes: 2 });
  const { processes, masterKeys, idp } = cluster;
  // Nobody visits this vendor while the keys change.
  const quiet = { clientId: "globex-client", clientSecret: "a-secret-of-globex", issuer: idp.issuer };
  assertEquals(await statusOf(cluster.manage("PUT", "/vendors/globex/token-handler", quiet)), 201);
  const browser = await cluster.signIn();
  const [former, next] = [masterKeys[0]!, drawKey()];
  // A process that does not know the new key yet must not meet what it wraps, so the new key comes last at first.
  for (const keys of [[former, next], [next, former], [next]]) {
    masterKeys.splice(0, Infinity, ...keys);
    for (const process of [...processes]) {
      const { log } = await cluster.start();
      await process.kill();
      await expectWork(cluster, browser);
      while (keys.length > 1 && !log.some(({ event }) => event === "master_key_moved")) await callOnce(browser);
    }
  }
  await expectWork(cluster, await cluster.signIn("bob"));
  assertEquals(await statusOf(cluster.manage("GET", "/vendors/globex/token-handler")), 200);
});

async function statusOf(answer: Promise<Response>): Promise<number> {
  const { status, body } = await answer;
  await body?.cancel();
  return status;
}

async function callOnce(browser: TestBrowser): Promise<number> {
  return (await browser.fetch(`${APP}/api/x`, { from: `${APP}/` })).status;
}

async function expectWork({ processes }: Cluster, browser: TestBrowser): Promise<void> {
  for (const _ of processes) {
    assertEquals(await callOnce(browser), 200);
    assertEquals((await browser.fetch(`${APP}/auth/acme/refresh`, { from: `${APP}/`, method: "POST" })).status, 200);
  }
}

Deno.test("the token service's signing keys follow the master key", async () => {
  const folder = await Deno.makeTempDir();
  const [former, next] = [drawKey(), drawKey()];
  const keySets: unknown[] = [];
  for (const masterKeys of [former, `${next},${former}`, next]) {
    const service = await createService(
      await loadConfig({
        KV_PATH: `${folder}/kv.sqlite`,
        CLOAKROOM_MASTER_KEY: masterKeys,
        CLOAKROOM_PUBLIC_URL: "https://app.acme.test",
        CLOAKROOM_TOKEN_SERVICE: "https://id.acme.test/",
      }),
    );
    const answer = await service.handle(
      new Request("https://id.acme.test/jwks", { headers: { host: "id.acme.test" } }),
      "",
    );
    assertEquals(answer.status, 200);
    keySets.push(await answer.json());
    await service.cloakroom.settle();
    service.close();
  }
  assertEquals(keySets, [keySets[0], keySets[0], keySets[0]]);
  await Deno.remove(folder, { recursive: true });
});
