import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { APP, AUTH, codeOf, cookiesOf, createSetting, ownCall, readProblem } from "../setting.ts";

const post = (cookie: string): RequestInit => ({ method: "POST", headers: ownCall(cookie) });

Deno.test("POST /auth/:vendorId/refresh brings new tokens now, and tells how long they live", async () => {
  const { signIn, send, clock, idp } = await createSetting();
  const browser = await signIn();
  clock.advance(100);
  const answer = await send("/auth/acme/refresh", post(cookiesOf(browser)));
  assertEquals([answer.status, answer.headers.get("cache-control")], [200, "no-store"]);
  assertEquals(await answer.json(), { expires_at: clock() + 3600 });
  assertEquals(answer.headers.getSetCookie().map((line) => line.split("=")[0]), ["at", "__Host-rt", "signed_in"]);
  assertEquals(idp.calls.token, 2);
  assertEquals((await send("/auth/refresh", post(cookiesOf(browser)))).status, 200, "without the vendor, too");
});

Deno.test("a refresh changes both cookies, and the API gets the new token", async () => {
  const { signIn, upstream, idp } = await createSetting();
  const browser = await signIn();
  const before = cookiesOf(browser);
  const { status } = await browser.fetch(`${AUTH}/refresh`, { from: `${APP}/`, method: "POST" });
  assertEquals(status, 200);
  const after = cookiesOf(browser);
  for (const [i, pair] of after.split("; ").entries()) {
    if (!pair.startsWith("signed_in")) assertNotEquals(pair, before.split("; ")[i]);
  }
  await browser.fetch(`${APP}/api/x`, { from: `${APP}/` });
  assertEquals(upstream.calls[0]!.headers.get("authorization"), `Bearer ${idp.issued.accessTokens[1]}`);
});

Deno.test("ten refreshes at once make one token call, and all succeed", async () => {
  const { signIn, send, idp } = await createSetting();
  const cookie = cookiesOf(await signIn());
  const answers = await Promise.all(Array.from({ length: 10 }, () => send("/auth/acme/refresh", post(cookie))));
  assertEquals(answers.map(({ status }) => status), Array(10).fill(200));
  assertEquals(idp.calls.token, 2);
});

Deno.test("nobody signed in has nothing to refresh", async () => {
  const { signIn, send, idp } = await createSetting();
  const browser = await signIn();
  const [, at] = /(?:^|; )at=([^;]+)/.exec(cookiesOf(browser))!;
  for (const cookie of ["", `at=${at}`, "at=x; __Host-rt=y"]) {
    assertEquals(await codeOf(await send("/auth/acme/refresh", post(cookie))), "unauthenticated");
  }
  assertEquals(idp.calls.token, 1);
});

Deno.test("a token service that is away keeps the session, and says when to come back", async () => {
  const setting = await createSetting();
  const { signIn, send, clock } = setting;
  const cookie = cookiesOf(await signIn());
  setting.tokenFault = () => new Response(null, { status: 503, headers: { "retry-after": "7" } });
  const answer = await send("/auth/acme/refresh", post(cookie));
  assertEquals([answer.status, answer.headers.get("retry-after")], [503, "7"]);
  assertEquals(await codeOf(answer), "token_service_unreachable");
  assertEquals((await send("/auth/acme/userinfo", { headers: ownCall(cookie) })).status, 200);
  setting.tokenFault = null;
  clock.advance(8);
  assertEquals((await send("/auth/acme/refresh", post(cookie))).status, 200);
});

Deno.test("a client that is set up wrongly signs nobody out", async () => {
  const setting = await createSetting();
  const { signIn, send, log, clock } = setting;
  const cookie = cookiesOf(await signIn());
  for (const error of ["invalid_client", "unauthorized_client", "invalid_scope", "invalid_request"]) {
    setting.tokenFault = () => Response.json({ error }, { status: 400 });
    clock.advance(60);
    assertEquals(await codeOf(await send("/auth/acme/refresh", post(cookie))), "token_service_unreachable", error);
  }
  const reasons = log.flatMap(({ level, reason }) => level === "error" ? [reason] : []);
  assertEquals(reasons, ["invalid_client", "unauthorized_client", "invalid_scope", "invalid_request"]);
  assertEquals((await send("/auth/acme/userinfo", { headers: ownCall(cookie) })).status, 200);
});

Deno.test("a dead refresh token ends the session, with its reason", async () => {
  const setting = await createSetting();
  const { signIn, send } = setting;
  const cookie = cookiesOf(await signIn());
  setting.tokenFault = () => Response.json({ error: "invalid_grant" }, { status: 400 });
  const answer = await send("/auth/acme/refresh", post(cookie));
  assertEquals(answer.status, 401);
  assertEquals(answer.headers.getSetCookie().length, 5);
  const problem = await readProblem(answer);
  assertEquals([problem.code, problem.reason], ["session_ended", "refresh_refused"]);
});

Deno.test("a session without a refresh token keeps its living access token", async () => {
  const setting = await createSetting();
  const { idp, send, clock } = setting;
  idp.change.token = (good) => Response.json({ ...good, refresh_token: undefined });
  const cookie = cookiesOf(await setting.signIn());
  const answer = await send("/auth/acme/refresh", post(cookie));
  assertEquals([answer.status, await answer.json()], [200, { expires_at: clock() + 3600 }]);
  assertEquals((await send("/auth/acme/userinfo", { headers: ownCall(cookie) })).status, 200, "still signed in");
  assertEquals(idp.calls.token, 1);
  clock.advance(3600);
  assertEquals(await codeOf(await send("/auth/acme/refresh", post(cookie))), "session_ended");
});

Deno.test("an answer about another user ends the session and signs nobody else in", async () => {
  const { signIn, send, idp, log } = await createSetting();
  const cookie = cookiesOf(await signIn());
  const make = idp.makeIdToken;
  idp.makeIdToken = (claims) => make({ ...claims, sub: "mallory" });
  const problem = await readProblem(await send("/auth/acme/refresh", post(cookie)));
  assertEquals([problem.code, problem.reason], ["session_ended", "refresh_refused"]);
  assert(log.some(({ event, reason }) => event === "refresh_id_token" && reason === "subject"));
});
