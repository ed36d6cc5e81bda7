/**
 * The store is away for a while: everything says so, nothing is lost, and work resumes by itself.
 *
 * @module
 */
import { assert, assertEquals, assertLess } from "@std/assert";
import { createMemoryRecords, type Records, StoreUnavailableError } from "../../lib/store/mod.ts";
import { callApi as callProcess, cookiesOf as clusterCookiesOf, startCluster } from "../support/cluster.ts";
import { startKvConnect } from "../support/kv_connect.ts";
import { APP, callApi, cookiesOf, createService, type Service } from "../support/service.ts";
import { signJwt } from "../support/signing_key.ts";

/** A switch for the store of a service. */
interface Store {
  isAway: boolean;
}

async function createSetting(): Promise<{ readonly service: Service; readonly store: Store }> {
  const store: Store = { isAway: false };
  const away = () => store.isAway ? Promise.reject(new StoreUnavailableError("reach it")) : null;
  const service = await createService({
    instances: 2,
    openRecords: (clock) => {
      const records = createMemoryRecords(clock);
      const spoilt: Records = {
        find: (key) => away() ?? records.find(key),
        list: (prefix, options) => away() ?? records.list(prefix, options),
        commit: (change) => away() ?? records.commit(change),
      };
      return () => spoilt;
    },
  });
  return { service, store };
}

/** Everything that a browser or the provider can ask, with the cookies of somebody. */
async function requestsOf({ idp, clock }: Service, cookie: string): Promise<Readonly<Record<string, Request>>> {
  const own = { cookie, "sec-fetch-site": "same-origin" };
  const post = { method: "POST", headers: { ...own, origin: APP } };
  const logoutToken = await signJwt(idp.key, { typ: "logout+jwt" }, {
    iss: idp.issuer,
    aud: "acme-client",
    sub: "alice",
    iat: clock(),
    exp: clock() + 60,
    jti: crypto.randomUUID(),
    events: { "http://schemas.openid.net/event/backchannel-logout": {} },
  });
  return {
    "call": new Request(`${APP}/api/x`, { headers: own }),
    "call without cookies": new Request(`${APP}/api/x`),
    "userinfo": new Request(`${APP}/auth/acme/userinfo`, { headers: own }),
    "refresh": new Request(`${APP}/auth/acme/refresh`, post),
    "login": new Request(`${APP}/auth/acme/login`),
    "callback": new Request(`${APP}/auth/acme/callback?code=x&state=y`, { headers: own }),
    "logout": new Request(`${APP}/auth/acme/logout`, post),
    "logout by navigation": new Request(`${APP}/auth/acme/logout`, {
      headers: { ...own, "sec-fetch-mode": "navigate" },
    }),
    "sessions": new Request(`${APP}/auth/acme/sessions`, { headers: own }),
    "end sessions": new Request(`${APP}/auth/acme/sessions`, { ...post, method: "DELETE" }),
    "back-channel logout": new Request(`${APP}/auth/acme/backchannel-logout`, {
      method: "POST",
      body: new URLSearchParams({ logout_token: logoutToken }),
    }),
    "front-channel logout": new Request(`${APP}/auth/acme/frontchannel-logout?iss=${idp.issuer}&sid=x`),
    "management": new Request(`${APP}/readyz`),
  };
}

Deno.test("while the store is away everybody is told to come again, and afterwards everything is as before", async (t) => {
  const { service, store } = await createSetting();
  const { clock } = service;
  const [living, dead] = [await service.signIn("alice"), await service.signIn("bob", 0)];
  // Whatever was remembered for a moment is so no longer.
  clock.advance(5);
  const [cloakroom] = service.instances;
  store.isAway = true;
  for (const [what, request] of Object.entries(await requestsOf(service, cookiesOf(living)))) {
    await t.step(what, async () => {
      const answer = await cloakroom!.fetch(request);
      const body = await answer.text();
      assertEquals(answer.status, 503);
      if (what !== "management") {
        assertEquals(answer.headers.get("retry-after"), "2");
        assert(body.includes("store_unavailable"), body);
      }
      assertEquals(answer.headers.getSetCookie(), [], "no cookie is cleared");
    });
  }
  store.isAway = false;
  assertEquals((await callApi(living)).status, 200);
  assertEquals((await callApi(dead)).status, 200);
  assertEquals(JSON.parse((await callApi(living, "/auth/acme/sessions")).body).length, 1);
  const events = new Set(service.log.filter(({ level }) => level === "error").map(({ event }) => event));
  assertEquals([...events], ["store_unavailable"]);
  await service.close();
});

Deno.test("a store that goes away while the provider answers costs nobody a session", async () => {
  const { service, store } = await createSetting();
  const browser = await service.signIn("alice", 0);
  service.idp.change.token = (good) => {
    store.isAway = true;
    setTimeout(() => store.isAway = false, 700);
    return Response.json(good);
  };
  const answers = await Promise.all([callApi(browser), callApi(browser)]);
  delete service.idp.change.token;
  // One process holds the new tokens until the store is back; another one may not reach it even to wait.
  assert(answers.some(({ status }) => status === 200), `${answers.map(({ status }) => status)}`);
  assert(answers.every(({ status }) => status === 200 || status === 503));
  assertEquals((await callApi(browser)).status, 200);
  assertEquals(service.idp.calls.token, 2);
  await service.close();
});

Deno.test("a KV Connect server that goes away while the provider answers costs nobody a session", async () => {
  await using kvConnect = startKvConnect();
  await using cluster = await startCluster({ processes: 2, kvConnect });
  const { idp, processes } = cluster;
  idp.accessTokenSeconds = 0;
  const browser = await cluster.signIn();
  idp.accessTokenSeconds = 3600;
  idp.change.token = async (good) => {
    await kvConnect.stop();
    delete idp.change.token;
    return Response.json(good);
  };
  const refreshed = callProcess(processes[0]!, clusterCookiesOf(browser));
  while (idp.change.token !== undefined) await new Promise((resolve) => setTimeout(resolve, 10));

  const began = performance.now();
  const meanwhile = await callProcess(processes[1]!, clusterCookiesOf(browser));
  const took = performance.now() - began;
  assertEquals([meanwhile.status, (await meanwhile.json()).code], [503, "store_unavailable"]);
  assertLess(took, 3000);
  kvConnect.resume();
  await (await refreshed).body?.cancel();
  // The process that holds the new tokens comes first: nobody else can know them.
  for (const process of processes) {
    const resumed = performance.now();
    for (let status = 0; status !== 200;) {
      const answer = await callProcess(process, clusterCookiesOf(browser));
      await answer.body?.cancel();
      status = answer.status;
      assert([200, 503].includes(status), `${status}`);
      assertLess(performance.now() - resumed, 10_000);
    }
  }
  assertEquals(idp.calls.token, 2);
});

Deno.test("settle() waits for a refresh whose callers have left", async () => {
  const service = await createService();
  const browser = await service.signIn("alice", 0);
  const [asked, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  service.idp.change.token = async (good) => {
    asked.resolve();
    await answered.promise;
    return Response.json(good);
  };
  const leaving = new AbortController();
  const headers = { cookie: cookiesOf(browser), "sec-fetch-site": "same-origin" };
  const left = service.instances[0]!.fetch(new Request(`${APP}/api/x`, { headers, signal: leaving.signal }));
  await asked.promise;
  leaving.abort();
  let isSettled = false;
  const settled = service.instances[0]!.settle().then(() => isSettled = true);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(isSettled, false);
  answered.resolve();
  await settled;
  await (await left).body?.cancel();
  delete service.idp.change.token;
  assertEquals((await callApi(browser)).status, 200);
  assertEquals(service.idp.calls.token, 2);
  await service.close();
});
