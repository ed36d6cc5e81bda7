/**
 * Access tokens of every size: sign-in, call, refresh and logout work, and no cookie grows too large for a browser.
 *
 * @module
 */
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { createKvRecords } from "../../lib/store/kv/mod.ts";
import { callApi, cookiesOf, createService, type Service } from "../support/service.ts";
import type { TestBrowser } from "../support/test_browser.ts";

/** The longest cookie that every browser takes: name and value by the standard, the whole line in older ones. */
const MAX_COOKIE_BYTES = 4096;

/** The names of the cookies that an answer sets. */
function cookieNames(headers: Headers): readonly string[] {
  return headers.getSetCookie().map((line) => line.split("=", 1)[0]!);
}

/** Makes the provider's next access tokens about so long. */
function setSize({ idp }: Service, length: number): void {
  idp.accessTokenClaims = { entitlements: "x".repeat(Math.ceil((length - 700) * 3 / 4)) };
}

/** Calls the API, and checks that the API got the newest access token whole. */
async function callWithNewest(service: Service, browser: TestBrowser): Promise<Headers> {
  const answer = await callApi(browser);
  assertEquals(answer.status, 200);
  const shown = service.upstream.calls.at(-1)!.headers.get("authorization");
  assertEquals(shown, `Bearer ${service.idp.issued.accessTokens.at(-1)}`);
  return answer.headers;
}

function assertSmallCookies({ exchanges, jar }: TestBrowser): void {
  for (const line of exchanges.flatMap(({ headers }) => headers.getSetCookie())) {
    assertLessOrEqual(new TextEncoder().encode(line).length, MAX_COOKIE_BYTES);
  }
  assertEquals(jar.all().map(({ name }) => name).toSorted(), ["__Host-rt", "at", "signed_in"]);
}

async function withService(
  tokenStore: string,
  run: (service: Service) => Promise<void>,
): Promise<void> {
  using kv = await Deno.openKv(":memory:");
  const openRecords = (now: Service["clock"]) => () => createKvRecords(kv, { now });
  const service = await createService({ openRecords, vendor: { tokenStore } });
  await run(service);
  await service.close();
}

for (const tokenStore of ["cookie", "kv"]) {
  for (const length of [1000, 3500, 20_000, 60_000]) {
    Deno.test(`an access token of ${length} bytes does all its work, tokenStore ${tokenStore}`, async () => {
      await withService(tokenStore, async (service) => {
        const { clock, idp } = service;
        const isHandle = tokenStore === "kv" || length > 2500;
        const renewed = isHandle ? ["at", "signed_in"] : ["at", "__Host-rt", "signed_in"];
        setSize(service, length);
        const browser = await service.signIn();
        assert(idp.issued.accessTokens.at(-1)!.length >= length);
        assertEquals(cookieNames(await callWithNewest(service, browser)), []);

        const forced = await callApi(browser, "/auth/acme/refresh", "POST");
        assertEquals(forced.status, 200);
        assertEquals(cookieNames(forced.headers), renewed);
        assertEquals(cookieNames(await callWithNewest(service, browser)), []);

        clock.advance(3600);
        assertEquals(cookieNames(await callWithNewest(service, browser)), renewed, "refreshed on the way");
        assertEquals(cookieNames(await callWithNewest(service, browser)), []);
        clock.advance(60);
        assertEquals(cookieNames(await callWithNewest(service, browser)), [], "the cookies have arrived");
        assertEquals(cookieNames(await callWithNewest(service, browser)), []);
        assertEquals(idp.calls.token, 3);
        assertSmallCookies(browser);

        const copy = cookiesOf(browser);
        assertEquals((await callApi(browser, "/auth/acme/logout", "POST")).status, 200);
        assertEquals(browser.jar.all().map(({ name }) => name), ["__Host-lo"], "only the proof for the way onward");
        await service.instances[0]!.settle();
        assertEquals(idp.calls.revoke, 1);
        const late = await service.openBrowser().fetch("https://app.acme.test/api/x", {
          from: "https://app.acme.test/",
          headers: { cookie: copy },
        });
        assertEquals([late.status, JSON.parse(late.body).reason], [401, "user"]);
      });
    });
  }
}

Deno.test("a session moves into the record when its tokens grow, and back when they shrink", async () => {
  await withService("cookie", async (service) => {
    const browser = await service.signIn();
    for (const length of [1000, 20_000, 60_000, 1000, 60_000, 3500, 1000]) {
      setSize(service, length);
      assertEquals((await callApi(browser, "/auth/acme/refresh", "POST")).status, 200);
      for (const seconds of [0, 30, 60, 600]) {
        service.clock.advance(seconds);
        await callWithNewest(service, browser);
      }
      assertSmallCookies(browser);
    }
    assertEquals(service.idp.calls.token, 8);
  });
});

Deno.test("a session survives that its vendor changes the token store, in both directions", async (t) => {
  for (const [before, after] of [["cookie", "kv"], ["kv", "cookie"]] as const) {
    for (const isDue of [false, true]) {
      await t.step(`from ${before} to ${after}${isDue ? ", before the next refresh" : ""}`, async () => {
        await withService(before, async (service) => {
          const { clock, instances: [instance] } = service;
          const browser = await service.signIn("alice", isDue ? 30 : 3600);
          const older = cookiesOf(browser);
          if (!isDue) assertEquals((await callApi(browser, "/auth/acme/refresh", "POST")).status, 200);
          const { record } = (await instance!.vendors.read("acme"))!;
          const settings = { ...record.settings, tokenStore: after };
          await instance!.vendors.save("acme", { settings, clientSecret: null });

          // Late calls with the cookies before, a new key, and time: everything that makes cookies anew.
          const late = await service.openBrowser().fetch("https://app.acme.test/api/x", {
            from: "https://app.acme.test/",
            headers: { cookie: older },
          });
          assertEquals(late.status, 200);
          for (const line of late.headers.getSetCookie()) browser.jar.take(new URL("https://app.acme.test/"), line);
          await callWithNewest(service, browser);
          await instance!.keys.rotate("acme");
          clock.advance(2);
          for (const seconds of [0, 60, 60, 3600, 3600]) {
            clock.advance(seconds);
            await callWithNewest(service, browser);
          }
        });
      });
    }
  }
});
