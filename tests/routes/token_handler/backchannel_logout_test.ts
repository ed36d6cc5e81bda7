import { assert, assertEquals } from "@std/assert";
import type { JsonObject } from "../../../lib/encoding.ts";
import { createMemoryRecords, type Records, StoreUnavailableError } from "../../../lib/store/mod.ts";
import { callApi, createService, type Service } from "../../support/service.ts";
import { signJwt } from "../../support/signing_key.ts";
import type { TestBrowser } from "../../support/test_browser.ts";

const APP = "https://app.acme.test";
const EVENTS = { "http://schemas.openid.net/event/backchannel-logout": {} };

/** Makes a logout token that is good unless told otherwise. */
async function makeToken({ idp, clock }: Service, claims: JsonObject): Promise<string> {
  return await signJwt(idp.key, { typ: "logout+jwt" }, {
    iss: idp.issuer,
    aud: "acme-client",
    iat: clock(),
    exp: clock() + 120,
    jti: crypto.randomUUID(),
    events: EVENTS,
    ...claims,
  });
}

async function post(service: Service, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> {
  const request = new Request(`${APP}/auth/acme/backchannel-logout`, { method: "POST", body, headers });
  return await service.instances[0]!.fetch(request);
}

async function postToken(service: Service, claims: JsonObject): Promise<string> {
  const answer = await post(service, new URLSearchParams({ logout_token: await makeToken(service, claims) }));
  assertEquals(answer.headers.get("cache-control"), "no-store");
  return `${answer.status} ${await answer.text()}`;
}

async function getFrontchannel(service: Service, search: Record<string, string> | string): Promise<Response> {
  const address = `${APP}/auth/acme/frontchannel-logout?${new URLSearchParams(search)}`;
  return await service.instances[0]!.fetch(new Request(address, { headers: { "sec-fetch-mode": "navigate" } }));
}

/** `sid` of the ID token that somebody signed in with last. */
function watchSids({ idp }: Service): string[] {
  const sids: string[] = [];
  idp.makeIdToken = (claims) => {
    if (!sids.includes(String(claims.sid))) sids.push(String(claims.sid));
    return signJwt(idp.key, {}, claims);
  };
  return sids;
}

/** `alive`, or the reason of the end. */
async function fateOf(browser: TestBrowser): Promise<string> {
  const { status, body } = await callApi(browser);
  return status === 200 ? "alive" : JSON.parse(body).reason;
}

async function fatesOf(...browsers: readonly TestBrowser[]): Promise<readonly string[]> {
  return await Promise.all(browsers.map(fateOf));
}

Deno.test("a logout token ends what it names: one session of the token service, or all of a user", async () => {
  const service = await createService();
  const sids = watchSids(service);
  const [one, two] = [await service.signIn("alice"), await service.signIn("alice")];
  const other = await service.signIn("bob");
  assertEquals(await postToken(service, { sid: sids[0], sub: "alice" }), "200 ");
  assertEquals(await fatesOf(one, two, other), ["back_channel", "alive", "alive"]);
  assertEquals(one.jar.all(), [], "its cookies are gone with it");
  assertEquals(await postToken(service, { sid: "unknown" }), "200 ");
  assertEquals(await fatesOf(two, other), ["alive", "alive"]);
  const third = await service.signIn("alice");
  service.clock.advance(1);
  assertEquals(await postToken(service, { sub: "alice" }), "200 ");
  assertEquals(await fatesOf(two, third, other), ["back_channel", "back_channel", "alive"]);
  assertEquals(service.idp.calls.revoke, 0, "the token service knows already");
  await service.close();
});

Deno.test("a session that outlives its refreshes is ended by the sid that it began with", async () => {
  const service = await createService();
  const sids = watchSids(service);
  const browser = await service.signIn("alice", 0);
  for (let i = 0; i < 3; i++) {
    assertEquals(await fateOf(browser), "alive");
    service.clock.advance(3600);
  }
  assertEquals(await postToken(service, { sid: sids[0] }), "200 ");
  assertEquals(await fateOf(browser), "back_channel");
  await service.close();
});

Deno.test("a logout token counts once: later sessions are safe from it", async () => {
  const service = await createService();
  const claims = { sub: "alice", jti: "one" };
  const first = await service.signIn("alice");
  service.clock.advance(1);
  assertEquals(await postToken(service, claims), "200 ");
  assertEquals(await fateOf(first), "back_channel");
  service.clock.advance(1);
  const second = await service.signIn("alice");
  assertEquals(await postToken(service, claims), `400 {"error":"invalid_request"}`);
  assertEquals(await fateOf(second), "alive");
  assertEquals(service.log.filter(({ reason }) => reason === "replayed").length, 1);
  await service.close();
});

Deno.test("a logout token whose work failed half-way may come again", async () => {
  let left = Infinity;
  const service = await createService({
    openRecords: (clock) => {
      const records = createMemoryRecords(clock);
      const spoilt: Records = {
        ...records,
        commit: (change) => left-- > 0 ? records.commit(change) : Promise.reject(new StoreUnavailableError("write")),
      };
      return () => spoilt;
    },
  });
  const browsers = [await service.signIn("alice"), await service.signIn("alice")];
  service.clock.advance(1);
  const claims = { sub: "alice", jti: "one" };
  for (const commits of [0, 1, 2, 2]) {
    left = commits;
    const answer = await postToken(service, claims);
    assertEquals(answer.slice(0, 3), "503", `after ${commits} commits`);
  }
  left = Infinity;
  assertEquals(await postToken(service, claims), "200 ");
  assertEquals(await fatesOf(...browsers), ["back_channel", "back_channel"]);
  assertEquals(await postToken(service, claims), `400 {"error":"invalid_request"}`);
  await service.close();
});

Deno.test("a sign-in that is being finished while its user is signed out comes to nothing", async () => {
  const service = await createService();
  service.idp.change.token = async (good) => {
    assertEquals(await postToken(service, { sub: "alice" }), "200 ");
    return Response.json(good);
  };
  const browser = service.openBrowser();
  const { last } = await browser.navigate(`${APP}/auth/acme/login`, { until: ({ pathname }) => pathname === "/" });
  assertEquals(last?.status, 401);
  assert(last?.body.includes("session_ended"), last?.body);
  assertEquals(browser.jar.all(), []);
  delete service.idp.change.token;
  service.clock.advance(1);
  assertEquals(await fateOf(await service.signIn("alice")), "alive");
  await service.close();
});

Deno.test("what is not one logout token in a form is refused, and ends nothing", async (t) => {
  const service = await createService();
  const browser = await service.signIn("alice");
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const token = () => makeToken(service, { sub: "alice" });
  const rows: Readonly<Record<string, () => Promise<Response>>> = {
    "JSON": async () =>
      await post(service, JSON.stringify({ logout_token: await token() }), { "content-type": "application/json" }),
    "text": async () => await post(service, `logout_token=${await token()}`, { "content-type": "text/plain" }),
    "multipart": async () => {
      const body = new FormData();
      body.append("logout_token", await token());
      return await post(service, body);
    },
    "nothing": async () => await post(service, "", form),
    "no token": async () => await post(service, "logout_token=", form),
    "two tokens": async () => await post(service, `logout_token=${await token()}&logout_token=${await token()}`, form),
    "not UTF-8": async () => await post(service, Uint8Array.of(0xff, 0xfe), form),
    "too much": async () => await post(service, `logout_token=${await token()}&x=${"x".repeat(40_000)}`, form),
    "an ID token": async () => {
      const { idp, clock } = service;
      const claims = { iss: idp.issuer, aud: "acme-client", sub: "alice", iat: clock(), exp: clock() + 60, nonce: "n" };
      return await post(service, new URLSearchParams({ logout_token: await signJwt(idp.key, {}, claims) }));
    },
  };
  for (const [what, send] of Object.entries(rows)) {
    await t.step(what, async () => {
      const answer = await send();
      assertEquals([answer.status, await answer.text()], [400, `{"error":"invalid_request"}`]);
      assertEquals(answer.headers.get("cache-control"), "no-store");
      assertEquals(await fateOf(browser), "alive");
    });
  }
  const other = await service.instances[0]!.fetch(new Request(`${APP}/auth/acme/backchannel-logout`));
  assertEquals([other.status, other.headers.get("allow")], [405, "POST"]);
  await other.body?.cancel();
  await service.close();
});

Deno.test("a token service whose keys or metadata cannot be had is told to come again", async (t) => {
  for (const endpoint of ["discovery", "jwks"] as const) {
    await t.step(endpoint, async () => {
      const service = await createService();
      service.idp.change[endpoint] = () => new Response(null, { status: 503 });
      const answer = await post(service, new URLSearchParams({ logout_token: await makeToken(service, { sub: "x" }) }));
      assertEquals([answer.status, answer.headers.get("retry-after")], [503, "5"]);
      assertEquals(await answer.json(), { error: "temporarily_unavailable" });
      await service.close();
    });
  }
});

Deno.test("a frame of the token service ends the sessions of a sid, and nobody else's", async () => {
  const service = await createService();
  const sids = watchSids(service);
  const [one, two] = [await service.signIn("alice"), await service.signIn("alice")];
  const { issuer } = service.idp;
  const answer = await getFrontchannel(service, { iss: issuer, sid: sids[0]! });
  assertEquals(answer.status, 200);
  assertEquals(await answer.text(), "<!DOCTYPE html><title>Signed out</title>");
  assertEquals(answer.headers.get("cache-control"), "no-store");
  assertEquals(answer.headers.get("content-security-policy"), "default-src 'none'; frame-ancestors https://idp.test");
  assertEquals(answer.headers.get("x-frame-options"), null);
  assert(answer.headers.getSetCookie().some((line) => line.startsWith("__Host-rt=;")), "its cookies go, if they came");
  assertEquals(await fatesOf(one, two), ["back_channel", "alive"]);
  const again = await getFrontchannel(service, { iss: issuer, sid: sids[0]! });
  assertEquals([again.status, again.headers.getSetCookie()], [200, []]);
  await again.body?.cancel();
  assertEquals(service.idp.calls.revoke, 0);
  await service.close();
});

Deno.test("a frame that does not name issuer and session is refused", async (t) => {
  const service = await createService();
  const sids = watchSids(service);
  const browser = await service.signIn("alice");
  const iss = service.idp.issuer;
  const rows: Readonly<Record<string, string>> = {
    "nothing": "",
    "no issuer": `sid=${sids[0]}`,
    "another issuer": `iss=https://evil.test/&sid=${sids[0]}`,
    "the issuer without its slash": `iss=https://idp.test&sid=${sids[0]}`,
    "no session": `iss=${iss}`,
    "an empty session": `iss=${iss}&sid=`,
    "two sessions": `iss=${iss}&sid=${sids[0]}&sid=x`,
    "two issuers": `iss=${iss}&iss=${iss}&sid=${sids[0]}`,
    "a session longer than any": `iss=${iss}&sid=${"x".repeat(256)}`,
    "a session longer than any key": `iss=${iss}&sid=${"x".repeat(2048)}`,
  };
  for (const [what, search] of Object.entries(rows)) {
    await t.step(what, async () => {
      const answer = await getFrontchannel(service, search);
      assertEquals([answer.status, await answer.text()], [400, `{"error":"invalid_request"}`]);
      assertEquals(await fateOf(browser), "alive");
    });
  }
  await service.close();
});

Deno.test("what strangers make up leaves nothing in the store", async () => {
  const stores: Records[] = [];
  const service = await createService({
    openRecords: (clock) => {
      stores.push(createMemoryRecords(clock));
      return () => stores[0]!;
    },
  });
  for (let i = 0; i < 50; i++) {
    const answer = await getFrontchannel(service, { iss: service.idp.issuer, sid: `made-up-${i}` });
    await answer.body?.cancel();
    assertEquals(answer.status, 200);
    await (await post(service, new URLSearchParams({ logout_token: `made-up-${i}` }))).body?.cancel();
  }
  for (const prefix of [["ended", "acme", "sid"], ["ended", "acme", "sub"], ["once", "logout_token"]]) {
    assertEquals(await stores[0]!.list(prefix), []);
  }
  await service.close();
});
