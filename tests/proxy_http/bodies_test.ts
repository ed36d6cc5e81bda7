/**
 * Answers through real sockets: every way of framing and encoding a body, and every way in which it can break.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { brotliCompressSync, deflateSync, gunzipSync, gzipSync, inflateSync, zstdCompressSync } from "node:zlib";
import { sendBytes } from "../support/raw_http.ts";
import { createStreet, HOST, serveBytes, type Street } from "./street.ts";

const TEXT = "A line that is worth compressing.\n".repeat(2000);

/** How an upstream may encode a body, and how a browser undoes it. */
const ENCODINGS: Readonly<Record<string, readonly [encode: (text: string) => Uint8Array, decode: Decode]>> = {
  "": [(text) => new TextEncoder().encode(text), (bytes) => bytes],
  "identity": [(text) => new TextEncoder().encode(text), (bytes) => bytes],
  "gzip": [gzipSync, gunzipSync],
  "x-gzip": [gzipSync, gunzipSync],
  "GZIP": [gzipSync, gunzipSync],
  "br": [brotliCompressSync, () => assert(false, "br was not asked for")],
  "deflate": [deflateSync, inflateSync],
  "zstd": [zstdCompressSync, (bytes) => bytes],
};
type Decode = (bytes: Uint8Array) => Uint8Array | void;

async function withUpstream(bytes: string | Uint8Array, run: (street: Street) => Promise<void>): Promise<void> {
  const upstream = serveBytes(bytes);
  try {
    await using street = await createStreet({ upstream: upstream.port });
    await run(street);
  } finally {
    await upstream.close();
  }
}

/** Bytes of an answer. */
function answerOf(head: readonly string[], body: Uint8Array = new Uint8Array(), tail = ""): Uint8Array {
  const encoder = new TextEncoder();
  return Uint8Array.from([...encoder.encode(`${head.join("\r\n")}\r\n\r\n`), ...body, ...encoder.encode(tail)]);
}

function chunked(body: Uint8Array): Uint8Array {
  const encoder = new TextEncoder();
  const half = Math.ceil(body.length / 2);
  return Uint8Array.from(
    [body.subarray(0, half), body.subarray(half)].flatMap((part) => [
      ...encoder.encode(`${part.length.toString(16)}\r\n`),
      ...part,
      ...encoder.encode("\r\n"),
    ]),
  );
}

for (const [encoding, [encode, decode]] of Object.entries(ENCODINGS)) {
  Deno.test(`a body that the upstream encodes as "${encoding}" arrives whole, labelled as what it is`, async (t) => {
    const body = encode(TEXT);
    const label = encoding === "" ? [] : [`Content-Encoding: ${encoding}`];
    const framings = {
      "with its length": answerOf(["HTTP/1.1 200 OK", `Content-Length: ${body.length}`, ...label], body),
      "in chunks": answerOf(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", ...label], chunked(body), "0\r\n\r\n"),
      "until the end": answerOf(["HTTP/1.1 200 OK", "Connection: close", ...label], body),
    };
    for (const [framing, bytes] of Object.entries(framings)) {
      await t.step(framing, () =>
        withUpstream(bytes, async (street) => {
          const answer = await street.call();
          assertEquals(answer.status, 200);
          const labelled = answer.headers.get("content-encoding");
          if (encoding !== "zstd") {
            const decoded = labelled === null ? answer.bytes : decode(answer.bytes);
            assertEquals(new TextDecoder().decode(decoded!), TEXT);
          } else assertEquals([labelled, answer.bytes], ["zstd", Uint8Array.from(body)]);
        }));
    }
  });
}

Deno.test("an answer without a body stays one", async (t) => {
  const rows: Readonly<Record<string, readonly [method: string, head: readonly string[]]>> = {
    "204": ["GET", ["HTTP/1.1 204 No Content"]],
    "204 after DELETE": ["DELETE", ["HTTP/1.1 204 No Content"]],
    "205": ["POST", ["HTTP/1.1 205 Reset Content", "Content-Length: 0"]],
    "304": ["GET", ["HTTP/1.1 304 Not Modified", 'ETag: "x"']],
    "304 that tells a length": ["GET", ["HTTP/1.1 304 Not Modified", 'ETag: "x"', "Content-Length: 500"]],
    "an empty 200": ["GET", ["HTTP/1.1 200 OK", "Content-Length: 0"]],
    "HEAD": ["HEAD", ["HTTP/1.1 200 OK", "Content-Length: 500", "Content-Type: text/plain"]],
    "HEAD of something encoded": ["HEAD", ["HTTP/1.1 200 OK", "Content-Length: 500", "Content-Encoding: gzip"]],
    "HEAD of chunks": ["HEAD", ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"]],
  };
  for (const [what, [method, head]] of Object.entries(rows)) {
    await t.step(what, () =>
      withUpstream(answerOf([...head, "X-Upstream: 1"]), async (street) => {
        const answer = await street.call({ method });
        assertEquals([answer.status, answer.body, answer.headers.get("x-upstream")], [
          Number(head[0]!.split(" ")[1]),
          "",
          "1",
        ]);
      }));
  }
});

Deno.test("HEAD tells the length that GET has", async () => {
  await withUpstream(answerOf(["HTTP/1.1 200 OK", "Content-Length: 500"]), async (street) => {
    assertEquals((await street.call({ method: "HEAD" })).headers.get("content-length"), "500");
  });
});

Deno.test("early hints are left out, trailers too, and the body is whole", async () => {
  const bytes = answerOf(
    [
      "HTTP/1.1 103 Early Hints",
      "Link: </x.css>; rel=preload",
      "",
      "HTTP/1.1 200 OK",
      "Transfer-Encoding: chunked",
      "Trailer: X-Sum",
    ],
    chunked(new TextEncoder().encode("whole")),
    "0\r\nX-Sum: 5\r\n\r\n",
  );
  await withUpstream(bytes, async (street) => {
    const { status, body, headers } = await street.call();
    assertEquals([status, body, headers.get("trailer"), headers.get("x-sum"), headers.get("link")], [
      200,
      "whole",
      null,
      null,
      null,
    ]);
  });
});

Deno.test("an upstream that breaks off in the body breaks the answer: it never looks complete", async (t) => {
  const body = new TextEncoder().encode("half of it");
  const rows = {
    "before its length": answerOf(["HTTP/1.1 200 OK", "Content-Length: 100"], body),
    "without a last chunk": answerOf(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"], chunked(body)),
    "within a chunk": answerOf(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"], body.subarray(0, 0), "ff\r\nhalf"),
    "within gzip": answerOf(
      ["HTTP/1.1 200 OK", "Content-Encoding: gzip", "Transfer-Encoding: chunked"],
      chunked(gzipSync(TEXT).subarray(0, 40)),
      "0\r\n\r\n",
    ),
    "events": answerOf(
      ["HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"],
      chunked(new TextEncoder().encode("data: 1\n\n")),
    ),
  };
  for (const [what, bytes] of Object.entries(rows)) {
    await t.step(what, () =>
      withUpstream(bytes, async ({ port, cookie }) => {
        const head = `GET /api/x HTTP/1.1\r\nHost: ${HOST}\r\nSec-Fetch-Site: same-origin\r\nCookie: ${cookie}\r\n\r\n`;
        const answer = await sendBytes(port, head);
        assertEquals(answer, null, "a whole answer arrived");
      }));
  }
});

Deno.test("an upstream that answers nonsense, or nothing, is 502", async (t) => {
  const rows = {
    "nothing": "",
    "nonsense": "SSH-2.0-OpenSSH_9.6\r\n",
    "a bad status line": "HTTP/1.1 abc\r\n\r\n",
    "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a control character in a header": "HTTP/1.1 200 OK\r\nX-A: a\u0000b\r\nContent-Length: 0\r\n\r\n",
  };
  for (const [what, bytes] of Object.entries(rows)) {
    await t.step(what, () =>
      withUpstream(bytes, async (street) => {
        const answer = await street.call();
        assertEquals([answer.status, JSON.parse(answer.body).code], [502, "upstream_unreachable"]);
      }));
  }
});

Deno.test("headers that come several times cross both ways, each with all of its values", async () => {
  const head = ["HTTP/1.1 200 OK", "Content-Length: 2", "Link: </a>", "Link: </b>", "Vary: Accept", "Set-Cookie: a=1"];
  const upstream = serveBytes(answerOf([...head, "Set-Cookie: b=2"], new TextEncoder().encode("ok")));
  {
    await using street = await createStreet({ upstream: upstream.port, vendor: { passCookies: ["a", "b"] } });
    const { headers } = await street.call({ headers: [["Accept", "text/plain"], ["Accept", "text/html"]] });
    assertEquals(headers.get("link"), "</a>, </b>");
    assertEquals(headers.get("vary"), "Accept, Origin");
    assertEquals(headers.getSetCookie(), ["a=1", "b=2"]);
  }
  await upstream.close();
  assert(/^accept: text\/plain, ?text\/html\r$/im.test(upstream.received[0]!), upstream.received[0]);
});
