import { assertEquals, assertRejects } from "@std/assert";
import { createTestClock } from "./clock.ts";
import type { Hosts } from "./loopback.ts";
import { createTestBrowser } from "./test_browser.ts";

/** An application on one site and a provider on another, as a sign-in needs them. */
function createHosts(): Hosts {
  const echo = (request: Request) => Response.json(Object.fromEntries(request.headers));
  return {
    "api.acme.test": (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/login") {
        const headers = new Headers({ location: "https://idp.test/authorize" });
        headers.append("set-cookie", "lax=1; Path=/; Secure; SameSite=Lax");
        headers.append("set-cookie", "strict=1; Path=/; Secure; SameSite=Strict");
        return new Response(null, { status: 302, headers });
      }
      return echo(request);
    },
    "idp.test": () =>
      new Response(null, { status: 303, headers: { location: "https://api.acme.test/callback?code=1" } }),
    "www.acme.test": echo,
  };
}

Deno.test("a page load follows redirects, and a detour over another site costs the Strict cookies", async () => {
  const browser = createTestBrowser(createHosts(), createTestClock());
  const { url, last, exchanges } = await browser.navigate("https://api.acme.test/login#x", {
    from: "https://www.acme.test/",
  });
  assertEquals(url.href, "https://api.acme.test/callback?code=1#x");
  assertEquals(exchanges.map(({ status }) => status), [302, 303, 200]);
  const sent = JSON.parse(last!.body);
  assertEquals([sent.cookie, sent["sec-fetch-site"], sent["sec-fetch-mode"]], ["lax=1", "cross-site", "navigate"]);
  const typed = await browser.navigate("https://api.acme.test/");
  const { cookie, "sec-fetch-site": site } = JSON.parse(typed.last!.body);
  assertEquals([cookie, site], ["lax=1; strict=1", "none"]);
});

Deno.test("a page load stops in front of an address, at a host that nobody serves, and after so many redirects", async () => {
  const browser = createTestBrowser(createHosts(), createTestClock());
  const stopped = await browser.navigate("https://api.acme.test/login", { until: ({ host }) => host === "idp.test" });
  assertEquals([stopped.url.href, stopped.exchanges.length], ["https://idp.test/authorize", 1]);
  const nowhere = await browser.navigate("https://evil.test/");
  assertEquals([nowhere.url.href, nowhere.last], ["https://evil.test/", null]);
  const cut = await browser.navigate("https://api.acme.test/login", { maxRedirects: 0 });
  assertEquals(cut.exchanges.length, 1);
});

Deno.test("a form is posted once, and what follows is a GET", async () => {
  const browser = createTestBrowser(createHosts(), createTestClock());
  const { exchanges } = await browser.navigate("https://idp.test/", {
    form: { user: "ada" },
    from: "https://idp.test/x",
  });
  assertEquals(exchanges.map(({ method }) => method), ["POST", "GET"]);
  assertEquals(exchanges[0]!.requestHeaders.get("origin"), "https://idp.test");
});

Deno.test("a page's fetch brings origin, site and cookies as a browser would", async () => {
  const browser = createTestBrowser(createHosts(), createTestClock());
  browser.jar.take(new URL("https://api.acme.test/"), "strict=1; Path=/; Secure; SameSite=Strict");
  const headersOf = async (from: string, method = "GET") => {
    const { body } = await browser.fetch("https://api.acme.test/x", { from, method });
    const { origin = null, cookie = null, "sec-fetch-site": site } = JSON.parse(body);
    return [origin, cookie, site];
  };
  assertEquals(await headersOf("https://api.acme.test/"), [null, "strict=1", "same-origin"]);
  assertEquals(await headersOf("https://api.acme.test/", "POST"), ["https://api.acme.test", "strict=1", "same-origin"]);
  assertEquals(await headersOf("https://www.acme.test/"), ["https://www.acme.test", "strict=1", "same-site"]);
  assertEquals(await headersOf("https://evil.test/"), ["https://evil.test", null, "cross-site"]);
  await assertRejects(() => browser.fetch("https://nobody.test/", { from: "https://www.acme.test/" }), TypeError);
});
