import { assert, assertEquals } from "@std/assert";
import { APP, codeOf, cookiesOf, createSetting, PAGE, type Setting } from "../setting.ts";

const EVIL = "https://evil.test";
const SIBLING = "https://evil.acme.test";
const NAVIGATE = { "sec-fetch-mode": "navigate" };
const CSRF = { "x-csrf": "1" };

type Headers = Readonly<Record<string, string>>;
type Row = readonly [method: string, headers: Headers, outcome: number | string];

const ROWS: readonly Row[] = [
  // Reading: whoever says where they come from must come from an allowed place.
  ["GET", {}, 200],
  ["GET", { "sec-fetch-site": "same-origin" }, 200],
  ["GET", { "sec-fetch-site": "none" }, 200],
  ["GET", { "sec-fetch-site": "same-site" }, "origin_refused"],
  ["GET", { "sec-fetch-site": "cross-site" }, "origin_refused"],
  ["GET", { "sec-fetch-site": "Same-Origin" }, "origin_refused"],
  ["GET", { "sec-fetch-site": "" }, "origin_refused"],
  ["GET", { "sec-fetch-site": "cross-site", ...CSRF }, "origin_refused"],
  ["GET", { origin: APP }, 200],
  ["GET", { origin: PAGE }, 200],
  ["GET", { "origin": PAGE, "sec-fetch-site": "same-site" }, 200],
  ["GET", { "origin": PAGE, "sec-fetch-site": "cross-site" }, 200],
  ["GET", { origin: EVIL }, "origin_refused"],
  ["GET", { "origin": EVIL, "sec-fetch-site": "same-origin" }, "origin_refused"],
  ["GET", { origin: SIBLING, "sec-fetch-site": "same-site" }, "origin_refused"],
  ["GET", { origin: "null" }, "origin_refused"],
  ["GET", { origin: "" }, "origin_refused"],
  ["GET", { origin: `${PAGE}.evil.test` }, "origin_refused"],
  ["GET", { origin: PAGE.toUpperCase() }, "origin_refused"],
  ["GET", { origin: `${PAGE}:443` }, "origin_refused"],
  ["GET", { origin: `${PAGE}, ${EVIL}` }, "origin_refused"],
  ["GET", { origin: PAGE.replace("https", "http") }, "origin_refused"],
  // A page load reads nothing into a page of others.
  ["GET", { "sec-fetch-site": "cross-site", ...NAVIGATE }, 200],
  ["GET", { "sec-fetch-site": "none", ...NAVIGATE }, 200],
  ["GET", { accept: "text/html" }, 200],
  // Writing: who does not say where they come from must at least be able to set a header.
  ["POST", {}, "origin_refused"],
  ["POST", CSRF, 200],
  ["POST", { "token-handler-version": "1" }, 200],
  ["POST", { "x-csrf": "0" }, "origin_refused"],
  ["POST", { "x-csrf": "1, 1" }, "origin_refused"],
  ["POST", { accept: "text/html" }, "origin_refused"],
  ["POST", { "content-type": "application/json" }, "origin_refused"],
  ["POST", { "sec-fetch-site": "same-origin" }, 200],
  ["POST", { "sec-fetch-site": "same-site" }, "origin_refused"],
  ["POST", { "sec-fetch-site": "none" }, "origin_refused"],
  ["POST", { "sec-fetch-site": "cross-site" }, "origin_refused"],
  ["POST", { "sec-fetch-site": "cross-site", ...CSRF }, "origin_refused"],
  ["POST", { origin: APP }, 200],
  ["POST", { origin: PAGE }, 200],
  ["POST", { origin: EVIL }, "origin_refused"],
  ["POST", { origin: EVIL, ...CSRF }, "origin_refused"],
  ["POST", { origin: "null", ...CSRF }, "origin_refused"],
  ["POST", { origin: SIBLING, ...CSRF }, "origin_refused"],
  // A form of another page.
  ["POST", { origin: EVIL, "sec-fetch-site": "cross-site", ...NAVIGATE }, "origin_refused"],
  ["POST", { origin: "null", "sec-fetch-site": "cross-site", ...NAVIGATE }, "origin_refused"],
  ["POST", { origin: PAGE, "sec-fetch-site": "same-site", ...NAVIGATE }, 200],
];

const WITH_HEADER_ROWS: readonly Row[] = [
  ["GET", {}, "csrf_header_missing"],
  ["GET", { "sec-fetch-site": "same-origin" }, "csrf_header_missing"],
  ["GET", { origin: PAGE }, "csrf_header_missing"],
  ["GET", { origin: PAGE, ...CSRF }, 200],
  ["GET", { "origin": PAGE, "token-handler-version": "1" }, 200],
  ["GET", CSRF, 200],
  ["GET", { origin: EVIL, ...CSRF }, "origin_refused"],
  ["GET", { "sec-fetch-site": "cross-site", ...NAVIGATE }, 200],
  ["POST", { "sec-fetch-site": "same-origin" }, "csrf_header_missing"],
  ["POST", { "sec-fetch-site": "same-origin", ...CSRF }, 200],
  ["POST", { origin: PAGE }, "csrf_header_missing"],
  ["POST", { origin: PAGE, ...CSRF }, 200],
  ["POST", { origin: EVIL, ...CSRF }, "origin_refused"],
];

/** What a row leads to; a page tells its code in its text. */
async function outcomeOf(response: Response): Promise<number | string> {
  if (!response.headers.get("content-type")?.startsWith("text/html")) return await codeOf(response);
  return /<code>(\w+)<\/code>/.exec(await response.text())?.[1] ?? response.status;
}

async function tryRows(t: Deno.TestContext, rows: readonly Row[], vendor: Record<string, unknown>): Promise<void> {
  const setting = await createSetting({ vendor });
  const cookie = cookiesOf(await setting.signIn());
  for (const [method, headers, outcome] of rows) {
    await t.step(`${method} ${JSON.stringify(headers)}`, async () => {
      const before = setting.upstream.calls.length;
      const answer = await setting.send("/api/x", { method, headers: { cookie, ...headers } });
      assertEquals(await outcomeOf(answer), outcome);
      assertEquals(setting.upstream.calls.length - before, outcome === 200 ? 1 : 0);
      if (method === "GET") {
        const own = await setting.send("/auth/acme/userinfo", { headers: { cookie, ...headers } });
        assertEquals(await outcomeOf(own), outcome);
      }
    });
  }
}

Deno.test("a request with cookies must come from the own origin, or from an allowed one", async (t) => {
  await tryRows(t, ROWS, {});
});

Deno.test("a vendor may want a header that no other page can set", async (t) => {
  await tryRows(t, WITH_HEADER_ROWS, { requireCsrfHeader: true });
});

Deno.test("a request without cookies, or with a Bearer, may come from anywhere: nobody is acted for", async () => {
  const setting = await createSetting({ vendor: { relayUnverifiedBearer: true } });
  const headers = { "origin": EVIL, "sec-fetch-site": "cross-site" };
  assertEquals((await setting.send("/public/x", { method: "POST", headers })).status, 200);
  const bearer = { ...headers, authorization: "Bearer x" };
  assertEquals((await setting.send("/api/x", { method: "POST", headers: bearer })).status, 200);
});

function corsOf(response: Response): Record<string, string> {
  return Object.fromEntries([...response.headers].filter(([name]) => name.startsWith("access-control-")));
}

const ALLOWED = {
  "access-control-allow-origin": PAGE,
  "access-control-allow-credentials": "true",
  "access-control-expose-headers": "x-request-id, retry-after",
};

/** One answer of each kind, good and bad, as a page on the given origin gets it. */
async function answersOf({ send }: Setting, cookie: string, origin: string): Promise<Record<string, Response>> {
  const headers = { cookie, origin };
  return {
    "200": await send("/auth/acme/userinfo", { headers }),
    "proxied 200": await send("/api/x", { headers }),
    "401": await send("/auth/acme/userinfo", { headers: { origin } }),
    "proxied 401": await send("/api/x", { headers: { origin } }),
    "400": await send("/auth/acme/login?returnTo=//evil.test", { headers }),
    "404": await send("/nowhere", { headers }),
    "405": await send("/auth/acme/refresh", { headers }),
  };
}

Deno.test("allowed origins may read every answer, errors too", async () => {
  const setting = await createSetting();
  const cookie = cookiesOf(await setting.signIn());
  for (const [what, answer] of Object.entries(await answersOf(setting, cookie, PAGE))) {
    assertEquals(corsOf(answer), ALLOWED, what);
    assert(answer.headers.get("vary")?.split(/, */).includes("Origin"), what);
    await answer.body?.cancel();
  }
});

Deno.test("other origins get no CORS header at all, and neither does the own one", async () => {
  const setting = await createSetting();
  const cookie = cookiesOf(await setting.signIn());
  for (const origin of [EVIL, SIBLING, "null", APP]) {
    for (const [what, answer] of Object.entries(await answersOf(setting, cookie, origin))) {
      assertEquals(corsOf(answer), {}, `${origin} ${what}`);
      assert(answer.headers.get("vary")?.split(/, */).includes("Origin"), what);
      await answer.body?.cancel();
    }
  }
});

Deno.test("CORS headers of the upstream never reach the browser", async () => {
  const setting = await createSetting();
  const cookie = cookiesOf(await setting.signIn());
  setting.upstream.reply = () =>
    new Response("x", { headers: { "access-control-allow-origin": "*", "access-control-allow-headers": "*" } });
  assertEquals(corsOf(await setting.send("/api/x", { headers: { cookie, origin: PAGE } })), ALLOWED);
  assertEquals(corsOf(await setting.send("/api/x", { headers: { cookie } })), {});
});

Deno.test("a preflight of an allowed origin is answered with what it asked for", async () => {
  const { send, upstream } = await createSetting();
  for (const path of ["/auth/acme/userinfo", "/auth/userinfo", "/api/x"]) {
    const answer = await send(path, {
      method: "OPTIONS",
      headers: {
        "origin": PAGE,
        "access-control-request-method": "PUT",
        "access-control-request-headers": "x-csrf,content-type",
      },
    });
    assertEquals([answer.status, await answer.text(), answer.headers.get("vary")], [204, "", "Origin"]);
    assertEquals(corsOf(answer), {
      ...ALLOWED,
      "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
      "access-control-allow-headers": "x-csrf,content-type",
      "access-control-max-age": "600",
    });
  }
  assertEquals(upstream.calls.length, 0);
});

Deno.test("a preflight of any other origin is answered with nothing", async () => {
  const { send } = await createSetting();
  for (const origin of [EVIL, SIBLING, "null"]) {
    for (const path of ["/auth/acme/userinfo", "/api/x"]) {
      const headers = { origin, "access-control-request-method": "PUT", "access-control-request-headers": "x-csrf" };
      const answer = await send(path, { method: "OPTIONS", headers });
      assertEquals([answer.status, corsOf(answer)], [204, {}], `${origin} ${path}`);
    }
  }
});

Deno.test("a preflight does not repeat odd header names", async () => {
  const { send } = await createSetting();
  for (const asked of ["x-csrf\u00e9", "a:b", "a;b", "x".repeat(1025), "<script>"]) {
    const answer = await send("/api/x", {
      method: "OPTIONS",
      headers: { "origin": PAGE, "access-control-request-method": "GET", "access-control-request-headers": asked },
    });
    assertEquals(answer.headers.get("access-control-allow-headers"), null, asked.slice(0, 20));
  }
});
