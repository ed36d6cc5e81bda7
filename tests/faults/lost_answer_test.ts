/**
 * The browser goes away in the middle of a refresh: what the provider has given is kept until the browser shows that it
 * got it.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { APP, callApi, type Cluster, cookiesOf, type ServerProcess, startCluster } from "../support/cluster.ts";
import { createService } from "../support/service.ts";
import type { TestBrowser } from "../support/test_browser.ts";

Deno.test("a browser that goes away in the middle of a refresh needs no second token call", async (t) => {
  await using cluster = await startCluster({ processes: 2 });
  const { idp, upstream, processes } = cluster;

  await t.step("before the provider's answer", async () => {
    const browser = await signInDead(cluster);
    const tokenCalls = idp.calls.token;
    const held = hold((answer) => idp.change.token = answer);
    const connection = await sendAndKeep(processes[0]!, cookiesOf(browser));
    const good = await held.arrived;
    delete idp.change.token;
    connection.close();
    held.release(Response.json(good));
    await expectSuccessor(cluster, { browser, tokenCalls });
  });

  await t.step("between the provider's answer and ours", async () => {
    const browser = await signInDead(cluster);
    const tokenCalls = idp.calls.token;
    // The call to the API comes after the refresh and before our answer.
    const held = hold((answer) => upstream.reply = answer);
    const connection = await sendAndKeep(processes[0]!, cookiesOf(browser));
    await held.arrived;
    upstream.reply = null;
    assertEquals(idp.calls.token - tokenCalls, 1);
    connection.close();
    held.release(Response.json({}));
    await expectSuccessor(cluster, { browser, tokenCalls });
  });

  await t.step("again and again", async () => {
    const browser = await signInDead(cluster);
    const tokenCalls = idp.calls.token;
    for (let i = 0; i < 20; i++) (await sendAndKeep(processes[i % 2]!, cookiesOf(browser))).close();
    await expectSuccessor(cluster, { browser, tokenCalls });
  });
});

Deno.test("a browser that loses every answer for an hour and more stays signed in", async () => {
  const service = await createService({ instances: 2 });
  const browser = await service.signIn("alice", 0);
  const cookie = cookiesOf(browser);
  const tokenCalls = service.tokenCalls();
  for (let refreshes = 1; refreshes <= 3; refreshes++) {
    for (const seconds of [0, 10, 60, 600]) {
      service.clock.advance(seconds);
      const request = new Request(`${APP}/api/x`, { headers: { cookie, "sec-fetch-site": "same-origin" } });
      const { status, body } = await service.instances[refreshes % 2]!.fetch(request);
      await body?.cancel();
      assertEquals(status, 200);
    }
    assertEquals(service.tokenCalls() - tokenCalls, refreshes);
    service.clock.advance(3600);
  }
  assertEquals((await browser.fetch(`${APP}/api/x`, { from: `${APP}/` })).status, 200);
  await service.close();
});

async function signInDead(cluster: Cluster): Promise<TestBrowser> {
  cluster.idp.accessTokenSeconds = 0;
  const browser = await cluster.signIn();
  cluster.idp.accessTokenSeconds = 3600;
  return browser;
}

/** The next call, at whichever process, works with the old cookies and gets the new ones. */
async function expectSuccessor(
  { idp, processes }: Cluster,
  { browser, tokenCalls }: { readonly browser: TestBrowser; readonly tokenCalls: number },
): Promise<void> {
  for (const process of processes.toReversed()) {
    const answer = await callApi(process, cookiesOf(browser));
    await answer.body?.cancel();
    assertEquals(answer.status, 200);
    assertEquals(answer.headers.getSetCookie().length, 3, "the lost cookies are sent again");
  }
  assertEquals((await browser.fetch(`${APP}/api/x`, { from: `${APP}/` })).status, 200);
  assertEquals((await browser.fetch(`${APP}/api/x`, { from: `${APP}/` })).headers.getSetCookie(), []);
  assertEquals(idp.calls.token - tokenCalls, 1);
}

/** Sends a request on a connection that stays open. */
async function sendAndKeep({ port }: ServerProcess, cookie: string): Promise<Deno.Conn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const lines = [
    "GET /api/x HTTP/1.1",
    `Host: ${new URL(APP).host}`,
    `Cookie: ${cookie}`,
    "Sec-Fetch-Site: same-origin",
  ];
  const bytes = new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
  let written = 0;
  while (written < bytes.length) written += await connection.write(bytes.subarray(written));
  return connection;
}

/** Holds back one answer until it is released. */
function hold(install: (answer: (good: unknown) => Promise<Response>) => void) {
  const arrived = Promise.withResolvers<unknown>();
  const released = Promise.withResolvers<Response>();
  install((good) => {
    arrived.resolve(good);
    return released.promise;
  });
  return { arrived: arrived.promise, release: (answer: Response) => released.resolve(answer) };
}
