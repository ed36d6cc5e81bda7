/**
 * Cloakroom beside routes of one's own: a page that is rendered on the server and knows who is signed in, an own API,
 * and everything else for the token handler.
 *
 * Run it in a clone with three settings of your provider:
 *
 * ```sh
 * ISSUER=https://id.example/ CLIENT_ID=web CLIENT_SECRET=secret \
 *   deno run --allow-net --allow-env=ISSUER,CLIENT_ID,CLIENT_SECRET \
 *   $(deno run -q -P=flags --no-lock tools/registry.ts) examples/own_routes/main.ts
 * ```
 *
 * @module
 */

import { Hono } from "@hono/hono";
import { html } from "@hono/hono/html";
import { type Cloakroom, createCloakroom, createMemoryRecords, Secret } from "@cloakroom/token-handler";

/** What the page needs to know about whoever is signed in. */
interface User {
  readonly sub: string;
  readonly name?: string;
  readonly logout_url: string;
}

/** Puts own routes in front of a token handler. */
export function createApp(cloakroom: Cloakroom): (request: Request, clientAddress: string) => Promise<Response> {
  const app = new Hono<{ Bindings: { readonly clientAddress: string } }>();

  app.get("/", async (c) => {
    const { user, cookies } = await whoIs(cloakroom, c.req.raw);
    // A refresh may have happened on the way: the browser has to get the new cookies.
    for (const cookie of cookies) c.header("set-cookie", cookie, { append: true });
    c.header("cache-control", "no-store");
    return c.html(
      user === null
        ? html`<p>Hello, stranger. <a href="/auth/web/login?returnTo=/">Sign in</a></p>`
        : html`<p>Hello, ${user.name ?? user.sub}. <a href="${user.logout_url}">Sign out</a></p>`,
    );
  });
  app.get("/time", (c) => c.json({ time: new Date().toISOString() }));
  app.all("*", (c) => cloakroom.fetch(c.req.raw, c.env.clientAddress));

  return async (request, clientAddress) => await app.fetch(request, { clientAddress });
}

/** Asks the token handler in the same process, as a page would ask over HTTP. */
async function whoIs(
  cloakroom: Cloakroom,
  request: Request,
): Promise<{ readonly user: User | null; readonly cookies: readonly string[] }> {
  const address = new URL("/auth/web/userinfo", request.url);
  const answer = await cloakroom.fetch(new Request(address, { headers: request.headers }));
  const user: User | null = answer.ok ? await answer.json() : null;
  return { user, cookies: answer.headers.getSetCookie() };
}

if (import.meta.main) {
  const cloakroom = await createCloakroom({
    records: createMemoryRecords(),
    masterKey: new Secret(crypto.getRandomValues(new Uint8Array(32))),
  });
  await cloakroom.saveVendor("web", {
    issuer: Deno.env.get("ISSUER"),
    clientId: Deno.env.get("CLIENT_ID"),
    clientSecret: Deno.env.get("CLIENT_SECRET"),
  });
  const handle = createApp(cloakroom);
  Deno.serve({ hostname: "localhost", port: 8787 }, (request, info) => handle(request, info.remoteAddr.hostname));
}
