/**
 * The same server, asked by us and by `oauth4webapi`: what it reads from good answers, we read too; what it refuses, we
 * refuse.
 */

import { assertEquals } from "@std/assert";
import * as oauth from "oauth4webapi";
import { encodeBase64Url, encodeUtf8 } from "../../lib/encoding.ts";
import {
  clientSecretBasic,
  clientSecretPost,
  createMetadataDirectory,
  publicClient,
  sendCodeExchange,
  sendRefresh,
  type TokenOutcome,
} from "../../lib/oauth/mod.ts";
import { Secret } from "../../lib/secret.ts";
import { documentOf, type TestServer, withServer } from "./server.ts";

const client = { client_id: "web:1" } as const;
const secret = "p&ss w%rd+";
const insecure = { [oauth.allowInsecureRequests]: true } as const;
const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const redirectUri = "https://app.test/callback";

/** An ID token that only has to be well-formed: its verification is tested elsewhere. */
function idToken(issuer: string): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, sub: "ada", aud: client.client_id, iat: now, exp: now + 60, nonce: "n1" };
  const encode = (value: unknown) => encodeBase64Url(encodeUtf8(JSON.stringify(value)));
  return `${encode({ alg: "RS256" })}.${encode(claims)}.AAAA`;
}

async function discover(server: TestServer) {
  const issuer = `${server.origin}/`;
  const found = await createMetadataDirectory({ fetch, insecureAllowHttpLoopback: true }).find(issuer);
  const theirs = await oauth.processDiscoveryResponse(
    new URL(issuer),
    await oauth.discoveryRequest(new URL(issuer), insecure),
  );
  if (found.kind !== "found") throw new Error(found.kind);
  return { ours: found.metadata, theirs };
}

Deno.test("discovery: oauth4webapi reads the same document", async () => {
  await withServer(async (server) => {
    server.answer = () =>
      Response.json(documentOf(`${server.origin}/`, {
        revocation_endpoint: `${server.origin}/revoke`,
        authorization_response_iss_parameter_supported: true,
        code_challenge_methods_supported: ["S256"],
      }));
    const { ours, theirs } = await discover(server);
    assertEquals(ours.issuer, theirs.issuer);
    assertEquals(ours.authorizationEndpoint, theirs.authorization_endpoint);
    assertEquals(ours.tokenEndpoint, theirs.token_endpoint);
    assertEquals(ours.jwksUri, theirs.jwks_uri);
    assertEquals(ours.revocationEndpoint, theirs.revocation_endpoint!);
    assertEquals(ours.responseIssSupported, theirs.authorization_response_iss_parameter_supported);
    assertEquals(ours.pkceS256Supported, theirs.code_challenge_methods_supported?.includes("S256"));
  });
});

Deno.test("token requests: a server sees the same from oauth4webapi and from us", async (t) => {
  const methods = {
    client_secret_basic: [clientSecretBasic(client.client_id, new Secret(secret)), oauth.ClientSecretBasic(secret)],
    client_secret_post: [clientSecretPost(client.client_id, new Secret(secret)), oauth.ClientSecretPost(secret)],
    none: [publicClient(client.client_id), oauth.None()],
  } as const;
  for (const [name, [ours, theirs]] of Object.entries(methods)) {
    await t.step(name, async () => {
      await withServer(async (server) => {
        server.answer = () => Response.json(documentOf(`${server.origin}/`));
        const metadata = await discover(server);
        server.answer = () => Response.json({ access_token: "a", token_type: "Bearer" });
        server.received.length = 0;

        const options = { fetch, authentication: ours };
        await sendCodeExchange(metadata.ours, { code: "c 1", redirectUri, codeVerifier: verifier }, options);
        await sendRefresh(metadata.ours, { refreshToken: "r/1" }, options);
        const answer = new URLSearchParams({ code: "c 1" });
        const parameters = oauth.validateAuthResponse(metadata.theirs, client, answer, oauth.skipStateCheck);
        const responses = [
          await oauth.authorizationCodeGrantRequest(
            metadata.theirs,
            client,
            theirs,
            parameters,
            redirectUri,
            verifier,
            insecure,
          ),
          await oauth.refreshTokenGrantRequest(metadata.theirs, client, theirs, "r/1", insecure),
        ];
        for (const response of responses) await response.body?.cancel();

        const seen = server.received.map(({ method, path, headers, body }) => ({
          method,
          path,
          // Both halves may be encoded more or less, as long as they decode to the same.
          credentials: headers.has("authorization")
            ? atob(headers.get("authorization")!.slice(6)).split(":").map((half) =>
              new URLSearchParams(`x=${half}`).get("x")
            )
            : null,
          body: Object.fromEntries(new URLSearchParams(body)),
        }));
        assertEquals(seen[0], seen[2]);
        assertEquals(seen[1], seen[3]);
      });
    });
  }
});

Deno.test("token responses: what oauth4webapi accepts we read alike, what it refuses we refuse", async (t) => {
  const base = { access_token: "at-1", token_type: "Bearer" };
  const answers: Readonly<Record<string, unknown>> = {
    "plain": base,
    "bearer in lower case": { ...base, token_type: "bearer" },
    "everything": { ...base, expires_in: 3600, refresh_token: "rt-1", scope: "openid email", id_token: "{id_token}" },
    "expires_in 0": { ...base, expires_in: 0 },
    "empty scope": { ...base, scope: "" },
    "unknown members": { ...base, foo: [1] },
    "no access_token": { token_type: "Bearer" },
    "access_token as number": { ...base, access_token: 1 },
    "access_token empty": { ...base, access_token: "" },
    "no token_type": { access_token: "a" },
    "token_type mac": { ...base, token_type: "mac" },
    "expires_in negative": { ...base, expires_in: -1 },
    "refresh_token empty": { ...base, refresh_token: "" },
    "refresh_token as number": { ...base, refresh_token: 1 },
    "scope as array": { ...base, scope: ["openid"] },
    "id_token as number": { ...base, id_token: 1 },
    "array": [base],
    "null": null,
  };
  for (const [what, answer] of Object.entries(answers)) {
    await t.step(what, async () => {
      await withServer(async (server) => {
        const issuer = `${server.origin}/`;
        server.answer = () => Response.json(documentOf(issuer));
        const metadata = await discover(server);
        const body = JSON.stringify(answer).replace("{id_token}", idToken(issuer));
        server.answer = () => new Response(body, { headers: { "content-type": "application/json" } });

        const options = { fetch, authentication: publicClient(client.client_id) };
        const ours = await sendRefresh(metadata.ours, { refreshToken: "rt-0" }, options);
        const response = await oauth.refreshTokenGrantRequest(metadata.theirs, client, oauth.None(), "rt-0", insecure);
        const theirs = await oauth.processRefreshTokenResponse(metadata.theirs, client, response).catch(() => null);
        assertEquals(
          membersOf(ours),
          theirs && {
            access_token: theirs.access_token,
            token_type: theirs.token_type,
            expires_in: theirs.expires_in ?? null,
            refresh_token: theirs.refresh_token ?? null,
            id_token: theirs.id_token ?? null,
            scope: theirs.scope ?? null,
          },
        );
      });
    });
  }
});

/** Tokens under the names of RFC 6749; `null` where there are none. */
function membersOf(outcome: TokenOutcome) {
  if (outcome.kind !== "issued") return null;
  const { accessToken, tokenType, expiresIn, refreshToken, idToken, scope } = outcome.tokens;
  return {
    access_token: accessToken,
    token_type: tokenType.toLowerCase(),
    expires_in: expiresIn,
    refresh_token: refreshToken,
    id_token: idToken,
    scope,
  };
}
