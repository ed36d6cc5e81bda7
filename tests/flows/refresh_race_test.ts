/**
 * One refresh per generation, over real processes on one database, with a provider that revokes the whole family when a
 * refresh token comes twice.
 *
 * @module
 */
import { assert, assertEquals, assertLess } from "@std/assert";
import type { SessionRecord } from "../../lib/store/mod.ts";
import { createKvRecords } from "../../lib/store/kv/mod.ts";
import { callApi, type Cluster, cookiesOf, type ServerProcess, startCluster } from "../support/cluster.ts";
import { lengthOf } from "../support/full.ts";
import { startKvConnect } from "../support/kv_connect.ts";

const REQUESTS = 200;

Deno.test("200 parallel requests over 3 processes with a dead access token make one token call", async (t) => {
  await using cluster = await startCluster();
  for (let round = 1; round <= lengthOf({ short: 3, full: 20 }); round++) {
    await t.step(`round ${round}`, async () => void await race(cluster));
  }
  await t.step("each of these sessions has one new generation", async () => {
    using kv = await Deno.openKv(cluster.kvPath);
    const sessions = await createKvRecords(kv).list<SessionRecord>(["session", "acme"]);
    assert(sessions.length > 0);
    assertEquals(sessions.map(({ value }) => value.generation), sessions.map(() => 2));
  });
});

Deno.test("200 parallel requests make one token call while the provider takes 4 s", async () => {
  await using cluster = await startCluster();
  cluster.idp.change.token = async (good) => {
    if (cluster.idp.accessTokenSeconds > 0) await new Promise((resolve) => setTimeout(resolve, 4000));
    return Response.json(good);
  };
  assertLess((await race(cluster)).took, 5000);
});

Deno.test("200 parallel requests over the workers of one process make one token call", async () => {
  await using cluster = await startCluster({ processes: 1, workers: 2 });
  const { workers } = await race(cluster);
  assertEquals(workers.size, 2);
});

Deno.test("200 parallel requests over 2 processes on KV Connect make one token call", async () => {
  await using kvConnect = startKvConnect();
  await using cluster = await startCluster({ processes: 2, kvConnect });
  await race(cluster);
});

/** Answers how many milliseconds the slowest answer took, and who answered. */
async function race(
  cluster: Cluster,
): Promise<{ readonly took: number; readonly workers: ReadonlySet<string | null> }> {
  const { idp, upstream, processes } = cluster;
  idp.accessTokenSeconds = 0;
  const browser = await cluster.signIn();
  idp.accessTokenSeconds = 3600;
  const tokenCalls = idp.calls.token;
  const upstreamCalls = upstream.calls.length;
  const began = performance.now();
  const answers = await callAtOnce(processes, Array(REQUESTS).fill(cookiesOf(browser)));
  const took = performance.now() - began;
  assertEquals(answers.map(({ status }) => status), Array(REQUESTS).fill(200));
  assertEquals(idp.calls.token - tokenCalls, 1);

  // Whichever answer a browser takes last, its cookies are the newest: they are taken, and nothing is left to renew.
  const renewed = await callAtOnce(processes, answers.map(cookiesFrom));
  assertEquals(renewed.map(({ status }) => status), Array(REQUESTS).fill(200));
  assertEquals(renewed.flatMap(({ headers }) => headers.getSetCookie()), []);
  assertEquals(idp.calls.token - tokenCalls, 1);
  const shown = upstream.calls.slice(upstreamCalls).map(({ headers }) => headers.get("authorization"));
  assertEquals([...new Set(shown)], [`Bearer ${idp.issued.accessTokens.at(-1)}`]);
  return { took, workers: new Set(answers.map(({ headers }) => headers.get("x-test-worker"))) };
}

/** Calls the API once with each of these cookies, all at the same time. */
async function callAtOnce(
  processes: readonly ServerProcess[],
  cookies: readonly string[],
): Promise<readonly Response[]> {
  const answers = await Promise.all(
    cookies.map((cookie, i) => callApi(processes[i % processes.length]!, cookie)),
  );
  await Promise.all(answers.map((answer) => answer.body?.cancel()));
  return answers;
}

/** The cookies that an answer sets, as they would be sent. */
function cookiesFrom({ headers }: Response): string {
  return headers.getSetCookie().map((line) => line.split(";")[0]!).join("; ");
}
