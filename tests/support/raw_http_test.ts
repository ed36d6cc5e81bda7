import { assertEquals } from "@std/assert";
import { createNetwork, serveOnLoopback } from "./loopback.ts";
import { sendBytes, sendRequest } from "./raw_http.ts";

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
