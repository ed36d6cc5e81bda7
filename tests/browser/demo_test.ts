/**
 * The demo as `deno task start` runs it, visited with a real browser: page and token handler on one site, token service on
 * another (contract, sections 2 and 8).
 *
 * @module
 */

import { assert, assertEquals, assertGreater, assertMatch, assertNotEquals } from "@std/assert";
import type { Browser, Page } from "playwright-core";
import { loadConfig, startService } from "../../server.ts";
import { testInBrowser, withBrowser } from "../support/browser.ts";
import { collectReach, plant } from "../support/reach.ts";
import { createTokenScan, type TokenWatch, watchTokens } from "../support/tokens.ts";
import { findTokens } from "./scan.ts";
import { maskValue, openVisitor, sealedFor, submitForm } from "./visitor.ts";

const greeting = (page: Page) => page.locator("#greeting");

async function openForm(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.getByLabel("E-mail").waitFor();
}

async function signIn(page: Page, url: string): Promise<void> {
  await openForm(page, url);
  await submitForm(page);
  await greeting(page).getByText("Hello, Ada Lovelace").waitFor();
  await page.locator("[data-inspected]").waitFor();
}

/** What the page asks while everything is scanned for tokens. */
const ASKED_PATHS =
  "/auth/acme/userinfo /auth/userinfo /entitlements /contracts /profile /auth/acme/refresh /profile /auth/acme/callback /no"
    .split(" ");

testInBrowser("the demo, from the first page to the last, in a browser", async (t) => {
  const systemFetch = globalThis.fetch;
  const watch: TokenWatch = watchTokens((input, init) => systemFetch(input, init));
  globalThis.fetch = watch.fetch as typeof fetch;
  const service = await startService(await loadConfig({ PORT: "0" }));
  const { url } = service;
  const issuer = service.tokenService!.issuer;
  try {
    await withBrowser((browser) => visitEverything(t, { browser, url, issuer, watch }));
  } finally {
    globalThis.fetch = systemFetch;
    await service.shutdown();
  }
});

interface Stage {
  readonly browser: Browser;
  readonly url: string;
  readonly issuer: string;
  readonly watch: TokenWatch;
}

async function visitEverything(t: Deno.TestContext, { browser, url, issuer, watch }: Stage): Promise<void> {
  const exchanges = () => watch.grants.filter((grant) => grant === "authorization_code").length;

  await t.step(
    "a person signs in at another site, sees who is signed in and what the API says, signs out",
    async () => {
      await using visitor = await openVisitor(browser);
      const { page, context, traffic } = visitor;
      await page.goto(url);
      await greeting(page).getByText("You are not signed in").waitFor();
      assertEquals(await page.locator("#api").isVisible(), false);

      await page.getByRole("link", { name: "Sign in" }).click();
      await page.getByLabel("E-mail").waitFor();
      assertEquals(new URL(page.url()).origin, new URL(issuer).origin);
      assertNotEquals(new URL(issuer).hostname, new URL(url).hostname);
      await submitForm(page);
      await greeting(page).getByText("Hello, Ada Lovelace").waitFor();
      assertEquals(page.url(), `${url}/`);
      await page.locator("[data-inspected='0']").waitFor();
      const claims = await page.locator("#claims").innerText();
      assertEquals(claims.split(/\s*\n\s*/), [
        ...["Name", "Ada Lovelace", "E-mail", "ada@example.com", "Subject", "user-ada", "Vendor", "acme"],
      ]);
      const rows = await page.locator("#entitlements tr").allInnerTexts();
      assertEquals(rows, ["Digital daily\t2030-12-31", "Weekend paper\t2030-06-30"]);
      assertEquals(watch.shown.at(-1), `Bearer ${watch.tokens.access.at(-1)}`);

      await page.getByRole("link", { name: "Sign out" }).click();
      await greeting(page).getByText("You are not signed in").waitFor();
      assertEquals(page.url(), `${url}/`);
      assertEquals((await context.cookies()).map(({ name }) => name), ["__Host-sso-form"]);
      await openForm(page, url);

      await traffic.settle();
      const unasked = traffic.complaints.filter((complaint) =>
        !/status of 401 .*\/auth\/acme\/userinfo$/.test(complaint)
      );
      assertEquals(unasked, []);
      const policies = traffic.exchanges.filter(({ status, headers }) =>
        status === 200 && headers.some((line) => /^content-type: text\/html/i.test(line)) &&
        !headers.some((line) => /^content-security-policy: default-src 'none';/i.test(line))
      );
      assertEquals(policies, []);
    },
  );

  await t.step("every cookie has the name and the attributes of the contract, on the wire and in the jar", async () => {
    await using visitor = await openVisitor(browser);
    const { page, context, traffic } = visitor;
    await openForm(page, url);
    const started = traffic.setCookies("/auth/acme/login");
    const [, tx] = /^(__Host-tx-[\w-]{8})=/.exec(started[0] ?? "") ?? [];
    const state = new URL(page.url()).searchParams.get("state");
    assertEquals(tx, `__Host-tx-${state?.slice(0, 8)}`);
    await submitForm(page);
    await page.locator("[data-inspected]").waitFor();
    await traffic.settle();
    assertEquals(traffic.setCookies("/auth/acme/login").map(maskValue), [
      `${tx}=${sealedFor("tx")}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600`,
    ]);
    assertEquals(traffic.setCookies("/auth/acme/callback").map(maskValue), [
      `at=${sealedFor("at")}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=86400`,
      `__Host-rt=${sealedFor("rt")}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=2592000`,
      "signed_in=1; Path=/; Secure; SameSite=Lax; Max-Age=2592000",
      `${tx}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0`,
    ]);
    assertEquals(traffic.setCookies("/authorize").map(maskValue), [
      "__Host-sso-form=<43>; Path=/; Secure; HttpOnly; SameSite=Lax",
    ]);
    assertEquals(traffic.setCookies("/login").map(maskValue), [
      "__Host-sso=<43>; Path=/; Secure; HttpOnly; SameSite=Lax",
    ]);
    const known = ["/auth/acme/login", "/auth/acme/callback", "/authorize", "/login"];
    const others = traffic.exchanges.map((exchange) => new URL(exchange.url).pathname).filter((path) =>
      !known.includes(path)
    );
    assertEquals(others.flatMap((path) => traffic.setCookies(path)), []);

    const jar = await context.cookies();
    const shown = jar.map(({ name, domain, path, secure, httpOnly, sameSite, expires }) => {
      const days = expires === -1 ? "session" : Math.round((expires - Date.now() / 1000) / 86_400);
      return [name, domain, path, secure, httpOnly, sameSite, days].join(" ");
    });
    assertEquals(shown.toSorted(), [
      "__Host-rt localhost / true true Strict 30",
      "__Host-sso 127.0.0.1 / true true Lax session",
      "__Host-sso-form 127.0.0.1 / true true Lax session",
      "at localhost / true true Lax 1",
      "signed_in localhost / true false Lax 30",
    ]);
    assertEquals(await page.evaluate("document.cookie"), "signed_in=1");

    await page.getByRole("link", { name: "Sign out" }).click();
    await greeting(page).getByText("You are not signed in").waitFor();
    assertEquals(traffic.setCookies("/auth/acme/logout"), [
      "at=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
      "__Host-rt=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0",
      "signed_in=; Path=/; Secure; SameSite=Lax; Max-Age=0",
    ]);
    assertEquals(traffic.setCookies("/oidc/logout"), [
      "__Host-sso=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
    ]);
  });

  await t.step("no piece of a token is in anything that the browser receives or a script can reach", async () => {
    await using visitor = await openVisitor(browser);
    const { page, traffic } = visitor;
    await signIn(page, url);
    const asked = await page.evaluate(`(async () => {
      const statuses = [];
      for (const path of ${JSON.stringify(ASKED_PATHS)}) {
        const response = await fetch(path, { method: path.endsWith("/refresh") ? "POST" : "GET" });
        await response.text();
        statuses.push(response.status);
      }
      return statuses;
    })()`);
    assertEquals(asked, [...Array(8).fill(200), 404]);
    const reach = [await collectReach(page)];
    await traffic.settle();
    await page.reload();
    await page.locator("[data-inspected='0']").waitFor();
    assertEquals(await page.locator("#verdict").innerText(), "No token anywhere within reach.");
    assertEquals(await page.locator("#findings td:nth-child(3)").allInnerTexts(), Array(7).fill("none"));
    reach.push(await collectReach(page));
    await traffic.settle();
    await page.getByRole("link", { name: "Sign out" }).click();
    await greeting(page).getByText("You are not signed in").waitFor();
    reach.push(await collectReach(page));
    await traffic.settle();

    const { access, refresh, id } = watch.tokens;
    assertEquals(watch.grants.at(-1), "refresh_token");
    assertEquals([access.length > 1, refresh.length > 1, id.length > 1], [true, true, true]);
    const { secrets, idTokens, searched } = findTokens({ tokens: watch.tokens, traffic, reach });
    assertEquals(secrets, []);
    // The hint with which a navigation signs out at the token service (contract, section 2.6): no script sees these hops.
    assertEquals(idTokens, ["/auth/acme/logout", "/oidc/logout"]);
    assertEquals(traffic.unread, []);
    assertGreater(searched, 50_000);
  });

  await t.step("control: the same scan finds a token wherever one is planted, and so does the page", async () => {
    await using visitor = await openVisitor(browser);
    const { page, context, traffic } = visitor;
    await signIn(page, url);
    const token = watch.tokens.access.at(-1)!;
    const piece = token.slice(50, 90);
    const hasSecret = createTokenScan(watch.tokens.access);
    const clean = Object.entries(await collectReach(page)).filter(([, content]) => hasSecret(content));
    assertEquals(clean, []);
    for (const planted of [piece, btoa(`{"x":"${piece}"}`), btoa(` ${piece}`), btoa(`  ${piece}`), token]) {
      await plant(page, encodeURIComponent(planted));
      const found = Object.entries(await collectReach(page)).filter(([, content]) => hasSecret(content));
      assertEquals(found.map(([place]) => place).toSorted(), Object.keys(await collectReach(page)).toSorted());
    }
    await page.goto(url);
    await page.locator("[data-inspected]:not([data-inspected='0'])").waitFor();
    assertMatch(await page.locator("#verdict").innerText(), /^Tokens within reach in \d places!$/);

    await context.route("**/leak", (route) => route.fulfill({ headers: { "x-leak": token }, body: `"${piece}"` }));
    await page.evaluate(`fetch("/leak").then((response) => response.text())`);
    await traffic.settle();
    const leak = traffic.exchanges.at(-1)!;
    assertEquals([hasSecret(leak.headers.join()), hasSecret(leak.body)], [true, true]);
    assert(traffic.exchanges.some((exchange) => hasSecret(exchange.url)));
  });

  await t.step("two tabs that open the form before either submits it both end up signed in", async () => {
    await using visitor = await openVisitor(browser);
    const { page, context, traffic } = visitor;
    const other = await context.newPage();
    await openForm(page, url);
    await openForm(other, url);
    assertEquals((await context.cookies(url)).filter(({ name }) => name.startsWith("__Host-tx-")).length, 2);
    await Promise.all([submitForm(page), submitForm(other)]);
    for (const tab of [page, other]) await greeting(tab).getByText("Hello, Ada Lovelace").waitFor();
    for (const tab of [page, other]) {
      await tab.reload();
      await greeting(tab).getByText("Hello, Ada Lovelace").waitFor();
      await tab.locator("#entitlements tr").nth(1).waitFor();
    }
    assertEquals((await context.cookies(url)).map(({ name }) => name).toSorted(), ["__Host-rt", "at", "signed_in"]);
    await traffic.settle();
    assertEquals(traffic.exchanges.filter(({ status }) => status >= 400 && status !== 401), []);
  });

  await t.step(
    "the back button after signing in leads to the signed-in page, after signing out to the signed-out one",
    async () => {
      await using visitor = await openVisitor(browser);
      const { page } = visitor;
      await signIn(page, url);
      await page.goBack();
      await greeting(page).getByText("Hello, Ada Lovelace").waitFor();
      assertEquals(page.url(), `${url}/`);
      await page.goBack();
      await greeting(page).getByText("Hello, Ada Lovelace").waitFor();
      await page.goForward();
      await greeting(page).getByText("Hello, Ada Lovelace").waitFor();
      await page.getByRole("link", { name: "Sign out" }).click();
      await greeting(page).getByText("You are not signed in").waitFor();
      await page.goBack();
      await greeting(page).getByText("You are not signed in").waitFor();
    },
  );

  await t.step("an impatient double click on the form's button signs in", async () => {
    await using visitor = await openVisitor(browser);
    const { page } = visitor;
    await openForm(page, url);
    await page.getByLabel("E-mail").fill("ada@example.com");
    await page.getByLabel("Password").fill("open sesame");
    await page.getByRole("button", { name: "Sign in" }).dblclick();
    await greeting(page).getByText("Hello, Ada Lovelace").waitFor();
    await page.locator("#entitlements tr").nth(1).waitFor();
  });

  await t.step("the callback's address opened again shows the signed-in page, without another exchange", async () => {
    await using visitor = await openVisitor(browser);
    const { page, traffic } = visitor;
    await signIn(page, url);
    await traffic.settle();
    const before = exchanges();
    const { url: callback } = traffic.exchanges.find((exchange) =>
      exchange.url.startsWith(`${url}/auth/acme/callback?`)
    )!;
    await page.goto(callback);
    await greeting(page).getByText("Hello, Ada Lovelace").waitFor();
    await page.reload();
    await greeting(page).getByText("Hello, Ada Lovelace").waitFor();
    assertEquals(exchanges(), before);

    await using stranger = await openVisitor(browser);
    await stranger.page.goto(callback);
    assertEquals(await stranger.page.locator("code").first().innerText(), "login_expired");
    assertEquals(exchanges(), before);
  });

  await t.step("a wrong password brings a message and no cookie, and the right one still works", async () => {
    await using visitor = await openVisitor(browser);
    const { page, context } = visitor;
    await openForm(page, url);
    const before = (await context.cookies()).map(({ name }) => name);
    await submitForm(page, { password: "shut sesame" });
    const message = await page.getByRole("alert").innerText();
    assertEquals(message, "This e-mail address and password do not belong together.");
    assertEquals(await page.getByLabel("E-mail").inputValue(), "ada@example.com");
    assertEquals(await page.getByLabel("Password").inputValue(), "");
    assertEquals((await context.cookies()).map(({ name }) => name), before);
    await page.getByLabel("Password").fill("open sesame");
    await page.getByRole("button", { name: "Sign in" }).click();
    await greeting(page).getByText("Hello, Ada Lovelace").waitFor();
  });

  await t.step("the whole visit works with the keyboard alone, and shows where the focus is", async () => {
    await using visitor = await openVisitor(browser);
    const { page } = visitor;
    const focused = () =>
      page.evaluate(`(() => {
        const { textContent, id } = document.activeElement;
        return [id || textContent, getComputedStyle(document.activeElement).outlineStyle];
      })()`);
    await page.goto(url);
    await page.locator("[data-inspected]").waitFor();
    await page.keyboard.press("Tab");
    assertEquals(await focused(), ["sign-in", "solid"]);
    await page.keyboard.press("Enter");
    await page.getByLabel("E-mail").waitFor();
    assertEquals(await focused(), ["email", "solid"]);
    await page.keyboard.type("ada@example.com");
    await page.keyboard.press("Tab");
    assertEquals(await focused(), ["password", "solid"]);
    await page.keyboard.type("open sesame");
    await page.keyboard.press("Tab");
    assertEquals(await focused(), ["Sign in", "solid"]);
    await page.keyboard.press("Enter");
    await greeting(page).getByText("Hello, Ada Lovelace").waitFor();
    await page.locator("[data-inspected]").waitFor();
    await page.keyboard.press("Tab");
    assertEquals(await focused(), ["sign-out", "solid"]);
    await page.keyboard.press("Enter");
    await greeting(page).getByText("You are not signed in").waitFor();
  });

  await t.step("a callback that belongs to no sign-in shows a page with its code and a way on", async () => {
    await using visitor = await openVisitor(browser);
    const { page, traffic } = visitor;
    await page.goto(`${url}/auth/acme/callback?code=nothing&state=nothing`);
    assertEquals(await page.locator("code").first().innerText(), "login_expired");
    assertEquals(traffic.exchanges[0]?.status, 400);
    await page.getByRole("link", { name: "Sign in" }).click();
    await submitForm(page);
    await greeting(page).getByText("Hello, Ada Lovelace").waitFor();
    await traffic.settle();
    assertEquals(traffic.complaints.filter((complaint) => !complaint.includes("status of 400")), []);
  });
}
