/**
 * The provider's token endpoint misbehaves for a minute: no session is lost, nobody waits longer than the contract says,
 * and work resumes by itself.
 *
 * @module
 */
import { assert, assertEquals, assertLess } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { type Handler, serveOnLoopback } from "../support/loopback.ts";
import { callApi, createService, type Service } from "../support/service.ts";
import type { TestBrowser } from "../support/test_browser.ts";

const SECONDS_DOWN = 60;
const DUE_SECONDS = 30;

/** Longest pause between two tries where the provider wishes none. */
const MAX_PAUSE = 3;

const html = (status: number) => () =>
  new Response("<h1>Oops</h1>", { status, headers: { "content-type": "text/html" } });
const json = (body: unknown, init: ResponseInit = {}) => () => Response.json(body, init);

/** A body that never seems to end. */
function huge(status: number): Handler {
  return () => {
    let left = 30 * 16;
    const chunk = new Uint8Array(65_536).fill(0x20);
    const body = new ReadableStream({
      pull(controller) {
        if (left-- > 0) controller.enqueue(chunk);
        else controller.close();
      },
    });
    return new Response(body, { status, headers: { "content-type": "application/json" } });
  };
}

/** What the token endpoint answers instead, and the pause that it asks for. */
const FAULTS: Readonly<Record<string, { readonly answer: Handler; readonly pause?: number }>> = {
  "500": { answer: json({ error: "server_error" }, { status: 500 }) },
  "500 that speaks of invalid_grant": { answer: json({ error: "invalid_grant" }, { status: 500 }) },
  "502 with HTML": { answer: html(502) },
  "503 for seven seconds": { answer: json({}, { status: 503, headers: { "retry-after": "7" } }), pause: 7 },
  "503 for a day": { answer: json({}, { status: 503, headers: { "retry-after": "86400" } }), pause: 30 },
  "429": { answer: json({ error: "slow_down" }, { status: 429 }) },
  "429 for seven seconds": { answer: json({}, { status: 429, headers: { "retry-after": "7" } }), pause: 7 },
  "200 with HTML": { answer: html(200) },
  "400 with HTML": { answer: html(400) },
  "200 with null": { answer: json(null) },
  "200 without tokens": { answer: json({}) },
  "200 with 30 MB": { answer: huge(200) },
  "400 with 30 MB": { answer: huge(400) },
  "a redirect": { answer: () => new Response(null, { status: 307, headers: { location: "https://evil.test/token" } }) },
  "invalid_client": { answer: json({ error: "invalid_client" }, { status: 401 }) },
  "invalid_grant in other words": { answer: json({ error: "Invalid_Grant" }, { status: 400 }) },
  "invalid_grant in the description only": {
    answer: json({ error: "invalid_request", error_description: "invalid_grant" }, { status: 400 }),
  },
};

for (const [name, { answer, pause = MAX_PAUSE }] of Object.entries(FAULTS)) {
  Deno.test(`a minute of this from the token endpoint costs no session: ${name}`, async () => {
    await using server = serveFault(answer);
    await survive((request) => server.send(request), { pause });
  });
}

Deno.test("a minute of this from the token endpoint costs no session: connections refused", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await survive((request) => fetch(`http://127.0.0.1:${port}/token`, { method: request.method }), { sends: 2 });
});

Deno.test("a minute of this from the token endpoint costs no session: connections closed without an answer", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const connection of listener) connection.close();
  })();
  await survive((request) => fetch(`http://127.0.0.1:${listener.addr.port}/token`, { method: request.method }), {
    sends: 2,
  });
  listener.close();
  await serving;
});

Deno.test("a token endpoint that never answers is waited for 5 s by callers, and 30 s by the call", async () => {
  using time = new FakeTime();
  const service = await createService({ instances: 2 });
  const dead = await service.signIn("alice", 0);
  const due = await service.signIn("bob", 2 * DUE_SECONDS - 1);
  const pass = async (seconds: number) => {
    for (let quarter = 1; quarter <= seconds * 4; quarter++) {
      await time.tickAsync(250);
      if (quarter % 4 === 0) service.clock.advance(1);
      await settleRequests(time);
    }
  };

  const signIns = service.tokenCalls();
  const lives: number[] = [];
  service.tokenFault = (request) => {
    const began = service.clock();
    return new Promise((_, reject) =>
      request.signal.addEventListener("abort", () => {
        lives.push(service.clock() - began);
        reject(new Error("aborted"));
      })
    );
  };
  const answers = [callApi(dead), callApi(due), callApi(dead)];
  while (service.tokenCalls() < signIns + 2) await settleRequests(time);
  await pass(4);
  assertEquals(await Promise.race([...answers, null]), null, "somebody was answered before 5 s");
  await pass(2);
  const [one, other, two] = await Promise.all(answers);
  for (const answer of [one!, two!]) assertUnavailable(answer);
  assertEquals(other!.status, 200, "life that is left is used");
  assertEquals(service.tokenCalls(), signIns + 2, "one call a session");
  assertEquals(lives, []);

  // Where no answer came at all, each call is made once more.
  for (let second = 6; lives.length < 4; second++) {
    assertLess(second, 80);
    await pass(1);
  }
  assertEquals(service.tokenCalls(), signIns + 4);
  assert(lives.every((seconds) => seconds >= 29 && seconds <= 31), `${lives}`);
  service.tokenFault = null;
  await pass(MAX_PAUSE);
  const healed = await Promise.all([callApi(dead), callApi(due)]);
  assertEquals(healed.map(({ status }) => status), [200, 200]);
  await service.close();
});

/** Lets what is under way, on other threads too, get on while time stands still. */
async function settleRequests(time: FakeTime): Promise<void> {
  for (let i = 0; i < 20; i++) await time.runMicrotasks();
}

function serveFault(answer: Handler) {
  const server = serveOnLoopback(answer);
  return { send: server.send, [Symbol.asyncDispose]: () => server.close() };
}

/** `sends`: how often one try sends the token. Where no answer came at all, it is sent once more. */
async function survive(fault: Handler, { pause = MAX_PAUSE, sends = 1 }): Promise<void> {
  const service = await createService();
  try {
    const fresh = await service.signIn("carol");
    const due = await service.signIn("bob", DUE_SECONDS);
    const dead = await service.signIn("alice", 0);
    const before = service.tokenCalls();
    service.tokenFault = fault;
    for (let second = 0; second < SECONDS_DOWN; second++) {
      await suffer(service, { fresh, due, dead }, second);
      service.clock.advance(1);
    }
    const calls = service.tokenCalls() - before;
    const most = 1 + 2 * sends * Math.ceil(SECONDS_DOWN / (pause === MAX_PAUSE ? 1 : pause));
    assert(calls >= 2 && calls <= most, `${calls} token calls, expected at most ${most}`);

    service.tokenFault = null;
    let waited = 0;
    const browsers = [fresh, due, dead];
    while ((await Promise.all(browsers.map((browser) => callApi(browser)))).some(({ status }) => status !== 200)) {
      assertLess(waited++, pause, "work has not resumed");
      service.clock.advance(1);
    }
    const sessions = await callApi(dead, "/auth/acme/sessions");
    assertEquals(JSON.parse(sessions.body).length, 1);
    assertEquals(service.log.filter(({ event }) => /internal|background|store/.test(event)), []);
  } finally {
    await service.close();
  }
}

/** One second of the fault. */
async function suffer(service: Service, browsers: Record<"fresh" | "due" | "dead", TestBrowser>, second: number) {
  const { fresh, due, dead } = browsers;
  const began = performance.now();
  assertEquals((await callApi(fresh)).status, 200);
  const used = await callApi(due);
  if (second < DUE_SECONDS) assertEquals(used.status, 200);
  else assertUnavailable(used);
  assertUnavailable(await callApi(dead));
  assertEquals((await callApi(dead, "/auth/acme/userinfo")).status, 200, "it is still known who is signed in");
  if (second === 0) assertUnavailable(await callApi(fresh, "/auth/acme/refresh", "POST"));
  assertLess(performance.now() - began, 2000, "an answer that comes at once is handed on at once");
  assertEquals(dead.jar.all().length, 3, "no cookie was cleared");
  assert(service.upstream.calls.length > 0);
}

function assertUnavailable({ status, headers, body }: Awaited<ReturnType<typeof callApi>>): void {
  assertEquals([status, JSON.parse(body).code], [503, "token_service_unreachable"]);
  const retryAfter = Number(headers.get("retry-after"));
  assert(retryAfter >= 1 && retryAfter <= 30, `Retry-After: ${retryAfter}`);
  assertEquals(headers.getSetCookie(), []);
}
