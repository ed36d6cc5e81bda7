import { assertEquals } from "@std/assert";
import { createKeySets, type KeyLookup, type KeySetsOptions } from "../../lib/jwt/mod.ts";
import { createTestKey, NOW } from "./issuer.ts";

const [first, second] = await Promise.all([createTestKey("ES256", "k1"), createTestKey("ES256", "k2")]);

/** A key server on loopback whose answers the test decides, and a clock that the test turns. */
async function withServer(
  run: (
    server: {
      now: number;
      answer: (request: Request) => Response | Promise<Response>;
      /** What each request accepted. */
      readonly requests: (string | null)[];
      find(kid: string | null, path?: string): Promise<KeyLookup>;
    },
  ) => Promise<void>,
  options: Partial<KeySetsOptions> = {},
): Promise<void> {
  const listener = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    server.requests.push(request.headers.get("accept"));
    return server.answer(request);
  });
  const keySets = createKeySets({ fetch, now: () => server.now, ...options });
  const server = {
    now: NOW,
    answer: (_request: Request): Response | Promise<Response> => publish(first.jwk),
    requests: [] as (string | null)[],
    find: (kid: string | null, path = "/jwks") =>
      keySets.find(`http://127.0.0.1:${listener.addr.port}${path}`, { alg: "ES256", kid }),
  };
  try {
    await run(server);
  } finally {
    await listener.shutdown();
  }
}

function publish(...keys: readonly object[]): Response {
  return Response.json({ keys });
}

Deno.test("a key set is fetched over HTTP once and remembered for ten minutes", async () => {
  await withServer(async (server) => {
    const found = await Promise.all(Array.from({ length: 50 }, () => server.find("k1")));
    assertEquals(new Set(found.map(({ kind }) => kind)), new Set(["found"]));
    server.now += 599;
    assertEquals((await server.find("k1")).kind, "found");
    assertEquals(server.requests, ["application/json, application/jwk-set+json"]);
    server.now += 1;
    assertEquals((await server.find("k1")).kind, "found");
    assertEquals(server.requests.length, 2);
  });
});

Deno.test("a withdrawn key is no longer found after ten minutes", async () => {
  await withServer(async (server) => {
    await server.find("k1");
    server.answer = () => publish(second.jwk);
    server.now += 600;
    assertEquals((await server.find("k1")).kind, "unknown");
    assertEquals((await server.find("k2")).kind, "found");
  });
});

Deno.test("a new key is found with the first token that names it", async () => {
  await withServer(async (server) => {
    await server.find("k1");
    server.answer = () => publish(first.jwk, second.jwk);
    server.now += 30;
    assertEquals((await server.find("k2")).kind, "found");
    assertEquals((await server.find("k1")).kind, "found");
    assertEquals(server.requests.length, 2);
  });
});

Deno.test("100 unknown key ids make one fetch, and no more for 30 seconds", async () => {
  await withServer(async (server) => {
    await server.find("k1");
    server.now += 30;
    const burst = () => Promise.all(Array.from({ length: 100 }, () => server.find(crypto.randomUUID())));
    assertEquals(new Set((await burst()).map(({ kind }) => kind)), new Set(["unknown"]));
    assertEquals(server.requests.length, 2);
    server.now += 29;
    await burst();
    assertEquals(server.requests.length, 2);
    assertEquals((await server.find("k1")).kind, "found");
    server.now += 1;
    await burst();
    assertEquals(server.requests.length, 3);
  });
});

Deno.test("while the server fails, known keys serve for a day, and unknown ones are an outage", async () => {
  await withServer(async (server) => {
    await server.find("k1");
    server.answer = () => new Response("down", { status: 500 });
    server.now += 600;
    assertEquals((await server.find("k1")).kind, "found");
    assertEquals(await server.find("k2"), { kind: "unavailable", reason: "status" });
    assertEquals(server.requests.length, 2);
    server.now = NOW + 86_399;
    assertEquals((await server.find("k1")).kind, "found");
    server.now = NOW + 86_400;
    assertEquals(await server.find("k1"), { kind: "unavailable", reason: "status" });
    server.answer = () => publish(first.jwk);
    server.now += 30;
    assertEquals((await server.find("k1")).kind, "found");
    assertEquals((await server.find("k2")).kind, "unknown");
  });
});

Deno.test("an answer that is no good key set is an outage, and never replaces a good one", async (t) => {
  const answers: Readonly<Record<string, readonly [reason: string, answer: () => Response]>> = {
    "500": ["status", () => new Response(null, { status: 500 })],
    "404": ["status", () => Response.json({ keys: [first.jwk] }, { status: 404 })],
    "201": ["status", () => Response.json({ keys: [first.jwk] }, { status: 201 })],
    "204": ["status", () => new Response(null, { status: 204 })],
    "HTML": ["key_set", () => new Response("<html>")],
    "truncated": ["key_set", () => new Response('{"keys":[')],
    "array": ["key_set", () => Response.json([first.jwk])],
    "keys twice": ["key_set", () => new Response(`{"keys":[],"keys":[${JSON.stringify(first.jwk)}]}`)],
    "keys missing": ["key_set", () => Response.json({})],
    "private key published": ["exposed", () => publish({ ...first.jwk, d: "AAAA" })],
    "shared key published": ["exposed", () => publish(first.jwk, { kty: "oct", k: "AAAA" })],
    "101 keys": ["key_set", () => publish(...Array(101).fill({ kty: "XX" }))],
    "512 KiB and a byte": ["too_large", () => new Response(" ".repeat(524_289))],
    "50 MB": ["too_large", () => new Response(endless())],
    "redirect": ["redirected", () => Response.redirect("http://127.0.0.1:9/jwks", 302)],
    "permanent redirect": ["redirected", () => Response.redirect("http://127.0.0.1:9/jwks", 308)],
  };
  for (const [what, [reason, answer]] of Object.entries(answers)) {
    await t.step(what, async () => {
      await withServer(async (server) => {
        server.answer = answer;
        assertEquals(await server.find("k1"), { kind: "unavailable", reason } as never);
        server.answer = () => publish(first.jwk);
        server.now += 3;
        assertEquals((await server.find("k1")).kind, "found");
        server.answer = answer;
        server.now += 600;
        assertEquals((await server.find("k1")).kind, "found");
      });
    });
  }
});

Deno.test("a key set of 512 KiB is read", async () => {
  await withServer(async (server) => {
    server.answer = () => new Response(JSON.stringify({ keys: [first.jwk] }).padEnd(524_288));
    assertEquals((await server.find("k1")).kind, "found");
  });
});

Deno.test("a server that hangs costs one time limit for all callers together", async () => {
  await withServer(async (server) => {
    const hanging = Promise.withResolvers<Response>();
    server.answer = (request) => {
      request.signal.addEventListener("abort", () => hanging.resolve(new Response()));
      return hanging.promise;
    };
    const lookups = await Promise.all(Array.from({ length: 50 }, () => server.find("k1")));
    assertEquals(lookups[0], { kind: "unavailable", reason: "timeout" });
    assertEquals(new Set(lookups.map(({ kind }) => kind)), new Set(["unavailable"]));
    assertEquals(server.requests.length, 1);
  }, { timeoutMs: 50 });
});

Deno.test("a server that cannot be reached is an outage", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const keySets = createKeySets({ fetch });
  const lookup = await keySets.find(`http://127.0.0.1:${port}/`, { alg: "ES256", kid: "k1" });
  assertEquals(lookup, { kind: "unavailable", reason: "unreachable" });
});

Deno.test("one bad key among good ones does no harm", async () => {
  await withServer(async (server) => {
    server.answer = () => publish({ kty: "XX" }, first.jwk, { kty: "RSA", kid: "k3", n: "AAAA", e: "AQAB" });
    assertEquals((await server.find("k1")).kind, "found");
    assertEquals((await server.find("k3")).kind, "unusable");
  });
});

Deno.test("sets of different addresses are kept apart, and only so many", async () => {
  await withServer(async (server) => {
    server.answer = (request) => publish(request.url.endsWith("/a") ? first.jwk : second.jwk);
    assertEquals((await server.find("k1", "/a")).kind, "found");
    assertEquals((await server.find("k1", "/b")).kind, "unknown");
    assertEquals((await server.find("k2", "/b")).kind, "found");
    assertEquals(server.requests.length, 2);
    await server.find("k2", "/c");
    await server.find("k1", "/a");
    assertEquals(server.requests.length, 4);
  }, { maxSets: 2 });
});

function endless(): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) });
}
