/**
 * WebSockets through the proxy, with real sockets on both sides.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { Secret } from "../../lib/secret.ts";
import { createCloakroom } from "../../routes/cloakroom.ts";
import { ISSUER, PAGE } from "../routes/setting.ts";
import { signJwt } from "../support/signing_key.ts";
import { createStreet, type Street, type StreetOptions } from "./street.ts";

/** An upstream that accepts WebSockets and hands each of them to the test. */
interface WebSocketStreet extends Street {
  /** Handshakes as the upstream saw them. */
  readonly handshakes: readonly { readonly path: string; readonly headers: Headers }[];
  /** The next connection that the upstream accepts. */
  accepted(): Promise<WebSocket>;
  /** Dials as a page would. */
  dial(options?: DialOptions): WebSocket;
  /** Dials, and waits until the connection is open on both sides. */
  open(options?: DialOptions): Promise<{ readonly browser: WebSocket; readonly upstream: WebSocket }>;
}

interface DialOptions {
  readonly headers?: Record<string, string>;
  readonly protocols?: string[];
}

async function createWebSocketStreet(
  options: Omit<StreetOptions, "upstream"> & {
    /** Does something with a connection before anybody else. */
    readonly greet?: (socket: WebSocket) => void;
  } = {},
): Promise<WebSocketStreet> {
  const handshakes: { path: string; headers: Headers }[] = [];
  const queue: WebSocket[] = [];
  const waiting: ((socket: WebSocket) => void)[] = [];
  const street = await createStreet({
    ...options,
    // `new WebSocket` cannot choose its Host.
    vendor: { publicUrl: null, hosts: [], ...options.vendor },
    upstream(request) {
      const { pathname, search } = new URL(request.url);
      handshakes.push({ path: pathname + search, headers: new Headers(request.headers) });
      if (pathname.endsWith("/refused")) return new Response("no", { status: 403 });
      const protocol = request.headers.get("sec-websocket-protocol")?.split(", ").at(-1);
      const { socket, response } = Deno.upgradeWebSocket(request, protocol === undefined ? {} : { protocol });
      socket.binaryType = "arraybuffer";
      socket.addEventListener("open", () => {
        options.greet?.(socket);
        const next = waiting.shift();
        if (next === undefined) queue.push(socket);
        else next(socket);
      });
      return response;
    },
  });
  function accepted(): Promise<WebSocket> {
    const socket = queue.shift();
    return socket === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(socket);
  }
  function dial({ headers = {}, protocols = [] }: DialOptions = {}): WebSocket {
    const socket = new WebSocket(`ws://127.0.0.1:${street.port}/api/chat?room=1`, {
      protocols,
      headers: { cookie: street.cookie, origin: PAGE, ...headers },
    });
    socket.binaryType = "arraybuffer";
    return socket;
  }
  return {
    ...street,
    handshakes,
    accepted,
    dial,
    async open(options = {}) {
      const browser = dial(options);
      const opening = new Promise((resolve, reject) => {
        browser.addEventListener("open", resolve);
        browser.addEventListener("error", (event) => reject(new Error((event as ErrorEvent).message)));
      });
      const [upstream] = await Promise.all([accepted(), opening]);
      return { browser, upstream };
    },
  };
}

/** The next message of a socket. */
function nextMessage(socket: WebSocket): Promise<string | ArrayBuffer> {
  return new Promise((resolve, reject) => {
    socket.addEventListener("message", ({ data }) => resolve(data), { once: true });
    socket.addEventListener("close", ({ code }) => reject(new Error(`closed with ${code}`)), { once: true });
  });
}

/** The end of a socket. */
function endOf(socket: WebSocket): Promise<readonly [code: number, reason: string]> {
  return new Promise((resolve) => {
    socket.addEventListener("close", ({ code, reason }) => resolve([code, reason]), { once: true });
  });
}

/** Lets open streams be looked at until something has happened; at least for as long as a look takes. */
async function lookUntil(time: FakeTime, hasHappened: () => boolean): Promise<void> {
  const begun = performance.now();
  for (let i = 0; performance.now() < begun + 50 || !hasHappened(); i++) {
    if (i % 1000 === 0) time.tick(5000);
    await time.runMicrotasks();
  }
}

/** Closes a pair that a test has finished with. */
async function finish(browser: WebSocket, upstream: WebSocket): Promise<void> {
  const ends = [endOf(browser), endOf(upstream)];
  browser.close();
  await Promise.all(ends);
}

/** Shakes hands by hand, for what `new WebSocket` hides. Nothing is read. */
async function shakeHands(street: Street, headers: readonly (readonly [string, string])[]): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: street.port });
  const all = [["Host", `127.0.0.1:${street.port}`], ...HANDSHAKE, ...headers] as const;
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  await connection.write(new TextEncoder().encode(`GET /api/chat HTTP/1.1\r\n${lines}\r\n`));
  return connection;
}

/** What stands in front of the first message. */
async function readHead(connection: Deno.TcpConn): Promise<string> {
  const buffer = new Uint8Array(16_384);
  return new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
}

const HANDSHAKE = [
  ["Connection", "Upgrade"],
  ["Upgrade", "websocket"],
  ["Sec-WebSocket-Version", "13"],
  ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="],
] as const;

Deno.test("messages cross both ways as they are, with the session's token in the handshake and no cookie", async () => {
  await using street = await createWebSocketStreet();
  const { browser, upstream } = await street.open();
  const messages = [
    "text",
    "",
    "ümlaut",
    new Uint8Array([0, 1, 255]).buffer,
    new ArrayBuffer(0),
    "x".repeat(1_000_000),
  ];
  for (const [from, to] of [[browser, upstream], [upstream, browser]] as const) {
    for (const message of messages) {
      const arriving = nextMessage(to);
      from.send(message);
      assertEquals(await arriving, message);
    }
  }
  const [{ path, headers }] = street.handshakes as [typeof street.handshakes[0]];
  assertEquals(path, "/api/chat?room=1");
  assertMatch(headers.get("authorization") ?? "", /^Bearer eyJ/);
  assertEquals([headers.get("cookie"), headers.get("x-forwarded-for")], [null, "127.0.0.1"]);
  await finish(browser, upstream);
});

Deno.test("the upstream chooses the subprotocol", async () => {
  await using street = await createWebSocketStreet();
  const { browser, upstream } = await street.open({ protocols: ["chat.v1", "chat.v2"] });
  assertEquals(browser.protocol, "chat.v2");
  assertEquals(street.handshakes[0]!.headers.get("sec-websocket-protocol"), "chat.v1, chat.v2");
  await finish(browser, upstream);
});

Deno.test("what an upstream says at once arrives, in order", async () => {
  const words = Array.from({ length: 500 }, (_, i) => `${i}`);
  await using street = await createWebSocketStreet({ greet: (socket) => words.forEach((word) => socket.send(word)) });
  const received: string[] = [];
  const browser = street.dial();
  const all = Promise.withResolvers<void>();
  browser.addEventListener("message", ({ data }) => {
    received.push(data);
    if (received.length === words.length) all.resolve();
  });
  await all.promise;
  assertEquals(received, words);
  await finish(browser, await street.accepted());
});

Deno.test("a handshake that may not be is refused before the upstream is dialled", async (t) => {
  const own = (street: Street) => `http://127.0.0.1:${street.port}`;
  type Row = readonly [status: number, headers: (street: Street) => Readonly<Record<string, string | null>>];
  const rows: Readonly<Record<string, Row>> = {
    "no Origin": [403, () => ({ Origin: null })],
    "an empty Origin": [403, () => ({ Origin: "" })],
    "Origin null": [403, () => ({ Origin: "null" })],
    "a foreign Origin": [403, () => ({ Origin: "https://evil.test" })],
    "a sibling that is not listed": [403, () => ({ Origin: "https://shop.acme.test" })],
    "a look-alike in front": [403, () => ({ Origin: "https://evilwww.acme.test" })],
    "a look-alike behind": [403, () => ({ Origin: "https://www.acme.test.evil.test" })],
    "the listed host over http": [403, () => ({ Origin: "http://www.acme.test" })],
    "the listed host at another port": [403, () => ({ Origin: "https://www.acme.test:8443" })],
    "the listed origin with a path": [403, () => ({ Origin: "https://www.acme.test/" })],
    "two Origins": [403, (street) => ({ Origin: `${PAGE}, ${own(street)}` })],
    "a foreign Origin with a Bearer": [403, () => ({ Origin: "https://evil.test", Authorization: "Bearer x" })],
    "no session": [401, () => ({ Cookie: null })],
    "half a session": [401, ({ cookie }) => ({ Cookie: cookie.replace(/__Host-rt=[^;]*/, "") })],
    "a Bearer that is none": [401, () => ({ Authorization: "Bearer x", Origin: null })],
    "another version": [400, () => ({ "Sec-WebSocket-Version": "8" })],
    "no key": [400, () => ({ "Sec-WebSocket-Key": null })],
    "a short key": [400, () => ({ "Sec-WebSocket-Key": "eA==" })],
    "a subprotocol with a space": [400, () => ({ "Sec-WebSocket-Protocol": "a b" })],
    "a subprotocol twice": [400, () => ({ "Sec-WebSocket-Protocol": "a, a" })],
  };
  await using street = await createWebSocketStreet();
  for (const [what, [status, change]] of Object.entries(rows)) {
    await t.step(what, async () => {
      const good = { Cookie: street.cookie, Origin: PAGE, ...Object.fromEntries(HANDSHAKE) };
      const all: Readonly<Record<string, string | null>> = { ...good, ...change(street) };
      const headers = Object.entries(all).flatMap(([name, value]) => value === null ? [] : [[name, value] as const]);
      const answer = await street.callAs(headers, { host: `127.0.0.1:${street.port}` });
      assertEquals(answer.status, status, answer.body);
      assertEquals(street.handshakes, []);
    });
  }
});

Deno.test("a client with a Bearer of its own needs no Origin", async () => {
  await using street = await createWebSocketStreet();
  const { idp, clock } = street.setting;
  const times = { iat: clock(), exp: clock() + 60 };
  const claims = { iss: ISSUER, sub: "machine", aud: idp.audience, client_id: "machine", ...times };
  const token = await signJwt(idp.key, { typ: "at+jwt" }, claims);
  using time = new FakeTime();
  using connection = await shakeHands(street, [["Authorization", `Bearer ${token}`]]);
  assertMatch(await readHead(connection), /^HTTP\/1\.1 101 /);
  const upstream = await street.accepted();
  assertEquals(street.handshakes[0]!.headers.get("authorization"), `Bearer ${token}`);
  const ending = endOf(upstream);
  clock.advance(60);
  time.tick(5000);
  await ending;
});

Deno.test("a handshake that refreshes the session brings the new cookies", async () => {
  await using street = await createWebSocketStreet();
  street.setting.clock.advance(3590);
  using connection = await shakeHands(street, [["Cookie", street.cookie], ["Origin", PAGE]]);
  const answer = await readHead(connection);
  assertMatch(answer, /^HTTP\/1\.1 101 /);
  assertMatch(answer, /^x-request-id: [\w-]{16}\r$/m);
  assertMatch(answer, /^set-cookie: at=eyJ/m);
  assertMatch(answer, /^set-cookie: __Host-rt=eyJ/m);
});

Deno.test("the end of one side is told to the other", async (t) => {
  await using street = await createWebSocketStreet();
  type Row = readonly [close: (socket: WebSocket) => void, told: readonly [number, string]];
  const fromUpstream: Readonly<Record<string, Row>> = {
    "1000": [(socket) => socket.close(1000, "done"), [1000, "done"]],
    "no code": [(socket) => socket.close(), [1000, ""]],
    "1001": [(socket) => socket.close(1001, "moving"), [1001, "moving"]],
    "1011": [(socket) => socket.close(1011, "oh"), [1011, "oh"]],
    "4321": [(socket) => socket.close(4321, "ours"), [4321, "ours"]],
  };
  for (const [what, [close, told]] of Object.entries(fromUpstream)) {
    await t.step(`the upstream: ${what}`, async () => {
      const { browser, upstream } = await street.open();
      const ends = [endOf(browser), endOf(upstream)];
      close(upstream);
      assertEquals((await Promise.all(ends))[0], told);
    });
  }
  const fromBrowser: Readonly<Record<string, Row>> = {
    "1000": [(socket) => socket.close(1000, "done"), [1000, "done"]],
    "no code": [(socket) => socket.close(), [1005, ""]],
    "4321": [(socket) => socket.close(4321, "ours"), [4321, "ours"]],
  };
  for (const [what, [close, told]] of Object.entries(fromBrowser)) {
    await t.step(`the browser: ${what}`, async () => {
      const { browser, upstream } = await street.open();
      const ends = [endOf(browser), endOf(upstream)];
      close(browser);
      assertEquals((await Promise.all(ends))[1], told);
    });
  }
  await t.step("the browser: gone without a word", async () => {
    const connection = await shakeHands(street, [["Cookie", street.cookie], ["Origin", PAGE]]);
    assertMatch(await readHead(connection), /^HTTP\/1\.1 101 /);
    const upstream = await street.accepted();
    const ending = endOf(upstream);
    connection.close();
    assertEquals((await ending)[0], 1005);
  });
  await t.step("the browser: gone before it is answered", async () => {
    using time = new FakeTime();
    const connection = await shakeHands(street, [["Cookie", street.cookie], ["Origin", PAGE]]);
    connection.close();
    // Either the upstream is never dialled, or left again.
    for (let i = 0; i < 50; i++) await time.tickAsync(0);
    time.tick(5000);
  });
});

Deno.test("an upstream that does not come about is told as for any call", async (t) => {
  const failed = { headers: [["Origin", PAGE], ...HANDSHAKE] as const };
  await t.step("it refuses", async () => {
    await using street = await createWebSocketStreet({ vendor: { publicUrl: "https://api.acme.test" } });
    const answer = await street.call({ ...failed, target: "/api/refused" });
    assertEquals([answer.status, JSON.parse(answer.body).code], [502, "upstream_unreachable"]);
  });
  await t.step("it is not there", async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    listener.close();
    await using street = await createStreet({ upstream: listener.addr.port });
    assertEquals((await street.call(failed)).status, 502);
  });
  await t.step("it does not answer", async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await using street = await createStreet({ upstream: listener.addr.port, row: { timeoutMs: 100 } });
    const answer = await street.call(failed);
    assertEquals([answer.status, JSON.parse(answer.body).code], [504, "upstream_timeout"]);
    (await listener.accept()).close();
  });
  await t.step("the runtime has no WebSockets", async () => {
    await using street = await createStreet({ upstream: 1, withoutWebSockets: true });
    const answer = await street.call(failed);
    assertEquals([answer.status, JSON.parse(answer.body).code], [501, "websocket_unsupported"]);
  });
});

Deno.test("other upgrades are not passed on: the call is an ordinary one", async () => {
  const seen: Headers[] = [];
  await using street = await createStreet({
    upstream(request) {
      seen.push(new Headers(request.headers));
      return new Response("ordinary");
    },
  });
  const upgrades = [
    [["Connection", "Upgrade, HTTP2-Settings"], ["Upgrade", "h2c"], ["HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA"]],
    [["Connection", "Upgrade"], ["Upgrade", "TLS/1.0"]],
    [["Upgrade", "websocket"], ["Sec-WebSocket-Version", "13"], ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="]],
  ] as const;
  for (const headers of upgrades) assertEquals((await street.call({ headers })).body, "ordinary");
  for (const headers of seen) {
    for (const name of ["upgrade", "http2-settings", "connection", "sec-websocket-key"]) {
      assertEquals(headers.get(name), null, name);
    }
  }
});

Deno.test("a WebSocket ends with its session, on both sides and at once where the session ends here", async () => {
  await using street = await createWebSocketStreet();
  const first = await street.open();
  const second = await street.open();
  const ends = [first, second].flatMap(({ browser, upstream }) => [endOf(browser), endOf(upstream)]);
  const origin = `http://127.0.0.1:${street.port}`;
  const begun = performance.now();
  const headers = [["Cookie", street.cookie], ["Origin", origin]] as const;
  const host = `127.0.0.1:${street.port}`;
  const logout = await street.callAs(headers, { method: "POST", host, target: "/auth/acme/logout" });
  assertEquals(logout.status, 200);
  const over = [[1008, "session ended"], [1005, ""]] as const;
  assertEquals(await Promise.all(ends), [...over, ...over]);
  const took = performance.now() - begun;
  assert(took < 1000, `${took} ms`);
  assertEquals((await street.callAs([...headers, ...HANDSHAKE], { host })).status, 401, "nobody comes back");
});

Deno.test("a WebSocket ends within seconds where another process ends the session", async () => {
  await using street = await createWebSocketStreet();
  const { setting } = street;
  using time = new FakeTime();
  const { browser, upstream } = await street.open();
  const ends = [endOf(browser), endOf(upstream)];
  const elsewhere = await createCloakroom({
    records: setting.records,
    masterKey: new Secret(new Uint8Array(32).fill(7)),
    defaults: { issuer: ISSUER },
    fetch: setting.network.fetch,
    now: setting.clock,
  });
  const headers = { cookie: street.cookie, origin: PAGE };
  const logout = await elsewhere.fetch(
    new Request(`http://127.0.0.1:${street.port}/auth/acme/logout`, { method: "POST", headers }),
  );
  assertEquals(logout.status, 200);
  await elsewhere.settle();
  const begun = performance.now();
  while (browser.readyState === WebSocket.OPEN) await time.tickAsync(5000);
  assertEquals(await Promise.all(ends), [[1008, "session ended"], [1005, ""]]);
  const took = performance.now() - begun;
  assert(took < 2000, `what is remembered about a session was ${took} ms old`);
});

Deno.test("a WebSocket outlives its access token while the session can be refreshed, and no longer", async () => {
  await using street = await createWebSocketStreet();
  const { clock, idp, cloakroom } = street.setting;
  using time = new FakeTime();
  const { browser, upstream } = await street.open();
  const before = idp.calls.token;
  // By the life of the access token, an hour, after which somebody has to have refreshed.
  for (const [seconds, calls] of [[3590, 0], [10, 1], [1800, 1], [1800, 2]] as const) {
    clock.advance(seconds);
    await lookUntil(time, () => idp.calls.token - before >= calls);
    await cloakroom.settle();
    assertEquals([idp.calls.token - before, browser.readyState], [calls, WebSocket.OPEN], `${seconds} s later`);
  }

  const ends = [endOf(browser), endOf(upstream)];
  street.setting.tokenFault = () => Response.json({ error: "invalid_grant" }, { status: 400 });
  clock.advance(3600);
  time.tick(5000);
  assertEquals(await Promise.all(ends), [[1008, "session ended"], [1005, ""]]);
});

Deno.test("a WebSocket survives a token service that is away", async () => {
  await using street = await createWebSocketStreet();
  const { clock, cloakroom } = street.setting;
  using time = new FakeTime();
  const { browser, upstream } = await street.open();
  let tries = 0;
  street.setting.tokenFault = () => {
    tries++;
    return new Response(null, { status: 503 });
  };
  clock.advance(3600);
  await lookUntil(time, () => tries > 0);
  await cloakroom.settle();
  assertEquals(browser.readyState, WebSocket.OPEN);
  time.restore();
  await finish(browser, upstream);
});

Deno.test("a service that stops tells WebSockets to come again (1001), and takes no more", async () => {
  await using street = await createWebSocketStreet();
  const { browser } = await street.open();
  const ending = endOf(browser);
  street.setting.cloakroom.endStreams();
  assertEquals(await ending, [1001, "service restarts"]);
  const late = await street.open();
  assertEquals((await endOf(late.browser))[0], 1001);
});

Deno.test("whoever reads too slowly is left, before what waits for them fills the memory", async () => {
  await using street = await createWebSocketStreet();
  using connection = await shakeHands(street, [["Cookie", street.cookie], ["Origin", PAGE]]);
  assertMatch(await readHead(connection), /^HTTP\/1\.1 101 /);
  const upstream = await street.accepted();
  const ending = endOf(upstream);
  const before = Deno.memoryUsage().rss;
  const part = "x".repeat(65_536);
  let sentBytes = 0;
  while (upstream.readyState === WebSocket.OPEN && sentBytes < 200 * 1024 * 1024) {
    if (upstream.bufferedAmount < 1024 * 1024) {
      upstream.send(part);
      sentBytes += part.length;
    } else await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await ending;
  const grown = (Deno.memoryUsage().rss - before) / 1024 / 1024;
  assert(grown < 64, `${grown} MiB`);
});
