import { assertEquals } from "@std/assert";
import { createMetadataDirectory, type Fetch } from "../../lib/oauth/mod.ts";
import { readServerMetadata } from "../../lib/oauth/server_metadata.ts";
import { badBodies, documentOf, endless, metadataOf, withServer } from "./server.ts";

const ISSUER = "https://id.test/";

Deno.test("readServerMetadata() reads what a full document says", () => {
  const document = documentOf(ISSUER, {
    authorization_endpoint: "https://id.test/authorize?x=1#frag",
    revocation_endpoint: "https://id.test/revoke",
    end_session_endpoint: "https://id.test/logout",
    userinfo_endpoint: "https://api.test/userinfo",
    pushed_authorization_request_endpoint: "https://id.test/par",
    authorization_response_iss_parameter_supported: true,
    code_challenge_methods_supported: ["plain", "S256"],
    token_endpoint_auth_methods_supported: ["client_secret_basic", "none"],
    id_token_signing_alg_values_supported: ["HS256", "RS256"],
    response_types_supported: ["code"],
    unknown: { nobody: ["minds"] },
  });
  assertEquals(readServerMetadata(document, { issuer: ISSUER }), {
    kind: "loaded",
    value: {
      issuer: ISSUER,
      authorizationEndpoint: "https://id.test/authorize?x=1",
      tokenEndpoint: "https://id.test/token",
      jwksUri: "https://id.test/jwks",
      revocationEndpoint: "https://id.test/revoke",
      endSessionEndpoint: "https://id.test/logout",
      userinfoEndpoint: "https://api.test/userinfo",
      pushedAuthorizationRequestEndpoint: "https://id.test/par",
      responseIssSupported: true,
      pkceS256Supported: true,
      tokenEndpointAuthMethods: ["client_secret_basic", "none"],
      idTokenAlgorithms: ["HS256", "RS256"],
    },
  });
});

Deno.test("readServerMetadata() reads the plainest document, and one with nulls", () => {
  const expected = { kind: "loaded", value: metadataOf("https://id.test") } as const;
  assertEquals(readServerMetadata(documentOf(ISSUER), { issuer: ISSUER }), expected);
  const nulls = { revocation_endpoint: null, code_challenge_methods_supported: null };
  assertEquals(readServerMetadata(documentOf(ISSUER, nulls), { issuer: ISSUER }), expected);
});

Deno.test("readServerMetadata() tells announced PKCE without S256 from nothing announced", () => {
  for (const methods of [[], ["plain"], ["s256"]]) {
    const read = readServerMetadata(documentOf(ISSUER, { code_challenge_methods_supported: methods }), {
      issuer: ISSUER,
    });
    assertEquals(read.kind === "loaded" && read.value.pkceS256Supported, false);
  }
});

Deno.test("readServerMetadata() refuses one wrong member", async (t) => {
  const cases: Readonly<Record<string, readonly [reason: string, changes: Readonly<Record<string, unknown>>]>> = {
    "issuer missing": ["issuer_mismatch", { issuer: undefined }],
    "other issuer": ["issuer_mismatch", { issuer: "https://evil-idp.test/" }],
    "issuer without trailing slash": ["issuer_mismatch", { issuer: "https://id.test" }],
    "issuer in other case": ["issuer_mismatch", { issuer: "https://ID.test/" }],
    "issuer as array": ["issuer_mismatch", { issuer: [ISSUER] }],
    ...Object.fromEntries(
      ["authorization_endpoint", "token_endpoint", "jwks_uri"].flatMap((name) => [
        [`${name} missing`, ["endpoint", { [name]: undefined }]],
        [`${name} null`, ["endpoint", { [name]: null }]],
      ]),
    ),
    ...Object.fromEntries(
      [
        ...["authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint", "end_session_endpoint"],
        ...["userinfo_endpoint", "pushed_authorization_request_endpoint"],
      ].flatMap((name) => [
        [`${name} as number`, ["endpoint", { [name]: 1 }]],
        [`${name} as array`, ["endpoint", { [name]: ["https://id.test/x"] }]],
        [`${name} empty`, ["endpoint", { [name]: "" }]],
        [`${name} relative`, ["endpoint", { [name]: "/x" }]],
        [`${name} without TLS`, ["endpoint", { [name]: "http://id.test/x" }]],
        [`${name} as script`, ["endpoint", { [name]: "javascript:alert(1)" }]],
        [`${name} on this machine`, ["endpoint", { [name]: "https://127.0.0.1/x" }]],
        [`${name} at the cloud's metadata`, ["endpoint", { [name]: "https://169.254.169.254/x" }]],
        [`${name} with credentials`, ["endpoint", { [name]: "https://a:b@id.test/x" }]],
      ]),
    ),
    "iss supported as text": ["malformed", { authorization_response_iss_parameter_supported: "true" }],
    "iss supported null": ["malformed", { authorization_response_iss_parameter_supported: null }],
    "iss supported as number": ["malformed", { authorization_response_iss_parameter_supported: 1 }],
    ...Object.fromEntries(
      [
        "code_challenge_methods_supported",
        "token_endpoint_auth_methods_supported",
        "id_token_signing_alg_values_supported",
      ].flatMap((name) => [
        [`${name} as text`, ["malformed", { [name]: "S256" }]],
        [`${name} as object`, ["malformed", { [name]: { S256: true } }]],
        [`${name} with a number`, ["malformed", { [name]: ["S256", 1] }]],
      ]),
    ),
  };
  for (const [what, [reason, changes]] of Object.entries(cases)) {
    await t.step(what, () => {
      const document = JSON.parse(JSON.stringify(documentOf(ISSUER, changes)));
      assertEquals(readServerMetadata(document, { issuer: ISSUER }), { kind: "failed", reason } as never);
    });
  }
});

Deno.test("find() asks at the addresses of OpenID Connect and RFC 8414", async () => {
  const table: Readonly<Record<string, readonly string[]>> = {
    "https://id.test": [
      "https://id.test/.well-known/openid-configuration",
      "https://id.test/.well-known/oauth-authorization-server",
    ],
    "https://id.test/": [
      "https://id.test/.well-known/openid-configuration",
      "https://id.test/.well-known/oauth-authorization-server",
    ],
    "https://id.test/tenant/1": [
      "https://id.test/tenant/1/.well-known/openid-configuration",
      "https://id.test/.well-known/oauth-authorization-server/tenant/1",
    ],
    "https://id.test:8443/tenant/": [
      "https://id.test:8443/tenant/.well-known/openid-configuration",
      "https://id.test:8443/.well-known/oauth-authorization-server/tenant",
    ],
  };
  for (const [issuer, addresses] of Object.entries(table)) {
    const asked: string[] = [];
    const fetch: Fetch = (url) => Promise.resolve((asked.push(url), new Response(null, { status: 404 })));
    assertEquals(await createMetadataDirectory({ fetch }).find(issuer), { kind: "unavailable" });
    assertEquals(asked, addresses);
  }
});

Deno.test("find() refuses what cannot be an issuer, and asks nobody", async () => {
  const fetch: Fetch = (url) => Promise.reject(new Error(`must not be called: ${url}`));
  const bad = [
    ...[
      "",
      "id.test",
      "http://id.test/",
      "https://id.test/?x=1",
      "https://id.test/#x",
      "https://id.test/?",
      "https://a@id.test/",
    ],
    ...[
      "https://127.0.0.1/",
      "http://localhost:8788/",
      "https://169.254.169.254/",
      "https://[::1]/",
      "javascript:alert(1)",
    ],
  ];
  for (const issuer of bad) {
    const found = await createMetadataDirectory({ fetch }).find(issuer);
    assertEquals(found, { kind: "refused", reason: "issuer" }, issuer);
  }
});

Deno.test("find() fetches metadata over HTTP once, and remembers it for ten minutes", async () => {
  await withServer(async (server) => {
    let now = 0;
    const directory = createMetadataDirectory({ fetch, now: () => now, insecureAllowHttpLoopback: true });
    const issuer = `${server.origin}/`;
    server.answer = () => Response.json(documentOf(issuer));
    const expected = { kind: "found", metadata: metadataOf(server.origin) } as const;
    const found = await Promise.all(Array.from({ length: 50 }, () => directory.find(issuer)));
    for (const one of found) assertEquals(one, expected);
    now += 599;
    await directory.find(issuer);
    assertEquals(server.received.map(({ method, path }) => `${method} ${path}`), [
      "GET /.well-known/openid-configuration",
    ]);
    assertEquals(server.received[0]!.headers.get("accept"), "application/json");

    server.answer = () => Response.json(documentOf(issuer, { token_endpoint: `${server.origin}/new` }));
    now += 1;
    assertEquals(await directory.find(issuer), {
      kind: "found",
      metadata: metadataOf(server.origin, { tokenEndpoint: `${server.origin}/new` }),
    });
  });
});

Deno.test("find() takes the document of RFC 8414 where there is none of OpenID Connect", async (t) => {
  const answers: Readonly<Record<string, () => Response>> = {
    "404": () => new Response("not found", { status: 404 }),
    "403": () => Response.json({ error: "forbidden" }, { status: 403 }),
    "a page instead": () => new Response("<html>", { headers: { "content-type": "text/html" } }),
  };
  for (const [what, answer] of Object.entries(answers)) {
    await t.step(what, async () => {
      await withServer(async (server) => {
        const issuer = `${server.origin}/tenant`;
        server.answer = ({ path }) =>
          path === "/.well-known/oauth-authorization-server/tenant" ? Response.json(documentOf(issuer)) : answer();
        const found = await createMetadataDirectory({ fetch, insecureAllowHttpLoopback: true }).find(issuer);
        assertEquals(found.kind, "found");
      });
    });
  }
});

Deno.test("find() calls a server that does not answer with metadata unavailable, and keeps what it had", async (t) => {
  const answers: Readonly<Record<string, readonly [asked: number, answer: () => Response]>> = {
    "500": [1, () => new Response(null, { status: 500 })],
    "503": [1, () => Response.json({}, { status: 503 })],
    "429": [1, () => new Response(null, { status: 429 })],
    "404": [2, () => new Response(null, { status: 404 })],
    "redirect": [1, () => Response.redirect("http://127.0.0.1:9/", 302)],
    "512 KiB and a byte": [1, () => new Response(" ".repeat(524_289))],
    "50 MB": [1, () => new Response(endless())],
    ...Object.fromEntries(Object.entries(badBodies).map(([what, body]) => [what, [2, () => new Response(body())]])),
  };
  for (const [what, [asked, answer]] of Object.entries(answers)) {
    await t.step(what, async () => {
      await withServer(async (server) => {
        let now = 0;
        const directory = createMetadataDirectory({ fetch, now: () => now, insecureAllowHttpLoopback: true });
        const issuer = `${server.origin}/`;
        server.answer = answer;
        assertEquals(await directory.find(issuer), { kind: "unavailable" });
        assertEquals(server.received.length, asked);
        now += 2;
        assertEquals(await directory.find(issuer), { kind: "unavailable" });
        assertEquals(server.received.length, asked);

        server.answer = () => Response.json(documentOf(issuer));
        now += 1;
        assertEquals((await directory.find(issuer)).kind, "found");
        server.answer = answer;
        now += 600;
        assertEquals((await directory.find(issuer)).kind, "found");
        now += 86_400;
        assertEquals(await directory.find(issuer), { kind: "unavailable" });
      });
    });
  }
});

Deno.test("find() refuses bad metadata, and keeps what it had", async (t) => {
  const cases: Readonly<Record<string, readonly [reason: string, changes: Readonly<Record<string, unknown>>]>> = {
    "other issuer": ["issuer_mismatch", { issuer: "https://evil-idp.test/" }],
    "token endpoint without TLS": ["endpoint", { token_endpoint: "http://evil-idp.test/token" }],
    "iss supported as text": ["malformed", { authorization_response_iss_parameter_supported: "true" }],
  };
  for (const [what, [reason, changes]] of Object.entries(cases)) {
    await t.step(what, async () => {
      await withServer(async (server) => {
        let now = 0;
        const directory = createMetadataDirectory({ fetch, now: () => now, insecureAllowHttpLoopback: true });
        const issuer = `${server.origin}/`;
        server.answer = () => Response.json(documentOf(issuer, changes));
        assertEquals(await directory.find(issuer), { kind: "refused", reason } as never);
        assertEquals(server.received.length, 1);
        server.answer = () => Response.json(documentOf(issuer));
        now += 3;
        const found = await directory.find(issuer);
        assertEquals(found.kind, "found");
        server.answer = () => Response.json(documentOf(issuer, changes));
        now += 600;
        assertEquals(await directory.find(issuer), found);
      });
    });
  }
});

Deno.test("find() gives up on a server that hangs or cannot be reached", async () => {
  await withServer(async (server) => {
    const hanging = Promise.withResolvers<Response>();
    server.answer = (_received, request) => {
      request.signal.addEventListener("abort", () => hanging.resolve(new Response()));
      return hanging.promise;
    };
    const directory = createMetadataDirectory({ fetch, timeoutMs: 50, insecureAllowHttpLoopback: true });
    assertEquals(await directory.find(server.origin), { kind: "unavailable" });
    assertEquals(server.received.length, 1);
  });
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const directory = createMetadataDirectory({ fetch, insecureAllowHttpLoopback: true });
  assertEquals(await directory.find(`http://127.0.0.1:${port}/`), { kind: "unavailable" });
});

Deno.test("find() remembers only so many issuers", async () => {
  const asked: string[] = [];
  const fetch: Fetch = (url) => {
    asked.push(url);
    return Promise.resolve(Response.json(documentOf(new URL(url).origin)));
  };
  const directory = createMetadataDirectory({ fetch, maxIssuers: 2, now: () => 0 });
  for (const name of ["a", "b", "a", "c", "b"]) await directory.find(`https://${name}.test`);
  assertEquals(asked.map((url) => new URL(url).hostname), ["a.test", "b.test", "c.test", "b.test"]);
});
