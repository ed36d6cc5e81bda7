import { assert, assertEquals, assertFalse, assertMatch, assertNotEquals } from "@std/assert";
import { hashOf } from "../../../lib/encoding.ts";
import { authorizePath, createKit, ISSUER, readJwt, redeem, SECRET, Visitor } from "../../token_service/kit.ts";

const RIGHT = { email: "ada@example.com", password: "open sesame" };
const WRONG = { email: "ada@example.com", password: "wrong" };

Deno.test("GET /authorize shows a sign-in form, and the right password leads to the client with a code", async () => {
  const visitor = new Visitor(await createKit());
  const page = await visitor.send(authorizePath());
  assertEquals([page.status, [...visitor.cookies.keys()]], [200, ["__Host-sso-form"]]);
  const answer = await visitor.submit(page, RIGHT);
  assertEquals(answer.status, 303);
  const location = new URL(answer.headers.get("location")!);
  assertEquals(location.origin + location.pathname, "https://client.test/cb");
  assertEquals([...location.searchParams.keys()], ["code", "state", "iss"]);
  assertEquals([location.searchParams.get("state"), location.searchParams.get("iss")], ["s", ISSUER]);
  assertEquals(answer.headers.get("cache-control"), "no-store");
  assertEquals(answer.headers.get("referrer-policy"), "no-referrer");
  assert(visitor.cookies.has("__Host-sso"));
});

Deno.test("GET /authorize asks nobody a second time in the same browser, under either of its names", async () => {
  const visitor = new Visitor(await createKit());
  await visitor.code();
  for (const path of [authorizePath(), authorizePath().replace("/authorize", "/oauth/authorize")]) {
    const answer = await visitor.send(path);
    assertEquals(answer.status, 302);
    assert(new URL(answer.headers.get("location")!).searchParams.has("code"));
  }
});

Deno.test("GET /authorize with prompt=login asks again and moves auth_time; prompt=none never asks", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  assertEquals((await visitor.authorize({ prompt: "none" })).searchParams.get("error"), "login_required");
  const first = readJwt((await visitor.tokens()).id_token).claims;
  kit.pass(100);
  const silent = readJwt((await visitor.tokens({ prompt: "none" })).id_token).claims;
  assertEquals([silent.auth_time, silent.sid], [first.auth_time, first.sid]);
  const page = await visitor.send(authorizePath({ prompt: "login" }));
  assertEquals(page.status, 200);
  const answer = await visitor.submit(page, RIGHT);
  const code = new URL(answer.headers.get("location")!).searchParams.get("code")!;
  const again = readJwt((await redeem(kit, code)).id_token).claims;
  assertEquals(again.auth_time, (first.auth_time as number) + 100);
});

Deno.test("GET /authorize with max_age asks again when the sign-in is older", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  await visitor.code();
  kit.pass(11);
  assertEquals((await visitor.send(authorizePath({ max_age: "11" }))).status, 302);
  assertEquals((await visitor.send(authorizePath({ max_age: "10" }))).status, 200);
});

Deno.test("GET /authorize takes an id_token_hint of ours, expired or not, and no other token", async () => {
  const kit = await createKit();
  const ada = new Visitor(kit);
  const { id_token, access_token } = await ada.tokens({ audience: "https://api.acme.test/" });
  const other = await new Visitor(kit, "192.0.2.9").tokens({}, "mallory@example.com");
  const [header, payload] = id_token.split(".");
  const forged = [
    "eyJhbGciOiJub25lIn0.e30.",
    "x",
    `${header}.${payload}.AAAA`,
    `${header}.${btoa('{"sub":"user-ada"}').replaceAll("=", "")}.${id_token.split(".")[2]}`,
    access_token,
  ];
  kit.pass(7200);
  const ask = async (id_token_hint: string) =>
    (await ada.authorize({ prompt: "none", id_token_hint })).searchParams.get("error");
  assertEquals(await ask(id_token), null);
  assertEquals(await ask(other.id_token), "login_required");
  for (const hint of forged) assertEquals(await ask(hint), "invalid_request", hint);
});

Deno.test("GET /authorize tells the client what is wrong, with state and iss and without a code", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const rows: readonly (readonly [string, Record<string, string | null>])[] = [
    ["unsupported_response_type", { response_type: "token" }],
    ["invalid_scope", { scope: "openid admin" }],
    ["invalid_request", { code_challenge: null }],
    ["invalid_target", { audience: "https://elsewhere.test/" }],
    ["request_uri_not_supported", { request_uri: "http://169.254.169.254/x" }],
  ];
  for (const [error, changes] of rows) {
    const query = (await visitor.authorize(changes)).searchParams;
    assertEquals([query.get("error"), query.get("state"), query.get("iss"), query.has("code")], [
      error,
      "s",
      ISSUER,
      false,
    ]);
    assertMatch(query.get("error_description")!, /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/);
  }
});

Deno.test("GET /authorize sends nobody anywhere for an unknown client or address", async () => {
  const { send } = await createKit();
  const rows: readonly Record<string, string | null>[] = [
    { client_id: null },
    { client_id: "nope" },
    { client_id: "<img src=x onerror=alert(1)>" },
    { client_id: "a".repeat(5000) },
    { redirect_uri: null },
    { redirect_uri: "https://evil.test/" },
    { redirect_uri: '"><script>alert(1)</script>' },
    { state: "a".repeat(9000) },
  ];
  for (const changes of rows) {
    const answer = await send(authorizePath(changes));
    assertEquals([answer.status, answer.headers.get("location")], [400, null], JSON.stringify(changes).slice(0, 80));
    const page = await answer.text();
    assertFalse(/<img|<script|evil\.test|aaaa/.test(page));
  }
});

Deno.test("GET /authorize sends strangers to no client that nobody vouches for", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const bad = { client_id: "outsider", scope: "admin" };
  const anonymous = await visitor.send(authorizePath(bad));
  assertEquals([anonymous.status, anonymous.headers.get("location")], [400, null]);
  assertEquals(
    (await visitor.authorize({ client_id: "outsider", prompt: "none" })).searchParams.get("error"),
    "login_required",
  );
  await visitor.code();
  assertEquals((await visitor.authorize(bad)).searchParams.get("error"), "invalid_scope");
});

Deno.test("GET /authorize hands nothing to a client that is not our own before there is consent", async () => {
  const visitor = new Visitor(await createKit());
  const page = await visitor.submit(await visitor.send(authorizePath({ client_id: "outsider" })), RIGHT);
  assertEquals([page.status, page.headers.get("location")], [403, null]);
  assertMatch(await page.text(), /consent_required/);
  const silent = await visitor.authorize({ client_id: "outsider", prompt: "none" });
  assertEquals(silent.searchParams.get("error"), "consent_required");
});

Deno.test("GET /authorize spends no code on HEAD and prefetch", async () => {
  const visitor = new Visitor(await createKit());
  await visitor.code();
  assertEquals((await visitor.send(authorizePath(), { method: "HEAD" })).status, 405);
  const prefetched = await visitor.send(authorizePath(), { headers: { "sec-purpose": "prefetch;prerender" } });
  assertEquals([prefetched.status, prefetched.headers.get("location")], [204, null]);
});

Deno.test("POST /authorize is sent on as a link, repeated parameters included", async () => {
  const visitor = new Visitor(await createKit());
  const form = [...new URLSearchParams(authorizePath().split("?")[1])];
  const answer = await visitor.send("/authorize", { form });
  assertEquals([answer.status, answer.headers.get("location")], [303, authorizePath()]);
  const twice = await visitor.send("/oauth/authorize", { form: [...form, ["client_id", "spa"]] });
  assertEquals((await visitor.send(twice.headers.get("location")!)).status, 400);
  assertEquals(
    (await visitor.send("/authorize", { body: "{}", headers: { "content-type": "application/json" } })).status,
    415,
  );
  assertEquals((await visitor.send("/authorize", { form: { state: "a".repeat(9000) } })).status, 400);
});

Deno.test("every page forbids scripts, frames, caches and referrers", async () => {
  const visitor = new Visitor(await createKit());
  const pages = [
    await visitor.send(authorizePath({ login_hint: '"><script>alert(1)</script>' })),
    await visitor.send("/authorize"),
    await visitor.send("/v2/logout"),
    await visitor.submit(await visitor.send(authorizePath()), WRONG),
  ];
  for (const page of pages) {
    const policy = page.headers.get("content-security-policy")!;
    const text = await page.text();
    for (const directive of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"]) {
      assert(policy.includes(directive), policy);
    }
    assertFalse(/script-src|unsafe|\*/.test(policy), policy);
    assertEquals(page.headers.get("x-frame-options"), "DENY");
    assertEquals(page.headers.get("referrer-policy"), "no-referrer");
    assertEquals(page.headers.get("cache-control"), "no-store");
    assertEquals(page.headers.get("access-control-allow-origin"), null);
    assertFalse(/<script|\son\w+=|style="|javascript:/i.test(text));
    // The one style sheet is the one that the policy names.
    const style = /<style>([^]*?)<\/style>/.exec(text)![1]!;
    const digest = (await hashOf(style)).replaceAll("-", "+").replaceAll("_", "/");
    assert(policy.includes(`style-src 'sha256-${digest}='`), policy);
  }
});

Deno.test("the sign-in form may lead to the client and on from there, and to no script", async () => {
  const kit = await createKit();
  await kit.service.clients.update("spa", {
    redirectUris: ["https://client.test/cb", "http://localhost:8787/cb", "com.example.app:/cb"],
  });
  const policyFor = async (redirect_uri: string) => {
    const page = await kit.send(authorizePath({ redirect_uri }));
    return /form-action ([^;]+)/.exec(page.headers.get("content-security-policy")!)?.[1];
  };
  assertEquals(await policyFor("https://client.test/cb"), "'self' https:");
  assertEquals(await policyFor("http://localhost:8787/cb"), "'self' https: http:");
  assertEquals(await policyFor("com.example.app:/cb"), "'self' https: com.example.app:");
});

Deno.test("POST /login gives an unknown address and a wrong password the same answer", async () => {
  const visitor = new Visitor(await createKit());
  const texts = [];
  for (const email of ["ada@example.com", "ida@example.com"]) {
    const page = await visitor.submit(await visitor.send(authorizePath()), { email, password: "wrong" });
    assertEquals(page.status, 401);
    texts.push((await page.text()).replaceAll(email, "EMAIL"));
    assertFalse(visitor.cookies.has("__Host-sso"));
  }
  assertEquals(texts[0], texts[1]);
  assert(!texts[0]!.includes("wrong"));
});

Deno.test("POST /login lets the person try again on the same page", async () => {
  const visitor = new Visitor(await createKit());
  const again = await visitor.submit(await visitor.send(authorizePath()), WRONG);
  assertEquals((await visitor.submit(again, RIGHT)).status, 303);
});

Deno.test("POST /login works in two tabs at once", async () => {
  const visitor = new Visitor(await createKit());
  const pages = [await visitor.send(authorizePath()), await visitor.send(authorizePath({ state: "other" }))];
  for (const page of pages) assertEquals((await visitor.submit(page, RIGHT)).status, 303);
});

Deno.test("POST /login draws a new session at every sign-in and ends the one before", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  await visitor.code();
  const former = visitor.cookies.get("__Host-sso")!;
  await visitor.submit(await visitor.send(authorizePath({ prompt: "login" })), RIGHT);
  assertNotEquals(visitor.cookies.get("__Host-sso"), former);
  assertEquals(await kit.service.sessions.find(former), null);
});

Deno.test("POST /login does not adopt a session that was planted", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const planted = "A".repeat(43);
  visitor.cookies.set("__Host-sso", planted);
  await visitor.code();
  assertNotEquals(visitor.cookies.get("__Host-sso"), planted);
  assertEquals(await kit.service.sessions.find(planted), null);
});

Deno.test("POST /login refuses a form of another browser, another request, or another site", async () => {
  const kit = await createKit();
  const [mallory, ada] = [new Visitor(kit), new Visitor(kit)];
  const form = async (page: Response) => {
    const text = await page.text();
    const value = (name: string) =>
      new RegExp(`name="${name}" value="([^"]*)"`).exec(text)![1]!.replaceAll("&amp;", "&");
    return { request: value("request"), token: value("token"), ...RIGHT };
  };
  const foreign = await form(await mallory.send(authorizePath()));
  const own = await form(await ada.send(authorizePath()));
  const rows: readonly (readonly [string, Record<string, string>, Record<string, string>?])[] = [
    ["a form made in another browser", foreign],
    ["no token", { ...own, token: "" }],
    ["another request", { ...own, request: own.request.replace("state=s", "state=t") }],
    ["sent by another site", own, { "sec-fetch-site": "cross-site" }],
    ["sent by a sibling", own, { "sec-fetch-site": "same-site" }],
  ];
  for (const [what, fields, headers = {}] of rows) {
    const answer = await ada.send("/login", { form: fields, headers });
    assertEquals([answer.status, ada.cookies.has("__Host-sso")], [403, false], what);
    // The way out leads through our own address only.
    assertMatch(await answer.text(), /href="\/authorize\?client_id=spa/);
  }
  const cookie = `__Host-sso-form=${ada.cookies.get("__Host-sso-form")}`;
  assertEquals((await kit.send("/login", { form: own, headers: { cookie: `${cookie}; ${cookie}` } })).status, 403);
  assertEquals((await kit.send("/login", { form: own })).status, 403);
  assertEquals((await ada.send("/login", { form: own, headers: { "sec-fetch-site": "same-origin" } })).status, 303);
});

Deno.test("POST /login reads forms of a sensible size only", async () => {
  const { send } = await createKit();
  assertEquals((await send("/login", { form: { password: "a".repeat(40_000) } })).status, 413);
  assertEquals((await send("/login", { body: "{}", headers: { "content-type": "application/json" } })).status, 415);
  assertEquals((await send("/login", { form: [["token", "a"], ["token", "b"]] })).status, 400);
  assertEquals((await send("/login", { form: { request: "a".repeat(9000) } })).status, 400);
  assertEquals((await send("/login")).status, 405);
});

Deno.test("POST /login makes guessing slow for one account from anywhere, and never locks it for good", async () => {
  const kit = await createKit();
  const statuses: number[] = [];
  for (let i = 0; i < 15; i++) {
    const visitor = new Visitor(kit, `192.0.2.${i}`);
    const answer = await visitor.submit(await visitor.send(authorizePath()), WRONG);
    statuses.push(answer.status);
    if (answer.status === 429) {
      assertEquals(answer.headers.get("retry-after"), "30");
      assertMatch(await answer.text(), /Wait 30 seconds/);
    }
  }
  assertEquals(statuses, [...Array(10).fill(401), ...Array(5).fill(429)]);
  const ada = new Visitor(kit, "198.51.100.1");
  assertEquals((await ada.submit(await ada.send(authorizePath()), RIGHT)).status, 429);
  const mallory = new Visitor(kit, "198.51.100.2");
  await mallory.code({}, "mallory@example.com");
  kit.pass(30);
  assertEquals((await ada.submit(await ada.send(authorizePath()), RIGHT)).status, 303);
  assertEquals(kit.events.filter(({ event }) => event === "sign_in_blocked").length, 6);
});

Deno.test("POST /login makes guessing slow from one address, whatever the account", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit, "2001:db8::1");
  const page = await visitor.send(authorizePath());
  const text = await page.text();
  const statuses = new Map<number, number>();
  for (let i = 0; i < 60; i++) {
    const neighbour = new Visitor(kit, `2001:db8::${i}`);
    neighbour.cookies.set("__Host-sso-form", visitor.cookies.get("__Host-sso-form")!);
    const { status } = await neighbour.submit(new Response(text), { email: `user${i}@example.com`, password: "x" });
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  assertEquals([...statuses], [[401, 50], [429, 10]]);
});

Deno.test("POST /login refuses a hundred guesses that come at once", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  const text = await (await visitor.send(authorizePath())).text();
  const answers = await Promise.all(Array.from({ length: 100 }, () => visitor.submit(new Response(text), WRONG)));
  assertEquals(answers.filter(({ status }) => status === 401).length, 10);
  assertEquals(answers.filter(({ status }) => status === 429).length, 90);
});

Deno.test("POST /login does not cut a long password down to one that fits", async () => {
  const kit = await createKit();
  const password = "a".repeat(1024);
  await kit.service.users.create({ email: "long@example.com", name: "Long", password });
  const visitor = new Visitor(kit);
  const longer = await visitor.submit(await visitor.send(authorizePath()), {
    email: "long@example.com",
    password: `${password}b`,
  });
  assertEquals(longer.status, 401);
  assertEquals((await visitor.submit(longer, { email: "long@example.com", password })).status, 303);
});

Deno.test("a browser session ends by itself, and with its user", async () => {
  const kit = await createKit({ lifetimes: { session: 100 } });
  const visitor = new Visitor(kit);
  await visitor.code();
  kit.pass(99);
  assertEquals((await visitor.send(authorizePath())).status, 302);
  kit.pass(1);
  assertEquals((await visitor.send(authorizePath())).status, 200);
  await visitor.code();
  await kit.service.revokeAllForUser("user-ada");
  assertEquals((await visitor.send(authorizePath())).status, 200);
});

Deno.test("cookies that are not of our making are not looked up", async () => {
  const kit = await createKit();
  const visitor = new Visitor(kit);
  await visitor.code();
  const handle = visitor.cookies.get("__Host-sso")!;
  const rows: readonly (readonly [string, number])[] = [
    [`__Host-sso=${handle}`, 302],
    [`other=1; __Host-sso=${handle}`, 302],
    [`__Host-sso=${handle}; __Host-sso=${handle}`, 200],
    [`__Host-sso=${handle}x`, 200],
    [`__Host-sso="${handle}"`, 200],
    [`sso=${handle}`, 200],
    [`__host-sso=${handle}`, 200],
  ];
  for (const [cookie, status] of rows) {
    assertEquals((await kit.send(authorizePath(), { headers: { cookie } })).status, status, cookie);
  }
});

Deno.test("a confidential client signs people in the same way", async () => {
  const kit = await createKit();
  const code = await new Visitor(kit).code({ client_id: "web" });
  const { id_token } = await redeem(kit, code, { client_id: "web", client_secret: SECRET });
  assertEquals(readJwt(id_token).claims.aud, "web");
});
