/**
 * Requests through real sockets: bodies, limits, and what of a request reaches the upstream.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { sendBytes } from "../support/raw_http.ts";
import { createStreet, HOST, type Street } from "./street.ts";

/** A request as the upstream saw it. */
interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** A street whose upstream tells what it saw. */
async function createEcho(options: { readonly row?: Readonly<Record<string, unknown>> } = {}) {
  const seen: Seen[] = [];
  const street = await createStreet({
    ...options,
    async upstream(request) {
      const { pathname, search } = new URL(request.url);
      const body = await request.text().catch(() => "broken");
      const headers = Object.fromEntries(request.headers);
      seen.push({ method: request.method, url: pathname + search, headers, body });
      return Response.json({ ok: true });
    },
  });
  return { street, seen };
}

function headOf({ cookie }: Street, method: string, ...headers: readonly string[]): string {
  const lines = [
    `${method} /api/x HTTP/1.1`,
    `Host: ${HOST}`,
    "Sec-Fetch-Site: same-origin",
    `Cookie: ${cookie}`,
    ...headers,
  ];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

Deno.test("a body goes on with its length, or in chunks where it is large or has none", async () => {
  const { street, seen } = await createEcho();
  await using _ = street;
  const large = "x".repeat(100_000);
  const rows: readonly (readonly [request: string, framing: readonly string[], body: string])[] = [
    [`${headOf(street, "POST", "Content-Length: 5")}small`, ["content-length: 5"], "small"],
    [`${headOf(street, "PUT", "Content-Length: 100000")}${large}`, ["transfer-encoding: chunked"], large],
    [
      `${headOf(street, "PATCH", "Transfer-Encoding: chunked")}3\r\nabc\r\n2;a=b\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n`,
      ["transfer-encoding: chunked"],
      "abcde",
    ],
    [`${headOf(street, "DELETE", "Content-Length: 2")}{}`, ["content-length: 2"], "{}"],
    [headOf(street, "DELETE"), [], ""],
    [headOf(street, "OPTIONS"), [], ""],
    [headOf(street, "POST", "Content-Length: 0"), ["content-length: 0"], ""],
    [headOf(street, "POST"), ["content-length: 0"], ""],
    [`${headOf(street, "GET", "Content-Length: 4")}left`, [], ""],
    [`${headOf(street, "POST", "Content-Length: 5", "Expect: 100-continue")}small`, ["content-length: 5"], "small"],
  ];
  for (const [request, framing, body] of rows) {
    const answer = await sendBytes(street.port, request);
    assertEquals(answer?.status, 200, request.slice(0, 20));
    const { headers, ...last } = seen.at(-1)!;
    const found = ["content-length", "transfer-encoding"].flatMap((name) =>
      headers[name] === undefined ? [] : [`${name}: ${headers[name]}`]
    );
    assertEquals([found, last.body === body], [framing, true], request.slice(0, 20));
    for (const name of ["expect", "x-trailer", "trailer", "te"]) assertEquals(headers[name], undefined);
  }
  assertEquals(seen.length, rows.length);
});

Deno.test("a body of a GET is no second request", async () => {
  const { street, seen } = await createEcho();
  await using _ = street;
  const hidden = `GET /api/hidden HTTP/1.1\r\nHost: ${HOST}\r\nCookie: ${street.cookie}\r\n\r\n`;
  await sendBytes(street.port, headOf(street, "GET", `Content-Length: ${hidden.length}`) + hidden);
  assertEquals(seen.map(({ url }) => url), ["/api/x"]);
});

Deno.test("a body over the upstream's limit is 413, whether it tells its length or not", async () => {
  const { street, seen } = await createEcho({ row: { maxBodyBytes: 1000 } });
  await using _ = street;
  const chunk = `3e8\r\n${"x".repeat(1000)}\r\n`;
  const rows: readonly (readonly [request: string, status: number])[] = [
    [headOf(street, "POST", "Content-Length: 1000") + "x".repeat(1000), 200],
    [headOf(street, "POST", "Content-Length: 1001") + "x".repeat(1001), 413],
    [headOf(street, "POST", "Content-Length: 99999999999"), 413],
    [`${headOf(street, "POST", "Transfer-Encoding: chunked")}${chunk}0\r\n\r\n`, 200],
    [`${headOf(street, "POST", "Transfer-Encoding: chunked")}${chunk}1\r\nx\r\n0\r\n\r\n`, 413],
    [`${headOf(street, "POST", "Transfer-Encoding: chunked")}${chunk.repeat(100)}`, 413],
  ];
  for (const [request, status] of rows) {
    const answer = await sendBytes(street.port, request);
    assertEquals(answer?.status, status, request.slice(0, 60));
    if (status === 413) assertEquals(JSON.parse(answer!.body).code, "body_too_large");
  }
  const whole = seen.filter(({ body }) => body !== "broken");
  assertEquals(whole.map(({ body }) => body.length), [1000, 1000]);
});

Deno.test("a body may be 10 MiB where the upstream says nothing", async () => {
  const { street } = await createEcho();
  await using _ = street;
  const tooLarge = headOf(street, "POST", `Content-Length: ${10 * 1024 * 1024 + 1}`);
  assertEquals((await sendBytes(street.port, tooLarge))?.status, 413);
  const { cookie, port } = street;
  const url = `http://127.0.0.1:${port}/api/x`;
  using client = Deno.createHttpClient({ allowHost: true });
  const headers = { host: HOST, cookie, "sec-fetch-site": "same-origin" };
  const answer = await fetch(url, { method: "POST", body: new Uint8Array(10 * 1024 * 1024), headers, client });
  assertEquals([answer.status, await answer.json()], [200, { ok: true }]);
});

Deno.test("a body that stops coming is 408, not before its time", async (t) => {
  const rows: Readonly<Record<string, readonly [request: (street: Street) => string, patience: number]>> = {
    "small, and nothing of it": [(street) => headOf(street, "POST", "Content-Length: 10"), 30_000],
    "small, and half of it": [(street) => headOf(street, "POST", "Content-Length: 10") + "12345", 30_005],
    "large": [(street) => headOf(street, "POST", "Content-Length: 100000") + "x".repeat(5000), 35_000],
    "in chunks": [
      (street) => `${headOf(street, "POST", "Transfer-Encoding: chunked")}3e8\r\n${"x".repeat(1000)}\r\n`,
      31_000,
    ],
  };
  for (const [what, [request, patience]] of Object.entries(rows)) {
    await t.step(what, async () => {
      // The upstream's own time would be over first, if it did not stand still while the browser is waited for.
      const { street } = await createEcho({ row: { timeoutMs: 10_000 } });
      await using _ = street;
      using connection = await Deno.connect({ hostname: "127.0.0.1", port: street.port });
      using time = new FakeTime();
      const begun = time.now;
      await connection.write(new TextEncoder().encode(request(street)));
      const buffer = new Uint8Array(65_536);
      let answeredAt: number | null = null;
      const answering = connection.read(buffer).finally(() => answeredAt = time.now);
      while (answeredAt === null) {
        for (let i = 0; i < 20; i++) await time.runMicrotasks();
        time.tick(1000);
      }
      const answer = new TextDecoder().decode(buffer.subarray(0, await answering ?? 0));
      assertMatch(answer, /^HTTP\/1\.1 408 .*"code":"body_timeout"/s);
      assert(answeredAt - begun >= patience, `answered after ${answeredAt - begun} ms`);
    });
  }
});

Deno.test("an upstream that does not begin is 504 at its time, counted from the end of the body", async () => {
  const waiting = Promise.withResolvers<Response>();
  await using street = await createStreet({ upstream: () => waiting.promise, row: { timeoutMs: 100 } });
  const begun = performance.now();
  const answer = await street.call({ method: "POST", body: "x" });
  assertEquals([answer.status, JSON.parse(answer.body).code], [504, "upstream_timeout"]);
  const took = performance.now() - begun;
  assert(took >= 99 && took < 1000, `${took} ms`);
  waiting.resolve(new Response());
});

Deno.test("90 cookies are passed over, and none of them crosses", async () => {
  const { street, seen } = await createEcho();
  await using _ = street;
  const others = Array.from({ length: 90 }, (_, i) => `other-${i}=${"v".repeat(200)}`).join("; ");
  const answer = await street.call({ headers: [["Cookie", others]] });
  assertEquals([answer.status, seen[0]!.headers.cookie], [200, undefined]);
  assertMatch(seen[0]!.headers.authorization!, /^Bearer eyJ/);
});

Deno.test("headers of 64 KB are refused, and the service goes on", async () => {
  const { street, seen } = await createEcho();
  await using _ = street;
  const cookie = await street.call({ headers: [["Cookie", "x".repeat(60_000)]] });
  assertEquals([cookie.status, JSON.parse(cookie.body).code], [431, "headers_too_large"]);
  // The runtime itself refuses what is larger than its buffer, and more than 128 header lines.
  assertEquals((await street.call({ headers: [["X-Large", "x".repeat(70_000)]] })).status, 400);
  const many = Array.from({ length: 200 }, (_, i) => [`X-${i}`, "1"] as const);
  assertEquals((await street.call({ headers: many })).status, 400);
  assertEquals((await street.call({ target: `/api/${"x".repeat(17_000)}` })).status, 414);
  assertEquals([seen.length, (await street.call()).status], [0, 200]);
});
