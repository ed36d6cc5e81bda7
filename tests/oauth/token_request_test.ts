import { assertEquals } from "@std/assert";
import { clientSecretBasic, publicClient, sendCodeExchange, sendRefresh, sendRevocation } from "../../lib/oauth/mod.ts";
import { Secret } from "../../lib/secret.ts";
import { badBodies, endless, metadataOf, withServer } from "./server.ts";

const exchange = {
  code: "c+d e&f",
  redirectUri: "https://app.test/auth/acme/callback",
  codeVerifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
};
const refresh = { refreshToken: "rt=1" };
const issued = { access_token: "at-1", token_type: "Bearer", expires_in: 60 };

Deno.test("sendCodeExchange() posts code, redirect URI and verifier as a form, once", async () => {
  await withServer(async (server) => {
    server.answer = () => Response.json(issued);
    const options = { fetch, authentication: publicClient("web") };
    const outcome = await sendCodeExchange(metadataOf(server.origin), exchange, options);
    assertEquals(outcome.kind === "issued" && outcome.tokens.accessToken, "at-1");
    const [request, ...others] = server.received;
    assertEquals(others, []);
    assertEquals(`${request!.method} ${request!.path}`, "POST /token");
    assertEquals(request!.headers.get("content-type"), "application/x-www-form-urlencoded;charset=UTF-8");
    assertEquals(request!.headers.get("accept"), "application/json");
    assertEquals([...new URLSearchParams(request!.body)], [
      ["grant_type", "authorization_code"],
      ["code", "c+d e&f"],
      ["redirect_uri", "https://app.test/auth/acme/callback"],
      ["code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"],
      ["client_id", "web"],
    ]);
  });
});

Deno.test("sendRefresh() posts the refresh token with the client's credentials, once", async () => {
  await withServer(async (server) => {
    server.answer = () => Response.json({ ...issued, refresh_token: "rt=2" });
    const options = { fetch, authentication: clientSecretBasic("web", new Secret("open sesame")) };
    const outcome = await sendRefresh(metadataOf(server.origin), refresh, options);
    assertEquals(outcome.kind === "issued" && outcome.tokens.refreshToken, "rt=2");
    const [request, ...others] = server.received;
    assertEquals(others, []);
    assertEquals(request!.body, "grant_type=refresh_token&refresh_token=rt%3D1");
    assertEquals(request!.headers.get("authorization"), `Basic ${btoa("web:open+sesame")}`);
  });
});

Deno.test("an authentication that takes time is waited for", async () => {
  await withServer(async (server) => {
    server.answer = () => Response.json(issued);
    const authentication = async ({ body }: { readonly body: URLSearchParams }) => {
      await Promise.resolve();
      body.set("client_assertion", "a.b.c");
    };
    await sendRefresh(metadataOf(server.origin), refresh, { fetch, authentication });
    assertEquals(new URLSearchParams(server.received[0]!.body).get("client_assertion"), "a.b.c");
  });
});

Deno.test("a token endpoint with a query of its own keeps it", async () => {
  await withServer(async (server) => {
    server.answer = () => Response.json(issued);
    const metadata = metadataOf(server.origin, { tokenEndpoint: `${server.origin}/token?p=b2c_1` });
    await sendRefresh(metadata, refresh, { fetch, authentication: publicClient("web") });
    assertEquals(server.received[0]!.path, "/token?p=b2c_1");
  });
});

Deno.test("whatever a token endpoint answers, it costs one request and leaks nothing", async (t) => {
  const json = { "content-type": "application/json" };
  const answers: Readonly<Record<string, readonly [kind: string, answer: () => Response]>> = {
    "invalid_grant": ["refused", () => Response.json({ error: "invalid_grant" }, { status: 400 })],
    "invalid_client": ["misconfigured", () => Response.json({ error: "invalid_client" }, { status: 401 })],
    "429": ["unavailable", () => new Response(null, { status: 429, headers: { "retry-after": "2" } })],
    "500": ["unavailable", () => new Response(null, { status: 500 })],
    "502 with HTML": ["unavailable", () => new Response("<html>invalid_grant</html>", { status: 502 })],
    "200 with HTML": ["invalid_response", () => new Response("<html>", { headers: { "content-type": "text/html" } })],
    "200 without access token": ["invalid_response", () => Response.json({ token_type: "Bearer" })],
    "4 MiB and a byte": ["unavailable", () => new Response(" ".repeat(4_194_305), { headers: json })],
    "100 MB": ["unavailable", () => new Response(endless(), { headers: json })],
    "redirect to another host": ["unavailable", () => Response.redirect("http://127.0.0.1:9/steal", 307)],
    ...Object.fromEntries(
      [301, 302, 303, 307, 308].map((status) => [`redirect ${status}`, [
        "unavailable",
        () => new Response(null, { status, headers: { location: "/steal" } }),
      ]]),
    ),
    ...Object.fromEntries(
      Object.entries(badBodies).map(([what, body]) => [`200 with ${what}`, [
        "invalid_response",
        () => new Response(body(), { headers: json }),
      ]]),
    ),
  };
  for (const [what, [kind, answer]] of Object.entries(answers)) {
    await t.step(what, async () => {
      await withServer(async (server) => {
        server.answer = answer;
        const options = { fetch, authentication: publicClient("web") };
        const outcomes = [
          await sendCodeExchange(metadataOf(server.origin), exchange, options),
          await sendRefresh(metadataOf(server.origin), refresh, options),
        ];
        assertEquals(outcomes.map((outcome) => outcome.kind), [kind, kind] as never);
        assertEquals(server.received.map(({ path }) => path), ["/token", "/token"]);
      });
    });
  }
});

Deno.test("an answer of 4 MiB is read", async () => {
  await withServer(async (server) => {
    const headers = { "content-type": "application/json" };
    server.answer = () => new Response(JSON.stringify(issued).padEnd(4_194_304), { headers });
    const outcome = await sendRefresh(metadataOf(server.origin), refresh, {
      fetch,
      authentication: publicClient("web"),
    });
    assertEquals(outcome.kind, "issued");
  });
});

Deno.test("a token endpoint that is silent or breaks off may have acted on the request", async (t) => {
  const options = { fetch, authentication: publicClient("web"), timeoutMs: 50 };
  const expected = { kind: "unavailable", retryAfterSeconds: null, sent: true } as const;
  await t.step("silent before the headers", async () => {
    await withServer(async (server) => {
      const hanging = Promise.withResolvers<Response>();
      server.answer = (_received, request) => {
        request.signal.addEventListener("abort", () => hanging.resolve(new Response()));
        return hanging.promise;
      };
      assertEquals(await sendRefresh(metadataOf(server.origin), refresh, options), expected);
    });
  });
  await t.step("silent in the body", async () => {
    await withServer(async (server) => {
      const body = () => new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) });
      server.answer = () => new Response(body(), { headers: { "content-type": "application/json" } });
      assertEquals(await sendRefresh(metadataOf(server.origin), refresh, options), expected);
    });
  });
  await t.step("connection closed after the request", async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const served = (async () => {
      using connection = await listener.accept();
      await connection.read(new Uint8Array(4096));
    })();
    const metadata = metadataOf(`http://127.0.0.1:${listener.addr.port}`);
    assertEquals(await sendRefresh(metadata, refresh, { ...options, timeoutMs: 5000 }), expected);
    await served;
    listener.close();
  });
});

Deno.test("sendRevocation() tells whether the server has confirmed", async () => {
  await withServer(async (server) => {
    const metadata = metadataOf(server.origin, { revocationEndpoint: `${server.origin}/revoke` });
    const options = { fetch, authentication: publicClient("web") };
    const request = { token: "rt=1", tokenTypeHint: "refresh_token" } as const;
    const answers: readonly (readonly [boolean, () => Response])[] = [
      [true, () => new Response()],
      [true, () => Response.json({})],
      [true, () => new Response(null, { status: 204 })],
      [true, () => new Response(null, { status: 299 })],
      [false, () => Response.json({ error: "invalid_client" }, { status: 401 })],
      [false, () => new Response(null, { status: 503 })],
      [false, () => Response.redirect("http://127.0.0.1:9/", 302)],
      [false, () => new Response(endless())],
    ];
    for (const [expected, answer] of answers) {
      server.answer = answer;
      assertEquals(await sendRevocation(metadata, request, options), expected);
    }
    assertEquals(server.received.length, answers.length);
    assertEquals(server.received[0]!.path, "/revoke");
    assertEquals(server.received[0]!.body, "token=rt%3D1&token_type_hint=refresh_token&client_id=web");
    assertEquals(await sendRevocation(metadataOf(server.origin), request, options), false);
    assertEquals(server.received.length, answers.length);
  });
});
