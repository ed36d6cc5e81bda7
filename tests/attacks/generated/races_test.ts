/**
 * Neighbours of the races: other calls than the file's at once, sessions that end while they are refreshed, and stores
 * that fail in the middle. The rules: one token call a generation, an end is an end, and what could not be written down
 * has not happened.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { createMemoryRecords } from "../../../lib/store/mod.ts";
import { type BreakableRecords, createBreakableRecords } from "../../support/breakable_records.ts";
import { sendRequest } from "../../support/raw_http.ts";
import { APP, cookiesOf, createService } from "../../support/service.ts";
import type { Exchange } from "../../support/test_browser.ts";
import { codeForm, Visitor } from "../../token_service/kit.ts";
import { PATHS } from "../names.ts";
import type { Answer } from "../outcome.ts";
import { callApi, isKept } from "../kinds/idp.ts";
import { createStage, type Person, sessionOf } from "../stage.ts";
import { TOKEN_SERVICE } from "../token_service.ts";
import { ACME, withWorld, type World } from "../world.ts";

/** Longer than the provider's access tokens live. */
const EXPIRED_SECONDS = 3601;

async function call(person: Person, method: string, path: string): Promise<Answer> {
  return await person.browser.fetch(`${ACME.publicUrl}${path}`, { method, from: `${ACME.publicUrl}/` });
}

async function signInExpired(world: World): Promise<Person> {
  const person = await createStage(world).signedIn("alice");
  world.clock.advance(EXPIRED_SECONDS);
  return person;
}

Deno.test("calls of every kind at once make one token call", async () => {
  const kinds = [["GET", "/api/x"], ["POST", "/api/x"], ["GET", PATHS.session!], [
    "POST",
    "/auth/acme/refresh",
  ]] as const;
  for (const first of kinds) {
    await withWorld(async (world) => {
      const person = await signInExpired(world);
      const tokenCalls = world.idp.calls.token;
      const mix = [first, ...Array.from({ length: 12 }, (_, i) => kinds[i % kinds.length]!)];
      const answers = await Promise.all(mix.map(([method, path]) => call(person, method, path)));
      assertEquals(answers.map(({ status }) => status), answers.map(() => 200), `${first}`);
      assertEquals(world.idp.calls.token - tokenCalls, 1, `${first}`);
    });
  }
});

Deno.test("two sessions of one user make one token call each, and keep their own tokens", async () => {
  await withWorld(async (world) => {
    const people = [await createStage(world).signedIn("alice"), await createStage(world).signedIn("alice")];
    world.clock.advance(EXPIRED_SECONDS);
    const tokenCalls = world.idp.calls.token;
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => callApi(people[i % 2]!)));
    assertEquals(answers.map(({ status }) => status), answers.map(() => 200));
    assertEquals(world.idp.calls.token - tokenCalls, 2);
    const shown = world.upstream.calls.map(({ headers }) => headers.get("authorization"));
    assertEquals(new Set(shown).size, 2);
    for (const person of people) assert(await isKept(world, person));
  });
});

Deno.test("a session that ends while it is refreshed stays ended, and the new refresh token is revoked", async () => {
  const ends: Readonly<Record<string, (person: Person) => Promise<Answer>>> = {
    "logout": (person) => call(person, "POST", PATHS.logout!),
    "logout everywhere": (person) => call(person, "DELETE", "/auth/acme/sessions?all=true"),
  };
  for (const [how, end] of Object.entries(ends)) {
    await withWorld(async (world) => {
      const person = await signInExpired(world);
      const asked = Promise.withResolvers<void>();
      const ended = Promise.withResolvers<void>();
      world.idp.change.token = async (good) => {
        asked.resolve();
        await ended.promise;
        return Response.json(good);
      };
      const calls = Array.from({ length: 10 }, () => callApi(person));
      await asked.promise;
      const { status } = await end(person);
      ended.resolve();
      assert(status < 300, `${how}: ${status}`);
      const answers = await Promise.all(calls);
      assertEquals(answers.map((answer) => answer.status), answers.map(() => 401), how);
      assertEquals(
        answers.flatMap(({ headers }) => headers.getSetCookie()).filter((line) => !/Max-Age=0/.test(line)),
        [],
      );
      await world.cloakroom.settle();
      delete world.idp.change.token;
      assertEquals(await sessionOf(person), "none", how);
      const body = new URLSearchParams({
        grant_type: "refresh_token",
        refresh_token: world.idp.issued.refreshTokens.at(-1)!,
        client_id: ACME.clientId,
        client_secret: ACME.clientSecret,
      });
      const redeemed = await world.idp.handle(new Request(`${world.idp.issuer}token`, { method: "POST", body }));
      assertEquals([redeemed.status, (await redeemed.json()).error], [400, "invalid_grant"], how);
    });
  }
});

Deno.test("while nothing can be written down, what needs it answers 503 and has not happened", async () => {
  let records: BreakableRecords | undefined;
  const service = await createService({
    openRecords: (clock) => {
      const opened = createBreakableRecords(createMemoryRecords(clock));
      records = opened;
      return () => opened;
    },
  });
  const broken = async (act: () => Promise<Exchange>): Promise<number> => {
    records!.isBroken = true;
    return (await act().finally(() => records!.isBroken = false)).status;
  };
  const alice = await service.signIn("alice", 0);
  const page = (method: string, path: string) => () => alice.fetch(`${APP}${path}`, { method, from: `${APP}/` });
  const mallory = service.openBrowser();
  const until = (path: string) => ({
    until: ({ host, pathname }: URL) => `https://${host}` === APP && pathname === path,
  });
  const { url: callback } = await mallory.navigate(`${APP}/auth/acme/login`, until("/auth/acme/callback"));
  const finish = async () => (await mallory.navigate(callback.href, until("/"))).last!;
  const front = () => {
    const query = new URLSearchParams({ iss: service.idp.issuer, sid: service.idp.sessions.get("alice")! });
    return service.openBrowser().navigate(`${APP}/auth/acme/frontchannel-logout?${query}`).then(({ last }) => last!);
  };
  const acts = [
    page("GET", "/api/x"),
    page("POST", "/auth/acme/refresh"),
    page("DELETE", "/auth/acme/sessions?all=true"),
    page("POST", "/auth/acme/logout"),
    front,
    finish,
  ];
  for (const [i, act] of acts.entries()) assertEquals(await broken(act), 503, `${i}`);
  assertEquals(cookiesOf(mallory).includes("__Host-rt="), false);
  assertEquals((await page("GET", "/api/x")()).status, 200);
  assertEquals((await front()).status, 200);
  assertEquals((await page("GET", "/api/x")()).status, 401);
  await service.close();
});

Deno.test("our token service's codes, too, are as good as before when nothing could be written down", async () => {
  await withWorld(async (world) => {
    const { kit, records, signIn } = await world.tokenService();
    const { tokens } = await signIn("alice");
    const code = await new Visitor(kit).code({}, "alice@example.com");
    const post = async (path: string, form: Readonly<Record<string, string>>) =>
      await sendRequest(world.app.port, {
        method: "POST",
        host: new URL(TOKEN_SERVICE).host,
        target: path,
        headers: [["Content-Type", "application/x-www-form-urlencoded"]],
        body: `${new URLSearchParams(form)}`,
      });
    const requests: readonly (readonly [string, Record<string, string>])[] = [
      ["/oauth/token", codeForm(code)],
      ["/oauth/token", { grant_type: "refresh_token", client_id: "spa", refresh_token: tokens.refresh_token }],
      ["/oauth/revoke", { client_id: "spa", token: tokens.refresh_token }],
    ];
    for (const [path, form] of requests) {
      records.isBroken = true;
      const answers = await Promise.all([post(path, form), post(path, form)]);
      records.isBroken = false;
      assertEquals(answers.map(({ status }) => status), [503, 503], path);
      assertEquals(answers.map(({ body }) => JSON.parse(body).error), answers.map(() => "temporarily_unavailable"));
      assertEquals((await post(path, form)).status, 200, path);
    }
  });
});
