/**
 * The demo's page, signed in at somebody else's token service: npm `oidc-provider`, with its own pages, in a real browser.
 *
 * @module
 */

import { assertEquals, assertGreater } from "@std/assert";
import { Secret } from "../../lib/secret.ts";
import { createMemoryRecords } from "../../lib/store/mod.ts";
import { createCloakroom } from "../../routes/cloakroom.ts";
import { createDemoPages } from "../../routes/demo/page.ts";
import { testInBrowser, withBrowser } from "../support/browser.ts";
import { type ForeignClient, startForeignProvider } from "../support/foreign_provider.ts";
import { serveOnLoopback } from "../support/loopback.ts";
import { collectReach } from "../support/reach.ts";
import { type TokenWatch, watchTokens } from "../support/tokens.ts";
import { findTokens } from "./scan.ts";
import { openVisitor, type Visitor } from "./visitor.ts";

const CLIENTS: readonly ForeignClient[] = [
  {
    id: "confidential",
    secret: "a-secret-that-is-plain",
    method: "client_secret_basic",
    resource: "https://api.example/",
  },
  { id: "public", secret: null, method: "none", resource: null },
];

interface Place {
  readonly url: string;
  readonly issuer: string;
  readonly watch: TokenWatch;
}

/** The demo's page and the token handler on `localhost`, the provider on `127.0.0.1`, and an API that answers everybody. */
async function withPlace(client: ForeignClient, run: (place: Place) => Promise<void>): Promise<void> {
  const watch = watchTokens(fetch);
  const cloakroom = await createCloakroom({
    records: createMemoryRecords(),
    masterKey: new Secret(new Uint8Array(32).fill(7)),
    fetch: watch.fetch,
    insecureAllowLoopback: true,
    demoPages: createDemoPages([]),
  });
  const app = serveOnLoopback((request, address) => cloakroom.fetch(request, address));
  const url = `http://localhost:${app.port}`;
  const provider = await startForeignProvider({
    client,
    redirectUri: `${url}/auth/acme/callback`,
    postLogoutRedirectUri: `${url}/`,
  });
  const api = serveOnLoopback(() => Response.json([{ name: "Foreign weekly", validUntil: "2031-01-31" }]));
  await cloakroom.saveVendor("acme", {
    clientId: client.id,
    ...(client.secret === null ? {} : { clientSecret: client.secret }),
    clientAuthMethod: client.method,
    issuer: provider.issuer,
    upstreams: [{ path: "/entitlements", target: `http://127.0.0.1:${api.port}` }],
    postLogoutRedirects: [`${url}/`],
  });
  try {
    await run({ url, issuer: provider.issuer, watch });
  } finally {
    await cloakroom.settle();
    await Promise.all([app.close(), api.close(), provider.close()]);
  }
}

testInBrowser("the whole visit at a foreign provider, in a browser", async (t) => {
  await withBrowser(async (browser) => {
    for (const client of CLIENTS) {
      const kind = client.resource === null ? "opaque access tokens" : "JWT access tokens";
      await t.step(`a ${client.id} client with ${kind}`, async () => {
        await withPlace(client, async (place) => {
          await using visitor = await openVisitor(browser);
          await visitEverything(visitor, place);
        });
      });
    }
  });
});

async function visitEverything({ page, context, traffic }: Visitor, { url, issuer, watch }: Place): Promise<void> {
  const greeting = page.locator("#greeting");
  await page.goto(url);
  await greeting.getByText("You are not signed in").waitFor();
  // The provider gives refresh tokens only where it may ask for consent.
  await page.goto(`${url}/auth/acme/login?returnTo=/&prompt=consent`);
  assertEquals(new URL(page.url()).origin, issuer);
  await page.getByLabel("Login").fill("grace");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Allow" }).click();
  await greeting.getByText("Hello, Name of grace").waitFor();
  await page.locator("[data-inspected='0']").waitFor();
  assertEquals(await page.locator("#entitlements tr").allInnerTexts(), ["Foreign weekly\t2031-01-31"]);
  assertEquals(watch.shown.at(-1), `Bearer ${watch.tokens.access[0]}`);

  const refreshed = await page.evaluate(`fetch("/auth/acme/refresh", { method: "POST" }).then(async (response) => {
    await response.text();
    return response.status;
  })`);
  assertEquals([refreshed, watch.grants], [200, ["authorization_code", "refresh_token"]]);
  const reach = [await collectReach(page)];
  await traffic.settle();
  await page.reload();
  await greeting.getByText("Hello, Name of grace").waitFor();
  await page.locator("[data-inspected='0']").waitFor();
  assertEquals(watch.shown.at(-1), `Bearer ${watch.tokens.access[1]}`);
  reach.push(await collectReach(page));
  await traffic.settle();

  await page.getByRole("link", { name: "Sign out" }).click();
  assertEquals(new URL(page.url()).origin, issuer);
  await traffic.settle();
  await page.getByRole("button", { name: "Sign out" }).click();
  await greeting.getByText("You are not signed in").waitFor();
  await page.locator("[data-inspected='0']").waitFor();
  assertEquals((await context.cookies(url)).map(({ name }) => name), []);
  reach.push(await collectReach(page));
  await traffic.settle();

  const { secrets, idTokens, searched } = findTokens({ tokens: watch.tokens, traffic, reach });
  assertEquals(secrets, []);
  // The hint for the provider, and the provider's page that names itself as the referrer to the provider.
  assertEquals(idTokens, ["/auth/acme/logout", "/session/end", "/session/end/confirm"]);
  assertGreater(searched, 50_000);
  const unasked = traffic.complaints.filter((complaint) => !/status of 401 .*\/auth\/acme\/userinfo$/.test(complaint));
  assertEquals(unasked, []);
}
