/**
 * Neighbours of the header cases: whatever a stranger writes into a header that could name somebody, and whatever an
 * upstream sends that is not for the browser. The rule: what crosses is listed, in both directions.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { sendRequest } from "../../support/raw_http.ts";
import { PATHS } from "../names.ts";
import { createStage, type Person, sessionOf } from "../stage.ts";
import { ACME, withWorld, type World } from "../world.ts";

const HOST = "api.acme.test";

/** How headers begin that some proxy, gateway or framework believes. */
const BEGINNINGS = [
  ...["x-forwarded", "x-auth-request", "x-authenticated", "x-remote", "remote", "x-webauth", "x-user", "x-vendor"],
  ...["x-tenant", "x-consumer", "x-token", "x-ms-client-principal", "x-amzn-oidc", "x-goog-authenticated-user"],
  ...[
    "cf-access",
    "cf-connecting",
    "x-envoy",
    "x-ssl-client",
    "x-client",
    "x-original",
    "x-rewrite",
    "x-real",
    "x-http",
  ],
  ...["x-deno", "x-cloakroom", "x-jwt", "proxy", "true-client", "fastly-client", "x-cluster-client", "x-middleware"],
];

const ENDINGS = [
  ...[
    "user",
    "email",
    "groups",
    "roles",
    "name",
    "id",
    "access-token",
    "assertion",
    "cert",
    "ip",
    "for",
    "host",
    "proto",
  ],
  ...["port", "prefix", "uri", "url", "path", "method", "method-override", "scheme", "server", "address", "claims"],
];

const SINGLE = [
  ...[
    "forwarded",
    "via",
    "authorization-",
    "x-authorization",
    "x-api-key",
    "x-csrf",
    "x-request-id",
    "origin",
    "referer",
  ],
  ...["x-http-method-override", "x-method-override", "x-http-method", "accept-encoding", "max-forwards", "early-data"],
  ...[
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "sec-fetch-site",
    "http2-settings",
    "from",
  ],
  ...["x-content-type-options", "surrogate-capability", "cdn-loop", "x-wap-profile", "base-url", "client-ip", "user"],
];

const NAMES = [...BEGINNINGS.flatMap((beginning) => ENDINGS.map((ending) => `${beginning}-${ending}`)), ...SINGLE];

/** One spelling for each way in which names get folded into one another. */
const SPELLINGS: readonly ((name: string) => string)[] = [
  (name) => name,
  (name) => name.replaceAll("-", "_"),
  (name) => name.toUpperCase().replaceAll("-", "_"),
  (name) => name.replace("-", "_"),
  (name) => `${name}_`,
  (name) => name.replaceAll("-", "."),
];

const MARK = "written-by-a-stranger";

/** Headers in a request at the most; more are refused as too many. */
const BATCH = 60;

Deno.test("no header that could name somebody crosses, in any spelling", async () => {
  await withAlice(async (world, alice) => {
    const [plain] = await seenBy(world, () => call(world, alice, []));
    const names = SPELLINGS.flatMap((spell) => NAMES.map(spell)).filter((name) => !isJudged(name));
    for (let i = 0; i < names.length; i += BATCH) {
      const batch = names.slice(i, i + BATCH);
      const [seen] = await seenBy(world, () => call(world, alice, batch.map((name) => [name, MARK] as const)));
      assertEquals(namesOf(seen!), namesOf(plain!), `${batch}`);
      assert([...seen!.values()].every((value) => !value.includes(MARK)), `${batch}`);
    }
  });
});

/** These decide whether the call is answered at all. */
function isJudged(name: string): boolean {
  return ["origin", "sec-fetch-site", "x-csrf"].includes(name.toLowerCase());
}

Deno.test("no header changes where a sign-in comes back to, or which vendor it is for", async () => {
  await withWorld(async (world) => {
    const names = [...NAMES, ...NAMES.map((name) => name.replaceAll("-", "_"))];
    for (let i = 0; i < names.length; i += BATCH) {
      const headers = names.slice(i, i + BATCH).map((name) => [name, "api.globex.test"] as const);
      const { status, headers: answered } = await sendRequest(world.app.port, {
        host: HOST,
        target: PATHS.login!,
        headers,
      });
      const location = new URL(answered.get("location")!);
      assertEquals([status, location.host], [302, "idp.test"]);
      assertEquals(location.searchParams.get("redirect_uri"), `${ACME.publicUrl}${PATHS.callback}`);
      assertEquals(location.searchParams.get("client_id"), ACME.clientId);
    }
  });
});

Deno.test("no header is taken away from the upstream by naming it in Connection", async () => {
  await withAlice(async (world, alice) => {
    const [plain] = await seenBy(world, () => call(world, alice, []));
    const own = ["authorization", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
    const rows = [...own, ...own.map((name) => name.toUpperCase()), own.join(", "), own.join(","), ` ,${own[0]},,`];
    for (const value of [...rows, `close, ${own[0]}`, `"${own[0]}"`, `${own[0]};q=1`]) {
      const [seen] = await seenBy(world, () => call(world, alice, [["Connection", value]]));
      for (const name of own) assertEquals(seen!.get(name), plain!.get(name), `${name} with ${value}`);
      assertEquals(seen!.has("connection"), false);
    }
  });
});

Deno.test("nothing but the request line says which method and path a call has", async () => {
  await withAlice(async (world, alice) => {
    const overrides = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X_HTTP_Method_Override"];
    const rewrites = ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Original-Uri", "X-Forwarded-Path"];
    const headers = [
      ...overrides.map((name) => [name, "DELETE"] as const),
      ...rewrites.map((name) => [name, "/api/other"] as const),
    ];
    const before = world.upstream.calls.length;
    await call(world, alice, headers, "/api/x?_method=DELETE&method=DELETE&X-HTTP-Method-Override=DELETE");
    const [seen] = world.upstream.calls.slice(before);
    assertEquals([seen!.method, seen!.path.split("?", 1)[0]], ["GET", "/api/x"]);
    // The table is asked with the same words: what needs somebody still does.
    const { status } = await call(
      world,
      { browser: world.openBrowser("alice") },
      rewrites.map((name) => [name, "/public"]),
      "/private",
    );
    assertEquals(status, 401);
  });
});

/** What an upstream says that is about the connection, about us, or about our whole origin. */
const UPSTREAM_HEADERS = [
  ...["connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer", "upgrade", "set-cookie2"],
  ...["access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-headers"],
  ...["access-control-allow-methods", "access-control-expose-headers", "access-control-max-age", "clear-site-data"],
  ...["refresh", "service-worker-allowed", "strict-transport-security", "public-key-pins", "alt-svc", "server"],
  "x-powered-by",
];

Deno.test("what an upstream says about the connection, about us or about the whole origin stays behind", async () => {
  await withAlice(async (world, alice) => {
    for (const name of UPSTREAM_HEADERS) {
      world.upstream.reply = () => new Response("whole", { headers: { [name]: MARK } });
      const { headers, body } = await call(world, alice, []);
      assertEquals([headers.get(name)?.includes(MARK) ?? false, body], [false, "whole"], name);
    }
  });
});

const COOKIES = [
  ...["at", "__Host-rt", "__Host-at", "signed_in", "__Host-tx-abcdefgh", "__Secure-at", "AT", "__HOST-RT", "sid", ""],
].flatMap((name) => [
  `${name}=evil`,
  `${name}=evil; Path=/; Secure; HttpOnly; SameSite=Strict`,
  `${name}=evil; Domain=.acme.test; Path=/`,
  `${name}=; Max-Age=0; Path=/`,
  ` ${name} = evil`,
  `${name}`,
]);

Deno.test("an upstream sets no cookie that the vendor does not list, and cannot touch a session", async () => {
  await withAlice(async (world, alice) => {
    for (const cookie of COOKIES) {
      world.upstream.reply = () => new Response("whole", { headers: [["set-cookie", cookie], ["set-cookie", "b=1"]] });
      const { headers } = await call(world, alice, []);
      assertEquals(headers.getSetCookie(), [], cookie);
    }
    world.upstream.reply = null;
    assertEquals(await sessionOf(alice), "alice");
  });
});

const LOCATIONS = [
  ...["https://upstream.test/api/y", "https://upstream.test:443/api/y", "HTTPS://UPSTREAM.TEST/api/y", "/api/y", "y"],
  ...["https:\\\\upstream.test\\api\\y", "//upstream.test/api/y", "https://u:p@upstream.test/api/y", "?y", "#y", ""],
  ...["https:/api/y", "\\\\upstream.test/api/y", "/\\upstream.test/api/y", "\t//upstream.test/api/y"],
  ...["http://upstream.test/y", "http://upstream.internal/y", "http://10.0.0.1/y", "http://localhost/y", "http:y"],
  ...[
    "ftp://upstream.test/y",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "blob:https://upstream.test/x",
  ],
  ...["https://upstream.test:99999/y", "https://[/y", "https:// upstream.test/y"],
];

Deno.test("a redirect of an upstream never shows its name, and leads to no other scheme", async () => {
  await withAlice(async (world, alice) => {
    let own = 0;
    for (const location of LOCATIONS) {
      for (const status of [201, 301, 302, 303, 307, 308]) {
        world.upstream.reply = () => new Response("whole", { status, headers: { location } });
        const [seen, answer] = await seenBy(world, () => call(world, alice, []));
        assert(seen !== undefined, "the upstream was not asked");
        assertEquals([answer.status, answer.body], [status, "whole"], location);
        const shown = answer.headers.get("location");
        if (shown === null) continue;
        const url = new URL(shown, `${ACME.publicUrl}/api/x`);
        assertEquals([url.protocol, url.host, url.username], ["https:", HOST, ""], location);
        own++;
      }
    }
    assert(own > 20, `${own}`);
    assertEquals([...new Set(world.network.dialled)].sort(), ["https://idp.test", "https://upstream.test"]);
  });
});

async function withAlice(run: (world: World, alice: Person) => Promise<void>): Promise<void> {
  await withWorld(async (world) => await run(world, await createStage(world).signedIn("alice")));
}

async function call(
  world: World,
  { browser }: Pick<Person, "browser">,
  headers: readonly (readonly [string, string])[],
  target = "/api/x",
) {
  const cookie = browser.jar.header(new URL(ACME.publicUrl));
  const all = cookie === null ? headers : [["Cookie", cookie] as const, ...headers];
  return await sendRequest(world.app.port, { host: HOST, target, headers: all });
}

/** What the upstream saw of the one call, and the answer. */
async function seenBy<T>(world: World, act: () => Promise<T>): Promise<readonly [Headers | undefined, T]> {
  const before = world.upstream.calls.length;
  const answer = await act();
  return [world.upstream.calls[before]?.headers, answer];
}

function namesOf(headers: Headers): readonly string[] {
  return [...headers.keys()].sort();
}
