import { assertEquals } from "@std/assert";
import { createNetwork, serveOnLoopback } from "./loopback.ts";
import { converse, type RawAnswer, sendBytes, sendRequest } from "./raw_http.ts";

Deno.test("sendRequest() sends host, headers and bytes as they are, and reads the answer", async (t) => {
  const server = serveOnLoopback(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/none") return new Response(null, { status: 204 });
    const body = JSON.stringify([request.method, request.url, request.headers.get("x"), await request.text()]);
    if (pathname !== "/stream") return new Response(body, { headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"]] });
    return new Response(
      ReadableStream.from([body.slice(0, 5), body.slice(5)].map((text) => new TextEncoder().encode(text))),
    );
  });
  try {
    const request = { host: "api.acme.test", headers: [["X", "1"], ["x", "2"]] as const };
    await t.step("with a length", async () => {
      const { status, headers, body } = await sendRequest(server.port, {
        ...request,
        target: "/a//b",
        method: "POST",
        body: "é",
      });
      assertEquals(status, 200);
      assertEquals(headers.getSetCookie(), ["a=1", "b=2"]);
      assertEquals(JSON.parse(body), ["POST", "http://api.acme.test/a//b", "1, 2", "é"]);
    });
    await t.step("in chunks", async () => {
      const { body } = await sendRequest(server.port, { ...request, target: "/stream" });
      assertEquals(JSON.parse(body)[1], "http://api.acme.test/stream");
    });
    await t.step("without a body", async () => {
      const { status, body } = await sendRequest(server.port, { ...request, target: "/none" });
      assertEquals([status, body], [204, ""]);
    });
    await t.step("bytes that are no HTTP", async () => {
      assertEquals((await sendBytes(server.port, "nonsense\r\n\r\n"))?.status, 400);
    });
  } finally {
    await server.close();
  }
});

Deno.test("converse() reads every answer on a connection, and tells who closed it", async (t) => {
  const server = serveOnLoopback(async (request) => {
    // Not at once: what is being answered must not get lost.
    await new Promise((resolve) => setTimeout(resolve, 5));
    return new Response(new URL(request.url).pathname);
  });
  const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: api.acme.test\r\n${more}\r\n`;
  const rows: Readonly<Record<string, readonly [bytes: string, bodies: readonly string[], isClosed: boolean]>> = {
    "one": [get("/a"), ["/a"], false],
    "one that wants no other": [get("/a", "Connection: close\r\n"), ["/a"], true],
    "three": [get("/a") + get("/b") + get("/c"), ["/a", "/b", "/c"], false],
    "a body that looks like a request": [
      get("/a", `Content-Length: ${get("/b").length}\r\n`) + get("/b"),
      ["/a"],
      false,
    ],
    "one, then nonsense": [`${get("/a")}nonsense\r\n\r\n`, ["/a", ""], true],
    "nonsense": ["nonsense\r\n\r\n", [""], true],
  };
  try {
    for (const [what, [bytes, bodies, isClosed]] of Object.entries(rows)) {
      await t.step(what, async () => {
        const goodbye = {
          bytes: get("/end", "Connection: close\r\n"),
          isAnswer: ({ body }: RawAnswer) => body === "/end",
        };
        const conversation = await converse(server.port, bytes, goodbye);
        assertEquals(conversation.answers.map(({ body }) => body), bodies);
        assertEquals(conversation.isClosed, isClosed);
      });
    }
  } finally {
    await server.close();
  }
});

Deno.test("a network reaches the hosts in its table over https, and notes every host that is dialled", async () => {
  const network = createNetwork({ "idp.test": (request) => new Response(request.url) });
  const response = await network.fetch("https://idp.test/x?y");
  assertEquals(await response.text(), "https://idp.test/x?y");
  for (const address of ["https://evil.test/", "http://idp.test/", "https://idp.test:444/"]) {
    const error = await network.fetch(address).then(() => null, (error) => error);
    assertEquals(error instanceof TypeError, true, address);
  }
  const expected = ["https://idp.test", "https://evil.test", "http://idp.test", "https://idp.test:444"];
  assertEquals(network.dialled, expected);
});
