/**
 * Neighbours of the callback cases: each parameter in every wrong spelling, each cookie that is not the right one, each
 * way of asking that is not a browser coming back from the provider. The rule: the transaction is found first, every
 * comparison is with a value kept in it, and absent never equals absent.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { TRANSACTION_SECONDS } from "../../../lib/token_handler/transaction.ts";
import type { JsonObject } from "../../../lib/encoding.ts";
import { sendRequest } from "../../support/raw_http.ts";
import { signJwt } from "../../support/signing_key.ts";
import { PATHS, TRANSACTION_PREFIX } from "../names.ts";
import { watch } from "../outcome.ts";
import { reseal } from "../sealed.ts";
import { baseOf, type Begun, cookieOf, createStage, sessionOf, type Stage } from "../stage.ts";
import { ACME, GLOBEX, withWorld, type World } from "../world.ts";

/** A callback, as it is about to be asked for. */
interface Ask {
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly query: string;
  readonly headers?: readonly (readonly [string, string])[];
  /** The whole `Cookie` header; by default the transaction cookie as it is. */
  readonly cookie?: string;
  readonly body?: string;
}

/** What one row changes about a good callback. */
type Change = (begun: Begun, stage: Stage) => Ask | Promise<Ask>;

/** The good parameters with some replaced; `null` leaves one out, a list repeats it. */
function query({ callback }: Begun, changes: Readonly<Record<string, string | null | readonly string[]>> = {}): string {
  const search = new URLSearchParams(callback.search);
  for (const [name, value] of Object.entries(changes)) {
    search.delete(name);
    for (const one of typeof value === "string" ? [value] : value ?? []) search.append(name, one);
  }
  return search.toString();
}

/** Other spellings of a text, none of which is the text. */
function spellingsOf(text: string): Readonly<Record<string, string>> {
  const spellings: Record<string, string> = {
    "empty": "",
    "shorter": text.slice(0, -1),
    "without its beginning": text.slice(1),
    "longer": `${text}A`,
    "twice": `${text}${text}`,
    "in upper case": text.toUpperCase(),
    "in lower case": text.toLowerCase(),
    "with a space before": ` ${text}`,
    "with a space behind": `${text} `,
    "with NUL behind": `${text}\u0000`,
    "with a newline behind": `${text}\n`,
    "with padding": `${text}=`,
    "with a byte order mark": `\ufeff${text}`,
    "with a wide letter": `${text.slice(0, -1)}\uff21`,
    "undefined": "undefined",
    "null": "null",
    "[object Object]": "[object Object]",
    "__proto__": "__proto__",
    "an array": `["${text}"]`,
    "2 KB": text.padEnd(2049, "A"),
  };
  return Object.fromEntries(Object.entries(spellings).filter(([, spelling]) => spelling !== text));
}

const MISSING_OR_WRONG: Readonly<Record<string, Change>> = {
  ...rows("state", (begun) => begun.state),
  ...Object.fromEntries(
    Array.from({ length: 43 }, (_, i) => [`state with another character ${i}`, (begun: Begun) => {
      const letter = begun.state[i] === "A" ? "B" : "A";
      return { query: query(begun, { state: `${begun.state.slice(0, i)}${letter}${begun.state.slice(i + 1)}` }) };
    }]),
  ),
  ...rows("iss", () => "https://idp.test/", {
    "with http": "http://idp.test/",
    "with a port": "https://idp.test:443/",
    "with a path": "https://idp.test/x",
    "with a query": "https://idp.test/?",
    "with user-info": "https://x@idp.test/",
    "with a dot segment": "https://idp.test/./",
    "with an escape": "https://idp%2etest/",
    "with a trailing dot": "https://idp.test./",
    "of the other provider": "https://idp-b.test/",
    "of nobody": "https://evil.test/",
  }),
  "no parameter at all": () => ({ query: "" }),
  "no code and no error": (begun) => ({ query: query(begun, { code: null }) }),
  "code empty": (begun) => ({ query: query(begun, { code: "" }) }),
  "code with a newline": (begun) => ({ query: query(begun, { code: `${begun.code}\n` }) }),
  "code beyond ASCII": (begun) => ({ query: query(begun, { code: `${begun.code}é` }) }),
  "code of 2 KB": (begun) => ({ query: query(begun, { code: "A".repeat(2049) }) }),
  "code as an array": (begun) => ({ query: `code[]=${begun.code}&${query(begun, { code: null })}` }),
  "state as an array": (begun) => ({ query: `state[]=${begun.state}&${query(begun, { state: null })}` }),
  "parameters in upper case": (begun) => ({
    query: `CODE=${begun.code}&STATE=${begun.state}&ISS=${encodeURIComponent("https://idp.test/")}`,
  }),
  "parameters behind a semicolon": (begun) => ({ query: `x=1;${query(begun).replaceAll("&", ";")}` }),
  "code twice, the same": (begun) => ({ query: query(begun, { code: [begun.code, begun.code] }) }),
  "code twice": (begun) => ({ query: query(begun, { code: [begun.code, "x"] }) }),
  "state twice, the same": (begun) => ({ query: query(begun, { state: [begun.state, begun.state] }) }),
  "state twice, the wrong one first": (begun) => ({ query: query(begun, { state: ["x", begun.state] }) }),
  "iss twice, the same": (begun) => ({ query: query(begun, { iss: ["https://idp.test/", "https://idp.test/"] }) }),
  "iss twice": (begun) => ({ query: query(begun, { iss: ["https://idp.test/", "https://evil.test/"] }) }),
  "error twice": (begun) => ({ query: query(begun, { code: null, error: ["access_denied", "x"] }) }),
  "error and code": (begun) => ({ query: query(begun, { error: "access_denied" }) }),
  "empty error and code": (begun) => ({ query: query(begun, { error: "" }) }),
  "only an ID token": (begun) => ({ query: query(begun, { code: null, id_token: "a.b.c" }) }),
  "only an access token": (begun) => ({ query: query(begun, { code: null, access_token: "x", token_type: "Bearer" }) }),
  "a JWT answer (JARM)": () => ({ query: "response=a.b.c" }),
};

/** A row for each wrong spelling of a parameter, and one without it. */
function rows(
  name: string,
  valueOf: (begun: Begun) => string,
  others: Readonly<Record<string, string>> = {},
): Record<string, Change> {
  const spellings = Object.keys(spellingsOf("aB")).filter((spelling) => spelling !== "2 KB" || name === "state");
  return {
    [`${name} missing`]: (begun) => ({ query: query(begun, { [name]: null }) }),
    ...Object.fromEntries(spellings.map((spelling) => [`${name} ${spelling}`, (begun: Begun) => {
      const value = spellingsOf(valueOf(begun))[spelling];
      // A text that has no such spelling is left out instead.
      return { query: query(begun, { [name]: value ?? null }) };
    }])),
    ...Object.fromEntries(
      Object.entries(others).map(([what, value]) => [`${name} ${what}`, (begun: Begun) => ({
        query: query(begun, { [name]: value }),
      })]),
    ),
  };
}

/** The transaction cookie of a login with another value. */
function withTransaction(begun: Begun, value: string): Ask {
  return { query: query(begun), cookie: `${TRANSACTION_PREFIX}${begun.state.slice(0, 8)}=${value}` };
}

const WRONG_COOKIE: Readonly<Record<string, Change>> = {
  "no cookie": (begun) => ({ query: query(begun), cookie: "" }),
  "an empty cookie": (begun) => withTransaction(begun, ""),
  "a word": (begun) => withTransaction(begun, "undefined"),
  "in quotes": (begun) => withTransaction(begun, `"${cookieOf(begun, "tx")}"`),
  "twice": (begun) => {
    const { cookie } = withTransaction(begun, cookieOf(begun, "tx")!);
    return { query: query(begun), cookie: `${cookie}; ${cookie}` };
  },
  "twice, once planted by a sibling host": async (begun, stage) => {
    const { cookie } = withTransaction(begun, cookieOf(begun, "tx")!);
    const planted = withTransaction(begun, cookieOf(await stage.begun("mallory"), "tx")!);
    return { query: query(begun), cookie: `${planted.cookie}; ${cookie}` };
  },
  "under a name without its prefix": (begun) => ({
    query: query(begun),
    cookie: `tx-${begun.state.slice(0, 8)}=${cookieOf(begun, "tx")}`,
  }),
  "under a name in lower case": (begun) => ({
    query: query(begun),
    cookie: `__host-tx-${begun.state.slice(0, 8)}=${cookieOf(begun, "tx")}`,
  }),
  "under the name of the whole state": (begun) => ({
    query: query(begun),
    cookie: `${TRANSACTION_PREFIX}${begun.state}=${cookieOf(begun, "tx")}`,
  }),
  "of somebody else": async (begun, stage) => withTransaction(begun, cookieOf(await stage.begun("mallory"), "tx")!),
  "of the same person's other login": async (begun, stage) =>
    withTransaction(begun, cookieOf(await createStage(stage.world).begun("alice"), "tx")!),
  "of the other vendor": async (begun, stage) =>
    withTransaction(begun, cookieOf(await stage.begun("globex:bob"), "tx")!),
  "an access ticket": async (begun, stage) => withTransaction(begun, cookieOf(await stage.signedIn("mallory"), "at")!),
  "a refresh ticket": async (begun, stage) => withTransaction(begun, cookieOf(await stage.signedIn("mallory"), "rt")!),
  ...Object.fromEntries(
    ["v", "iss", "cid", "st", "n", "cv", "ru", "rt", "at"].flatMap((member) => [
      [`sealed again without ${member}`, resealed((content) => ({ ...content, [member]: undefined }))],
      [`sealed again with ${member} as an object`, resealed((content) => ({ ...content, [member]: {} }))],
      [`sealed again with an empty ${member}`, resealed((content) => ({ ...content, [member]: "" }))],
    ]),
  ),
  "sealed again for another vendor": resealed((content) => ({ ...content, v: "globex" })),
  "sealed again for another issuer": resealed((content) => ({ ...content, iss: "https://idp-b.test/" })),
  "sealed again for another client": resealed((content) => ({ ...content, cid: GLOBEX.clientId })),
  "sealed again for another address": resealed((content) => ({ ...content, ru: "https://evil.test/cb" })),
  "sealed again with another state": resealed((content) => ({ ...content, st: "A".repeat(43) })),
  "sealed again as begun long ago": resealed((content) => ({
    ...content,
    at: Number(content.at) - TRANSACTION_SECONDS,
  })),
  "sealed again as begun far ahead": resealed((content) => ({ ...content, at: Number(content.at) + 100_000 })),
};

/** What only somebody with the vendor's key can do. */
function resealed(change: (content: Record<string, unknown>) => object): Change {
  return async (begun, { world }) => {
    const sealed = cookieOf(begun, "tx")!;
    return withTransaction(begun, await reseal(world, sealed, (text) => JSON.stringify(change(JSON.parse(text)))));
  };
}

const FORM = ["Content-Type", "application/x-www-form-urlencoded"] as const;

const WRONG_WAY: Readonly<Record<string, Change>> = {
  ...Object.fromEntries(
    ["prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip", "preview"].map((purpose) => [
      `Sec-Purpose: ${purpose}`,
      (begun: Begun) => ({ query: query(begun), headers: [["Sec-Purpose", purpose] as const] }),
    ]),
  ),
  "Purpose: prefetch": (begun) => ({ query: query(begun), headers: [["Purpose", "prefetch"]] }),
  "HEAD": (begun) => ({ method: "HEAD", query: query(begun) }),
  "PUT": (begun) => ({ method: "PUT", query: query(begun) }),
  "DELETE": (begun) => ({ method: "DELETE", query: query(begun) }),
  "OPTIONS": (begun) => ({ method: "OPTIONS", query: query(begun) }),
  "POST with the answer in the query": (begun) => ({ method: "POST", query: query(begun), headers: [FORM], body: "" }),
  "POST as JSON": (begun) => ({
    method: "POST",
    query: "",
    headers: [["Content-Type", "application/json"]],
    body: JSON.stringify(Object.fromEntries(new URLSearchParams(query(begun)))),
  }),
  "POST of a form that says state twice": (begun) => ({
    method: "POST",
    query: "",
    headers: [FORM],
    body: query(begun, { state: [begun.state, begun.state] }),
  }),
  "POST of 20 KB": (begun) => ({
    method: "POST",
    query: "",
    headers: [FORM],
    body: `${query(begun)}&x=${"A".repeat(20_000)}`,
  }),
  "at the other vendor's path": (begun) => ({ path: "/auth/globex/callback", query: query(begun) }),
  "at the other vendor's path and host": (begun) => ({
    host: "api.globex.test",
    path: "/auth/globex/callback",
    query: query(begun),
  }),
  "at a twin with the same issuer and client": (begun) => ({ path: "/auth/twin/callback", query: query(begun) }),
  "at the other vendor's host": (begun) => ({ host: "api.globex.test", query: query(begun) }),
  "at an unknown host": (begun) => ({ host: "evil.test", query: query(begun) }),
  "at the vendor's name in capitals": (begun) => ({ path: "/auth/ACME/callback", query: query(begun) }),
  "at an escaped path": (begun) => ({ path: "/auth/acme/%63allback", query: query(begun) }),
  "at a path with a slash behind": (begun) => ({ path: "/auth/acme/callback/", query: query(begun) }),
  "at a path with a double slash": (begun) => ({ path: "/auth//acme/callback", query: query(begun) }),
};

const TABLES = { "parameters": MISSING_OR_WRONG, "transaction cookies": WRONG_COOKIE, "ways of asking": WRONG_WAY };

for (const [name, table] of Object.entries(TABLES)) {
  Deno.test(`a callback with wrong ${name} reaches no token endpoint and signs nobody in`, async (t) => {
    await withTwin(async (world) => {
      await t.step("control: the good callback", async () => {
        const alice = await createStage(world).begun("alice");
        const effects = watch(world);
        assertEquals((await ask(world, alice, { query: query(alice) })).status, 302);
        assertEquals([effects().idpCalls, await sessionOf(alice)], [1, "alice"]);
      });
      for (const [what, change] of Object.entries(table)) {
        await t.step(what, async () => {
          const stage = createStage(world);
          const alice = await stage.begun("alice");
          const asked = await change(alice, stage);
          await assertRefused(world, alice, asked);
        });
      }
    });
  });
}

Deno.test("a callback is good once, and for ten minutes", async (t) => {
  await withWorld(async (world) => {
    await t.step("also as a form that the provider's page posts", async () => {
      const alice = await createStage(world).begun("alice");
      const form = Object.fromEntries(alice.callback.searchParams);
      const url = `${ACME.publicUrl}${PATHS.callback}`;
      const { url: landing } = await alice.browser.navigate(url, { from: "https://idp.test/", form });
      assertEquals([landing.href, await sessionOf(alice)], [`${ACME.publicUrl}/`, "alice"]);
    });
    await t.step("not a second time", async () => {
      const alice = await createStage(world).begun("alice");
      const cookie = `${TRANSACTION_PREFIX}${alice.state.slice(0, 8)}=${cookieOf(alice, "tx")}`;
      assertEquals((await ask(world, alice, { query: query(alice) })).status, 302);
      for (const name of ["at", "__Host-rt"]) alice.browser.jar.forget(name);
      await assertRefused(world, alice, { query: query(alice), cookie });
    });
    await t.step("not twice at once", async () => {
      const alice = await createStage(world).begun("alice");
      const effects = watch(world);
      await Promise.all(Array.from({ length: 20 }, () => ask(world, alice, { query: query(alice) })));
      assertEquals(effects().idpCalls, 1);
    });
    await t.step("not after 10 minutes", async () => {
      const alice = await createStage(world).begun("alice");
      const cookie = `${TRANSACTION_PREFIX}${alice.state.slice(0, 8)}=${cookieOf(alice, "tx")}`;
      world.clock.advance(TRANSACTION_SECONDS);
      await assertRefused(world, alice, { query: query(alice), cookie });
    });
    await t.step("but a second before", async () => {
      const alice = await createStage(world).begun("alice");
      world.clock.advance(TRANSACTION_SECONDS - 1);
      assertEquals((await ask(world, alice, { query: query(alice) })).status, 302);
      assertEquals(await sessionOf(alice), "alice");
    });
  });
});

Deno.test("a login that began under other settings does not end", async (t) => {
  const changes: Readonly<Record<string, object>> = {
    issuer: { issuer: "https://idp-b.test/" },
    clientId: { clientId: "another-client" },
    publicUrl: { publicUrl: "https://api.acme.test/prefix" },
  };
  for (const [name, change] of Object.entries(changes)) {
    await t.step(name, async () => {
      await withWorld(async (world) => {
        const alice = await createStage(world).begun("alice");
        await world.cloakroom.saveVendor("acme", { ...ACME, ...change });
        await assertRefused(world, alice, { query: query(alice) });
      });
    });
  }
  await t.step("a return target that is not allowed any more", async () => {
    await withWorld(async (world) => {
      const browser = world.openBrowser("alice");
      const target = encodeURIComponent("https://www.acme.test/x");
      const { url } = await browser.navigate(`${ACME.publicUrl}${PATHS.login}?returnTo=${target}`, {
        until: ({ pathname }) => pathname === PATHS.callback,
      });
      await world.cloakroom.saveVendor("acme", { ...ACME, allowedOrigins: [] });
      const landing = await browser.navigate(url.href, { from: "https://idp.test/" });
      assertEquals(landing.url.href, `${ACME.publicUrl}/`);
    });
  });
});

Deno.test("a userinfo endpoint completes the claims of the user who has signed in, and of nobody else", async (t) => {
  const answers: Readonly<Record<string, readonly [status: number, change: (good: JsonObject) => Response]>> = {
    "the same user": [302, (good) => Response.json(good)],
    "a refusal": [302, () => new Response(null, { status: 401 })],
    "out of order": [503, () => new Response(null, { status: 500 })],
    "HTML": [503, () => new Response("<html>")],
    "another user": [401, (good) => Response.json({ ...good, sub: "mallory" })],
    "no user": [401, ({ sub: _sub, ...others }) => Response.json(others)],
    "a user in another case": [401, (good) => Response.json({ ...good, sub: "Alice" })],
    "several users": [401, (good) => Response.json({ ...good, sub: ["alice"] })],
  };
  for (const [what, [expected, change]] of Object.entries(answers)) {
    await t.step(what, async () => {
      await withWorld(async (world) => {
        const { idp } = world;
        idp.change.userinfo = change;
        // Without these the ID token tells nothing about the user, and userinfo is asked.
        idp.makeIdToken = ({ name: _name, email: _email, email_verified: _verified, ...claims }) =>
          signJwt(idp.key, {}, claims);
        const alice = await createStage(world).begun("alice");
        const { status } = await ask(world, alice, { query: query(alice) });
        assertEquals([status, await sessionOf(alice)], [expected, expected === 302 ? "alice" : "none"]);
        assertEquals(idp.calls.userinfo, 1);
      });
    });
  }
});

Deno.test("an error from the provider leads back with a code, and with nothing that an attacker wrote", async (t) => {
  const texts = [
    ...["<script>alert(1)</script>", "'\"><img src=x>", "javascript:alert(1)", "a\r\nSet-Cookie: at=x", "\u0000", "é"],
    ...["https://evil.test/", "//evil.test", "%3Cscript%3E", "A".repeat(2000), "access_denied#https://evil.test"],
  ];
  await withWorld(async (world) => {
    for (const text of texts) {
      await t.step(JSON.stringify(text.slice(0, 40)), async () => {
        for (const name of ["error", "error_description", "error_uri", "error_hint"]) {
          const alice = await createStage(world).begun("alice");
          const error = name === "error" ? {} : { error: "access_denied" };
          const search = query(alice, { code: null, ...error, [name]: text });
          const { status, headers, body } = await ask(world, alice, { query: search });
          assert(status === 302 || status === 400, `${status}`);
          const location = new URL(headers.get("location") ?? "/", ACME.publicUrl);
          assertEquals(location.origin, ACME.publicUrl);
          const shown = location.searchParams.get("error_description");
          assert(shown === null || (name === "error_description" && shown === text && /^[^<>"'&\\]+$/.test(shown)));
          location.searchParams.delete("error_description");
          assert(!`${decodeURIComponent(location.href)} ${body}`.includes(text), location.href);
          assertEquals(location.hash, "");
          assertEquals(await sessionOf(alice), "none");
        }
      });
    }
  });
});

/** With a vendor of the same issuer and client that is served wherever nobody else is: only the seal keeps it apart. */
async function withTwin(run: (world: World) => Promise<void>): Promise<void> {
  await withWorld(async (world) => {
    const { publicUrl: _, ...settings } = ACME;
    await world.cloakroom.saveVendor("twin", { ...settings, hosts: [] });
    await run(world);
  });
}

async function ask(world: World, begun: Begun, asked: Ask) {
  const { method = "GET", host = "api.acme.test", path = PATHS.callback!, headers = [], body } = asked;
  const { cookie = begun.browser.jar.header(new URL(baseOf(begun))) ?? "" } = asked;
  const target = asked.query === "" ? path : `${path}?${asked.query}`;
  const answer = await sendRequest(world.app.port, {
    method,
    host,
    target,
    headers: cookie === "" ? headers : [...headers, ["Cookie", cookie]],
    ...(body === undefined ? {} : { body }),
  });
  for (const line of answer.headers.getSetCookie()) begun.browser.jar.take(new URL(`https://${host}${path}`), line);
  return answer;
}

async function assertRefused(world: World, begun: Begun, asked: Ask): Promise<void> {
  const effects = watch(world);
  const { status, headers } = await ask(world, begun, asked);
  assert([204, 400, 404, 405, 413, 414, 415, 421, 425].includes(status), `${status}`);
  const set = headers.getSetCookie().filter((line) => /^(?:at|__Host-rt|signed_in)=[^;]/.test(line));
  assertEquals(set, []);
  const { idpCalls, upstreamCalls } = effects();
  assertEquals([idpCalls, upstreamCalls], [0, 0]);
  assertEquals(await sessionOf(begun), "none");
}
