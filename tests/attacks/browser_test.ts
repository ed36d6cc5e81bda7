/**
 * The cases of kind `browser`: Chromium over https, the provider on another site than the application.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { testInBrowser, withBrowser } from "../support/browser.ts";
import { serveTlsWeb } from "../support/tls_web.ts";
import { GROUPS, readCases } from "./cases.ts";
import { PATHS, TRANSACTION_PREFIX } from "./names.ts";
import { ACME, createWorld } from "./world.ts";

const cases = readCases().filter(({ group, request }) => GROUPS.includes(group) && request.kind === "browser");

for (const { id, what, request, expect } of cases) {
  testInBrowser(`attacks: ${id}: ${what}`, async () => {
    assertEquals(request.do, "real login through the mock IdP on another site");
    const { status: statuses, session, note: _note, ...unknown } = expect;
    assertEquals(unknown, {});
    const world = await createWorld();
    const web = await serveTlsWeb(world.hosts);
    try {
      await withBrowser(async (browser) => {
        const context = await browser.newContext();
        const page = await context.newPage();
        const answered = page.waitForResponse((response) => new URL(response.url()).pathname === PATHS.callback);
        await page.goto(ACME.allowedOrigins[0]!);
        const login = `${ACME.publicUrl}${PATHS.login}?returnTo=${encodeURIComponent(`${ACME.allowedOrigins[0]}/in`)}`;
        await page.evaluate(`location.href = ${JSON.stringify(login)}`);
        await page.waitForURL(`${ACME.allowedOrigins[0]}/in`);
        const address = JSON.stringify(`${ACME.publicUrl}${PATHS.session}`);
        const seen = await page.evaluate(`fetch(${address}, { credentials: "include" }).then((r) => r.json())`);
        const callback = await answered;
        const { cookie = "" } = await callback.request().allHeaders();
        assert(cookie.includes(TRANSACTION_PREFIX), cookie);
        assert((statuses as number[]).includes(callback.status()));
        assertEquals((seen as { sub: string }).sub, session);
      }, { flags: web.flags });
    } finally {
      await web.close();
      await world.close();
    }
  });
}
