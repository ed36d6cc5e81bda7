/**
 * The process that refreshes a session is killed in the middle of its call to the provider, after the provider has
 * rotated the refresh token.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { APP, callApi, type Cluster, cookiesOf, startCluster } from "../support/cluster.ts";

const REQUESTS = 30;

Deno.test("a process that is killed in the middle of a refresh is replaced while callers wait", async (t) => {
  await using cluster = await startCluster();
  const { idp, processes: [doomed, ...others] } = cluster;
  idp.replaying.add("alice");
  idp.accessTokenSeconds = 0;
  const [alice, bob] = [await cluster.signIn("alice"), await cluster.signIn("bob")];
  idp.accessTokenSeconds = 3600;
  const tokenCalls = idp.calls.token;
  const calls = holdTokenCalls(cluster, 2);
  const lost = [alice, bob].map((browser) => callApi(doomed!, cookiesOf(browser)).catch(() => null));
  await calls.arrived;
  const asked = performance.now();
  const waiting = [alice, bob].map((browser) =>
    Promise.all(Array.from({ length: REQUESTS }, async (_, i) => {
      const answer = await callApi(others[i % 2]!, cookiesOf(browser));
      return { answer, body: await answer.json() };
    }))
  );
  await doomed!.kill();
  calls.release();
  assertEquals(await Promise.all(lost), [null, null]);
  const [ofAlice, ofBob] = await Promise.all(waiting);
  const waited = performance.now() - asked;

  await t.step("where the provider lets a client try again, nobody notices", () => {
    assertEquals(ofAlice!.map(({ answer }) => answer.status), Array(REQUESTS).fill(200));
    assert(waited < 5000, `${waited} ms`);
  });

  await t.step("where it does not, everybody is told so, and why", () => {
    assertEquals(ofBob!.map(({ answer }) => answer.status), Array(REQUESTS).fill(401));
    assertEquals(
      ofBob!.map(({ body }) => `${body.code} ${body.reason}`),
      Array(REQUESTS).fill("session_ended refresh_reused"),
    );
  });

  await t.step("each of them cost one extra token call", () => {
    assertEquals(idp.calls.token - tokenCalls, 4);
  });

  await t.step("the session that was saved goes on, the other one can begin again", async () => {
    assertEquals((await alice.fetch(`${APP}/api/x`, { from: `${APP}/` })).status, 200);
    const again = await cluster.signIn("bob");
    assertEquals((await again.fetch(`${APP}/api/x`, { from: `${APP}/` })).status, 200);
    assertEquals(idp.calls.token - tokenCalls, 5);
  });
});

/** Holds back so many good answers of the token endpoint: the provider has acted, and nobody knows. */
function holdTokenCalls({ idp }: Cluster, count: number) {
  const arrived = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  let left = count;
  idp.change.token = async (good) => {
    if (--left === 0) {
      delete idp.change.token;
      arrived.resolve();
    }
    await released.promise;
    return Response.json(good);
  };
  return { arrived: arrived.promise, release: () => released.resolve() };
}
