/**
 * The keys of a vendor and of the service are replaced while people use them.
 *
 * @module
 */
import { assert, assertEquals, assertLess } from "@std/assert";
import { APP, callApi, type Cluster, cookiesOf, startCluster } from "../support/cluster.ts";
import { lengthOf } from "../support/full.ts";
import type { TestBrowser } from "../support/test_browser.ts";

const SESSIONS = 50;
const KEYS_PATH = "/vendors/acme/token-handler/keys";

/** Seconds after which every process knows what one of them has changed. */
const PROPAGATION_SECONDS = 3;

interface KeyInfo {
  readonly keyId: string;
  readonly state: string;
  readonly lastUsedAt: string | null;
}

async function listKeys(cluster: Cluster): Promise<readonly KeyInfo[]> {
  return await (await cluster.manage("GET", KEYS_PATH)).json();
}

async function call(browser: TestBrowser): Promise<number> {
  return (await browser.fetch(`${APP}/api/x`, { from: `${APP}/` })).status;
}

/** How often each of them occurs. */
function tally(statuses: readonly (number | string)[]): Record<string, number> {
  return Object.fromEntries(
    [...new Set(statuses)].map((one) => [one, statuses.filter((other) => other === one).length]),
  );
}

/** The id of the key that a cookie names. */
function keyIdOf(browser: TestBrowser, name: string): string {
  const { value } = browser.jar.all().find((cookie) => cookie.name === name)!;
  return JSON.parse(atob(value.split(".")[0]!)).kid.split(".").at(-1);
}

Deno.test("a vendor key is rotated under the load of 50 sessions over 3 processes", async (t) => {
  await using cluster = await startCluster();
  const browsers: TestBrowser[] = [];
  for (let i = 0; i < SESSIONS; i++) browsers.push(await cluster.signIn(`user${i}`));
  const copies = browsers.map(cookiesOf);
  const rotations = lengthOf({ short: 5, full: 100 });

  await t.step(`${rotations} rotations cost no request`, async () => {
    let isOver = false;
    const statuses: number[] = [];
    const load = Promise.all(browsers.map(async (browser) => {
      while (!isOver) statuses.push(await call(browser));
    }));
    for (let i = 0; i < rotations; i++) {
      const rotated = await cluster.manage("POST", KEYS_PATH);
      assertEquals([rotated.status, (await rotated.json()).state], [201, "active"]);
      const enough = statuses.length + SESSIONS;
      while (statuses.length < enough) await call(browsers[0]!);
    }
    isOver = true;
    await load;
    assertEquals(tally(statuses), { 200: statuses.length });
  });

  await t.step("everybody moves to the newest key, and the list says so", async () => {
    const keys = await listKeys(cluster);
    assertEquals(keys.filter(({ state }) => state === "open_only").length, rotations);
    const newest = keys.find(({ state }) => state === "active")!;
    assert(newest.lastUsedAt !== null);
    const hasMoved = (browser: TestBrowser) =>
      ["at", "__Host-rt"].every((name) => keyIdOf(browser, name) === newest.keyId);
    await until(async () => {
      assertEquals(tally(await Promise.all(browsers.map(call))), { 200: SESSIONS });
      return browsers.every(hasMoved);
    });
  });

  await t.step("copies of the first cookies still open, until their keys are retired", async () => {
    assertEquals(tally(await Promise.all(copies.map((copy) => callWith(cluster, copy)))), {
      "200 undefined": SESSIONS,
    });
    for (const { keyId, state } of await listKeys(cluster)) {
      if (state === "open_only") assertEquals((await cluster.manage("DELETE", `${KEYS_PATH}/${keyId}`)).status, 204);
    }
    const [copy] = copies;
    await until(async () => {
      const answers = await Promise.all(cluster.processes.map((process) => callWith({ processes: [process] }, copy!)));
      return answers.every((answer) => answer.startsWith("401"));
    });
    const refused = await Promise.all(copies.map((copy) => callWith(cluster, copy)));
    assertEquals(tally(refused), { "401 key_retired": SESSIONS });
  });

  await t.step("the sessions themselves go on, and can be refreshed", async () => {
    assertEquals(tally(await Promise.all(browsers.map(call))), { 200: SESSIONS });
    const answers = browsers.map((browser) =>
      browser.fetch(`${APP}/auth/acme/refresh`, { from: `${APP}/`, method: "POST" })
    );
    assertEquals(tally((await Promise.all(answers)).map(({ status }) => status)), { 200: SESSIONS });
    assertEquals(cluster.idp.calls.token, 2 * SESSIONS);
  });
});

/** Status and reason of a call with cookies as they are. */
async function callWith({ processes }: Pick<Cluster, "processes">, cookie: string): Promise<string> {
  const answer = await callApi(processes[Math.floor(Math.random() * processes.length)]!, cookie);
  return `${answer.status} ${(await answer.json()).reason}`;
}

/** Tries until something holds, for as long as changes need to reach every process. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const began = performance.now();
  while (!await holds()) assertLess(performance.now() - began, PROPAGATION_SECONDS * 1000, "too late");
}
