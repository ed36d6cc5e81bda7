/**
 * What a user's own doings ask of the database does not depend on how many sessions others have: counted, not timed.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { createStores, type SessionRecord } from "../../lib/store/mod.ts";
import { createKvRecords, type KvAtomicLike, type KvLike } from "../../lib/store/kv/mod.ts";
import { lengthOf } from "../support/full.ts";
import { callApi, createService } from "../support/service.ts";
import { signJwt } from "../support/signing_key.ts";

const MANY = lengthOf({ short: 2000, full: 10_000 });

/** What was asked of a database. */
interface Counts {
  gets: number;
  lists: number;
  /** Entries that lists came across. */
  listed: number;
  commits: number;
  /** Checks, writes and deletions of commits. */
  parts: number;
}

function countCalls(kv: Deno.Kv): { readonly kv: KvLike; take(): Counts } {
  const none = () => ({ gets: 0, lists: 0, listed: 0, commits: 0, parts: 0 });
  let counts = none();

  function atomic(): KvAtomicLike {
    const real = kv.atomic();
    const counting: KvAtomicLike = {
      check: (...checks) => (counts.parts += checks.length, real.check(...checks), counting),
      set: (key, value, options) => (counts.parts++, real.set(key, value, options), counting),
      delete: (key) => (counts.parts++, real.delete(key), counting),
      commit: () => (counts.commits++, real.commit()),
    };
    return counting;
  }

  return {
    kv: {
      atomic,
      get: (key) => (counts.gets++, kv.get(key)),
      async *list(selector, options) {
        counts.lists++;
        for await (const entry of kv.list(selector, options)) {
          counts.listed++;
          yield entry;
        }
      },
    },
    take(): Counts {
      const taken = counts;
      counts = none();
      return taken;
    },
  };
}

/** Does everything that a user and the provider can do about sessions, while so many sessions of others exist. */
async function countAll(others: number): Promise<Readonly<Record<string, Counts>>> {
  using kv = await Deno.openKv(":memory:");
  const counter = countCalls(kv);
  const service = await createService({ openRecords: (now) => () => createKvRecords(counter.kv, { now }) });
  const { clock, idp } = service;
  const { sessions } = createStores(createKvRecords(kv, { now: clock, deadlineMs: 60_000 }));
  await Promise.all(Array.from({ length: others }, (_, i) => sessions.create(sessionOfSomebody(i, clock()))));
  const sids: string[] = [];
  idp.makeIdToken = (claims) => {
    sids.push(String(claims.sid));
    return signJwt(idp.key, {}, claims);
  };
  const browsers = [await service.signIn(), await service.signIn(), await service.signIn(), await service.signIn()];
  const [one, two, three, four] = browsers;
  const signOut = async (claims: Record<string, unknown>) => {
    const token = await signJwt(idp.key, { typ: "logout+jwt" }, {
      iss: idp.issuer,
      aud: "acme-client",
      iat: clock(),
      exp: clock() + 60,
      jti: crypto.randomUUID(),
      events: { "http://schemas.openid.net/event/backchannel-logout": {} },
      ...claims,
    });
    const body = new URLSearchParams({ logout_token: token });
    const request = new Request("https://app.acme.test/auth/acme/backchannel-logout", { method: "POST", body });
    return { status: (await service.instances[0]!.fetch(request)).status, body: "" };
  };
  const doings: Readonly<Record<string, () => Promise<{ readonly status: number; readonly body: string }>>> = {
    "call": () => callApi(one!),
    "refresh": () => callApi(one!, "/auth/acme/refresh", "POST"),
    "list": () => callApi(one!, "/auth/acme/sessions"),
    "logout": () => callApi(four!, "/auth/acme/logout", "POST"),
    "provider ends one": () => signOut({ sid: sids[1] }),
    "end all others": () => callApi(one!, "/auth/acme/sessions", "DELETE"),
    "provider ends all": () => signOut({ sub: "alice" }),
  };
  const counts: Record<string, Counts> = {};
  for (const [what, act] of Object.entries(doings)) {
    await service.instances[0]!.settle();
    counter.take();
    const { status, body } = await act();
    assert(status === 200 || status === 204, `${what}: ${status}`);
    if (what === "list") assertEquals(JSON.parse(body).length, 4);
    counts[what] = counter.take();
  }
  for (const browser of [one!, two!, three!, four!]) assertEquals((await callApi(browser)).status, 401);
  const left = await sessions.listIds("acme", "user 0");
  assertEquals(left.length, Math.ceil(others / USERS), "nobody else was signed out");
  await service.close();
  return counts;
}

const USERS = 100;

function sessionOfSomebody(i: number, now: number): SessionRecord {
  return {
    vendorId: "acme",
    id: `session ${i}`,
    subject: `user ${i % USERS}`,
    issuerSessionId: `sid ${i}`,
    createdAt: now,
    lastSeenAt: now,
    expiresAt: now + 86_400,
    generation: 1,
    refreshedAt: now,
    sealed: "",
    device: null,
    ended: null,
  };
}

Deno.test(`what sessions cost is the same among ${MANY} others as among 200`, async () => {
  // What is remembered for a second is remembered throughout, so that the counts do not depend on the machine.
  const { now } = performance;
  performance.now = () => 0;
  try {
    const few = await countAll(200);
    assertEquals(await countAll(MANY), few);
    const most = Object.values(few).map(({ gets, listed, commits }) => gets + listed + commits);
    assert(Math.max(...most) < 40, JSON.stringify(few, null, 1));
  } finally {
    performance.now = now;
  }
});

Deno.test("a user with more sessions than one page can list and end all of them", async () => {
  using kv = await Deno.openKv(":memory:");
  const service = await createService({ openRecords: (now) => () => createKvRecords(kv, { now }) });
  const browser = await service.signIn("user 0");
  const { sessions } = createStores(createKvRecords(kv, { now: service.clock }));
  const [own] = await sessions.listIds("acme", "user 0");
  const { value } = (await sessions.find("acme", own!))!;
  const count = lengthOf({ short: 1100, full: 5000 });
  for (let i = 0; i < count; i++) await sessions.create({ ...value, id: `session ${i}`, sealed: "x" });
  const listed = await callApi(browser, "/auth/acme/sessions");
  assertEquals(JSON.parse(listed.body).length, count + 1);
  assertEquals((await callApi(browser, "/auth/acme/sessions", "DELETE")).status, 204);
  const left = await callApi(browser, "/auth/acme/sessions");
  assertEquals(JSON.parse(left.body).map(({ current }: { current: boolean }) => current), [true]);
  await service.close();
});
