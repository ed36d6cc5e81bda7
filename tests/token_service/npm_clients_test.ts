/**
 * The same visit by two clients that others wrote, over a real socket: each checks our answers against the standards on
 * its own account.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import * as oauth from "oauth4webapi";
import * as client from "openid-client";
import { createMemoryRecords } from "../../lib/store/memory/mod.ts";
import { createSigningKeys, createTokenService } from "../../lib/token_service/mod.ts";
import { createTokenServiceApp } from "../../routes/token_service/mod.ts";
import { API, REDIRECT_URI, SECRET } from "./kit.ts";

const signingKeys = createSigningKeys();
const SCOPE = "openid profile email offline_access";

/** Runs a token service on a port of its own. */
async function withServer(test: (issuer: URL) => Promise<void>): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const issuer = `http://127.0.0.1:${port}/`;
  const service = createTokenService({ issuer, records: createMemoryRecords(), signingKeys, passwordRounds: 1 });
  const person = {
    redirectUris: [REDIRECT_URI],
    postLogoutRedirectUris: ["https://client.test/"],
    grantTypes: ["authorization_code", "refresh_token"],
    scopes: ["openid", "profile", "email"],
    audiences: [API],
    firstParty: true,
  } as const;
  await service.clients.create({ ...person, clientId: "spa", name: "spa", isPublic: true });
  await service.clients.create({ ...person, clientId: "web", name: "web", clientSecret: SECRET, idTokenAlg: "ES256" });
  await service.clients.create({
    clientId: "machine",
    clientSecret: SECRET,
    name: "machine",
    grantTypes: ["client_credentials"],
    scopes: ["read:vendors"],
    audiences: [API],
  });
  await service.users.create({ sub: "user-ada", email: "ada@example.com", name: "Ada", password: "open sesame" });
  const app = createTokenServiceApp(service, { clientAddress: () => "127.0.0.1" });
  await using _server = Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, app.fetch);
  await test(new URL(issuer));
}

/** Reads every body to its end, also those that a client gives up: an open one would count as a leak. */
async function fetchWhole(input: string | URL, init: object = {}): Promise<Response> {
  const { status, headers, body } = await fetch(input, { ...init, redirect: "manual" });
  return new Response(body === null ? null : await new Response(body).arrayBuffer(), { status, headers });
}

/** Signs in as a browser does: form, cookies, redirect. */
async function visit(address: URL): Promise<URL> {
  const page = await fetchWhole(address);
  const cookie = page.headers.getSetCookie()[0]?.split(";")[0] ?? "";
  const text = await page.text();
  const hidden = [...text.matchAll(/name="(request|token)" value="([^"]*)"/g)];
  const fields = hidden.map(([, name, value]) => [name!, value!.replaceAll("&amp;", "&")] as [string, string]);
  const form = new URLSearchParams([...fields, ["email", "ada@example.com"], ["password", "open sesame"]]);
  const answer = await fetchWhole(new URL("/login", address), { method: "POST", body: form, headers: { cookie } });
  assertEquals(answer.status, 303);
  return new URL(answer.headers.get("location")!);
}

const WAYS: readonly (readonly [string, string, client.ClientAuth, "RS256" | "ES256"])[] = [
  ["without a secret", "spa", client.None(), "RS256"],
  ["with Basic", "web", client.ClientSecretBasic(SECRET), "ES256"],
  ["with a secret in the body", "web", client.ClientSecretPost(SECRET), "ES256"],
];

for (const [way, clientId, authentication, alg] of WAYS) {
  Deno.test(`openid-client ${way}: from discovery to logout`, async () => {
    await withServer(async (issuer) => {
      const metadata = { id_token_signed_response_alg: alg };
      const options = { execute: [client.allowInsecureRequests], [client.customFetch]: fetchWhole };
      const config = await client.discovery(issuer, clientId, metadata, authentication, options);
      const verifier = client.randomPKCECodeVerifier();
      const [state, nonce] = [client.randomState(), client.randomNonce()];
      const address = client.buildAuthorizationUrl(config, {
        redirect_uri: REDIRECT_URI,
        scope: SCOPE,
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
        state,
        nonce,
        max_age: "600",
      });
      const callback = await visit(address);
      const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, maxAge: 600 };
      const tokens = await client.authorizationCodeGrant(config, callback, checks);
      assertEquals(tokens.claims()?.sub, "user-ada");
      assertEquals((await client.fetchUserInfo(config, tokens.access_token, "user-ada")).email, "ada@example.com");
      const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token!);
      assert(refreshed.access_token !== tokens.access_token);
      const logout = client.buildEndSessionUrl(config, {
        id_token_hint: refreshed.id_token!,
        post_logout_redirect_uri: "https://client.test/",
      });
      const left = await fetchWhole(logout);
      assertEquals(left.headers.get("location"), "https://client.test/");
      await client.tokenRevocation(config, refreshed.refresh_token!);
      await assertRejects(() => client.refreshTokenGrant(config, refreshed.refresh_token!), client.ResponseBodyError);
      await assertRejects(
        () => client.fetchUserInfo(config, refreshed.access_token, "user-ada"),
        client.WWWAuthenticateChallengeError,
      );
      await assertRejects(() => client.authorizationCodeGrant(config, callback, checks), client.ResponseBodyError);
    });
  });
}

Deno.test("openid-client sees a fault as the error that the standard names", async () => {
  await withServer(async (issuer) => {
    const config = await client.discovery(issuer, "spa", {}, client.None(), {
      execute: [client.allowInsecureRequests],
    });
    const answer = await fetchWhole(
      client.buildAuthorizationUrl(config, { redirect_uri: REDIRECT_URI, scope: "admin", state: "s" }),
    );
    const callback = new URL(answer.headers.get("location")!);
    const error = await assertRejects(
      () => client.authorizationCodeGrant(config, callback, { pkceCodeVerifier: "x".repeat(43), expectedState: "s" }),
      client.AuthorizationResponseError,
    );
    assertEquals(error.error, "invalid_scope");
  });
});

Deno.test("oauth4webapi: metadata, client credentials, and access tokens of RFC 9068", async () => {
  await withServer(async (issuer) => {
    const insecure = { [oauth.allowInsecureRequests]: true, [oauth.customFetch]: fetchWhole };
    for (const algorithm of ["oidc", "oauth2"] as const) {
      const response = await oauth.discoveryRequest(issuer, { algorithm, ...insecure });
      const server = await oauth.processDiscoveryResponse(issuer, response);
      const machine: oauth.Client = { client_id: "machine" };
      for (const authentication of [oauth.ClientSecretBasic(SECRET), oauth.ClientSecretPost(SECRET)]) {
        const form = { audience: API, scope: "read:vendors" };
        const answer = await oauth.clientCredentialsGrantRequest(server, machine, authentication, form, insecure);
        const tokens = await oauth.processClientCredentialsResponse(server, machine, answer);
        const request = new Request(API, { headers: { authorization: `Bearer ${tokens.access_token}` } });
        const claims = await oauth.validateJwtAccessToken(server, request, API, insecure);
        assertEquals([claims.sub, claims.client_id, claims.scope], ["machine", "machine", "read:vendors"]);
      }
      const wrong = await oauth.clientCredentialsGrantRequest(
        server,
        machine,
        oauth.ClientSecretBasic("x"),
        {},
        insecure,
      );
      const challenge = await assertRejects(
        () => oauth.processClientCredentialsResponse(server, machine, wrong),
        oauth.WWWAuthenticateChallengeError,
      );
      assertEquals(challenge.cause[0]?.scheme, "basic");
    }
  });
});

Deno.test("oauth4webapi: the whole visit for a public client, checked step by step", async () => {
  await withServer(async (issuer) => {
    const insecure = { [oauth.allowInsecureRequests]: true, [oauth.customFetch]: fetchWhole };
    const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
    const spa: oauth.Client = { client_id: "spa" };
    const verifier = oauth.generateRandomCodeVerifier();
    const address = new URL(server.authorization_endpoint!);
    address.search = new URLSearchParams({
      client_id: "spa",
      redirect_uri: REDIRECT_URI,
      response_type: "code",
      scope: SCOPE,
      audience: API,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      nonce: "n",
    }).toString();
    const callback = oauth.validateAuthResponse(server, spa, await visit(address), oauth.expectNoState);
    const answer = await oauth.authorizationCodeGrantRequest(
      server,
      spa,
      oauth.None(),
      callback,
      REDIRECT_URI,
      verifier,
      insecure,
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server, spa, answer, {
      expectedNonce: "n",
      requireIdToken: true,
    });
    await oauth.validateApplicationLevelSignature(server, answer, insecure);
    const request = new Request(API, { headers: { authorization: `Bearer ${tokens.access_token}` } });
    assertEquals((await oauth.validateJwtAccessToken(server, request, API, insecure)).sub, "user-ada");
    const info = await oauth.userInfoRequest(server, spa, tokens.access_token, insecure);
    assertEquals((await oauth.processUserInfoResponse(server, spa, "user-ada", info)).name, "Ada");
    const revocation = await oauth.revocationRequest(server, spa, oauth.None(), tokens.refresh_token!, insecure);
    assertEquals(await oauth.processRevocationResponse(revocation), undefined);
  });
});
