/**
 * Good requests of the shapes that the cases have: each must work, through the same code that the attacks go through.
 * They also send a good value through every name that the harness translates, since a name that the product does not know
 * would make cases green for the wrong reason.
 *
 * @module
 */

import type { JsonObject } from "../../lib/encoding.ts";
import type { AttackCase, AttackRequest } from "./cases.ts";

const LOGIN = { kind: "http", host: "api.acme.test", path: "{login}", as: "anon" };
const CALLBACK = { kind: "http", host: "api.acme.test", path: "{callback}", as: "tx:alice" };
const GOOD_ANSWER = { code: "{code}", state: "{state}" };
const SESSION = { kind: "http", host: "api.acme.test", path: "{session}", as: "anon", headers: { "X-CSRF": "1" } };
const ID_TOKEN = { kind: "token", where: "id_token", header: {}, claims: {}, key: "idp" };
const SIGNED_IN = { status: [302], session: "alice", idp_calls: 1 };

const LOGIN_REPLY = { kind: "idp", flow: "login", endpoint: "token" };
const REFRESH_REPLY = { ...LOGIN_REPLY, flow: "refresh" };
const REFRESHED = { status: [200], session: "kept", set_cookie: "session renewed", idp_calls: 1 };
const LOGOUT_TOKEN = { ...ID_TOKEN, where: "logout_token", endpoint: "{bclogout}" };
const FRAME = { ...LOGIN, path: "{fclogout}" };
const OP_LOGOUT = { ...LOGIN, host: "id.test", path: "{oplogout}", as: "op:alice" };
const RACE = {
  kind: "race",
  each: { ...LOGIN, path: "{api}", as: "alice-expired", headers: { "X-CSRF": "1" } },
};

const CALL = { ...LOGIN, path: "{api}/x", as: "alice" };
const FORWARDED = { status: [200], upstream_calls: 1, upstream_path: "/api/x", upstream_method: "GET" };
const POSTED = { ...CALL, method: "POST", headers: { "X-CSRF": "1" }, body: "{}" };
const PREFLIGHT = {
  ...CALL,
  method: "OPTIONS",
  as: "anon",
  headers: { "Origin": "https://www.acme.test", "Access-Control-Request-Method": "DELETE" },
};
const HANDSHAKE = {
  "Connection": "Upgrade",
  "Upgrade": "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};

/** Controls by group. */
const BY_GROUP: Readonly<
  Record<string, readonly (readonly [what: string, request: AttackRequest, expect: JsonObject])[]>
> = {
  "return-to": [
    ["login, returnTo", { ...LOGIN, query: { returnTo: "/a" } }, { status: [302], return_target: "as-given" }],
    ["login, return_to", { ...LOGIN, query: { return_to: "/a" } }, { status: [302], return_target: "as-given" }],
    [
      "logout",
      { ...LOGIN, path: "{logout}", as: "alice", query: { returnTo: "/a" } },
      { status: [302], return_target: "as-given", session: "none" },
    ],
    ["a login that nobody spoils", { kind: "idp", endpoint: "token" }, SIGNED_IN],
  ],
  "callback": [
    ["login", LOGIN, { status: [302], authorize_params_equal: { response_type: "code", scope: "{configured}" } }],
    ["callback", { ...CALLBACK, query: GOOD_ANSWER }, SIGNED_IN],
    [
      "callback with the transaction cookie by its name in the cases",
      { ...CALLBACK, query: GOOD_ANSWER, cookies: [["__Host-tx", "{c:tx:alice}"]] },
      SIGNED_IN,
    ],
    [
      "callback with the provider's error",
      { ...CALLBACK, query: { error: "access_denied", state: "{state}" } },
      { status: [302], session: "none", idp_calls: 0, set_cookie: "transaction cleared only" },
    ],
    ["a provider that answers well", { kind: "idp", endpoint: "token" }, SIGNED_IN],
    ["an ID token that is patched with what it says anyway", {
      kind: "idp",
      endpoint: "token",
      id_token_claims: { email: "alice@acme.test" },
    }, { ...SIGNED_IN, allow_rule: "the claim arrives" }],
  ],
  "cookie": [
    ["at alone", { ...SESSION, cookies: [["at", "{c:at:alice}"]] }, { status: [200] }],
    [
      "at and __Host-rt",
      { ...SESSION, cookies: [["at", "{c:at:alice}"], ["__Host-rt", "{c:rt:alice}"]] },
      { status: [200], upstream_calls: 0, set_cookie: "unchanged" },
    ],
    ["__Host-rt alone", { ...SESSION, cookies: [["__Host-rt", "{c:rt:alice}"]] }, { status: [200], idp_calls: 1 }],
    [
      "at, sealed again as it was",
      { ...SESSION, cookies: [["at", "{c:at:alice,reencrypt=claim:generation=1}"]] },
      { status: [200] },
    ],
    [
      "at, sealed again with another end",
      { ...SESSION, cookies: [["at", "{c:at:alice,reencrypt=claim:exp=1900000000}"]] },
      { status: [200] },
    ],
    ["at of globex's bob at globex", {
      ...SESSION,
      host: "api.globex.test",
      path: "/auth/globex/userinfo",
      cookies: [["at", "{c:at:globex:bob}"]],
    }, { status: [200] }],
    [
      "at, written to a socket",
      { kind: "raw", bytes: "GET {session} HTTP/1.1\r\nHost: api.acme.test\r\nCookie: at={c:at:alice}\r\n\r\n" },
      { status: [200], set_cookie: "unchanged" },
    ],
  ],
  "jwt": [
    ["an ID token", ID_TOKEN, SIGNED_IN],
    ["an ID token with its type", { ...ID_TOKEN, header: { typ: "JWT" } }, SIGNED_IN],
    ["an ID token of a moment ago", { ...ID_TOKEN, claims: { iat: "now-10" } }, SIGNED_IN],
    ["an ID token with a changed claim", { ...ID_TOKEN, claims: { name: "Alice A." } }, SIGNED_IN],
    ["an ID token signed as its header says", { ...ID_TOKEN, mutate: "signature as alg says" }, SIGNED_IN],
    [
      "an access token",
      { ...ID_TOKEN, where: "access_token" },
      { status: [200], upstream_calls: 1, jwks_fetches_max: 1, outbound_hosts_not: ["evil.test"] },
    ],
    ["a logout token", { ...ID_TOKEN, where: "logout_token" }, { status: [200], session: "none" }],
  ],
  "idp-reply": [
    ["login, a token endpoint that answers as it should", { ...LOGIN_REPLY, reply: {} }, SIGNED_IN],
    ["login, a patch that changes nothing", { ...LOGIN_REPLY, reply: { patch: { token_type: "Bearer" } } }, SIGNED_IN],
    ["login, keys", { ...LOGIN_REPLY, endpoint: "jwks", reply: {} }, { ...SIGNED_IN, jwks_fetches_max: 1 }],
    ["login, metadata", { ...LOGIN_REPLY, endpoint: "discovery", reply: {} }, SIGNED_IN],
    ["login, userinfo", { ...LOGIN_REPLY, endpoint: "userinfo", reply: {} }, SIGNED_IN],
    ["refresh", { ...REFRESH_REPLY, reply: {} }, REFRESHED],
    ["refresh, another ID token", { ...REFRESH_REPLY, id_token_key: "idp" }, { ...REFRESHED, alert: false }],
    ["refresh, the scope as it was", { ...REFRESH_REPLY, patch: { scope: "openid profile email offline_access" } }, {
      ...REFRESHED,
      stored_scope: "openid profile email offline_access",
    }],
    ["refresh, a token that is dead", { ...REFRESH_REPLY, reply: { status: 400, json: { error: "invalid_grant" } } }, {
      status: [401],
      session: "none",
    }],
  ],
  "logout": [
    ["a logout token for one session", { ...LOGOUT_TOKEN, claims: { sub: null, sid: "{sid:alice}" } }, {
      status: [200],
      session: "none",
      sessions: "globex untouched",
      client_header_has: ["cache-control: no-store"],
    }],
    ["a logout token for one user", LOGOUT_TOKEN, { status: [200], session: "none", sessions: "globex untouched" }],
    [
      "front-channel logout",
      { ...FRAME, as: "alice", query: { iss: "https://idp.test/", sid: "{sid:alice}" } },
      { status: [200], session: "none", idp_calls: 0 },
    ],
    ["cookies that nobody has signed out", {
      kind: "sequence",
      steps: ["login alice, copy the cookies", "GET {api} with the copies"],
    }, { status: [200] }],
    ["logout at the token service with one's own ID token", {
      ...OP_LOGOUT,
      query: { id_token_hint: "{id_token:alice}", post_logout_redirect_uri: "https://client.test/" },
    }, { status: [302], client_header_has: ["location: https://client.test/"] }],
    ["logout at the token service without an ID token", OP_LOGOUT, { status: [200], session: "alice asked first" }],
  ],
  "race": [
    ["one call", { ...RACE, n: 1, processes: 1 }, { status: [200], idp_calls: 1, non_200: 0, logouts: 0 }],
    ["one exchange", { kind: "race", n: 1, each: "tk valid" }, { status: [200], winners: 1 }],
    ["one refresh", { kind: "race", n: 1, each: "refresh" }, {
      status: [200],
      token_families: 1,
      distinct_new_refresh_tokens: 1,
    }],
  ],
  "path": [
    ["a call", CALL, { ...FORWARDED, upstream_host_only: "upstream.test" }],
    ["a call that is written to a socket", {
      kind: "raw",
      bytes: "GET /api/x HTTP/1.1\r\nHost: api.acme.test\r\nCookie: {cookies:alice}\r\nX-CSRF: 1\r\n\r\n",
    }, FORWARDED],
    ["a call that needs nobody", { ...CALL, path: "/public", as: "anon" }, {
      status: [200],
      upstream_path: "/public",
      upstream_header_absent: ["authorization"],
    }],
    ["a call that needs somebody", { ...CALL, path: "/private" }, { status: [200], upstream_path: "/private" }],
    ["a vendor", LOGIN, { status: [302] }],
  ],
  "http-raw": [
    ["a host", { kind: "raw", bytes: "GET {login} HTTP/1.1\r\nHost: api.acme.test\r\n\r\n" }, { status: [302] }],
    ["a session", {
      kind: "raw",
      bytes: "GET {session} HTTP/1.1\r\nHost: api.acme.test\r\nCookie: {cookies:alice}\r\n\r\n",
    }, { status: [200], tenant: "acme", responses_max: 1 }],
    ["a body in chunks", {
      kind: "raw",
      bytes: "POST {api} HTTP/1.1\r\nHost: api.acme.test\r\nCookie: {cookies:alice}\r\nX-CSRF: 1\r\n" +
        "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\n\r\n",
    }, { status: [200], upstream_calls: 1, upstream_method: "POST", responses_max: 1 }],
    ["two calls on one connection", {
      kind: "raw",
      bytes: "GET /public HTTP/1.1\r\nHost: api.acme.test\r\n\r\n".repeat(2),
    }, { status: [200], upstream_calls: 2, responses_max: 2 }],
  ],
  "header-spoof": [
    ["a call", CALL, { ...FORWARDED, upstream_header_equals: { authorization: "Bearer {at:alice}" } }],
    ["a call with a header that crosses", { ...CALL, headers: { "Accept-Language": "de" } }, {
      ...FORWARDED,
      upstream_header_equals: { "accept-language": "de" },
    }],
    [
      "a call with its own cookies",
      { ...CALL, headers: { Cookie: "at={c:at}; __Host-rt={c:rt}; theme=dark" } },
      FORWARDED,
    ],
    ["a call with a body", POSTED, { ...FORWARDED, upstream_method: "POST" }],
  ],
  "upstream-response": [
    ["an answer", {
      kind: "upstream",
      reply: { status: 200, headers: { "content-language": "de" }, body: "x" },
      then: CALL,
    }, { status: [200], body_complete: true, client_header_has: ["content-language: de"] }],
    ["a redirect to an address of the upstream's", {
      kind: "upstream",
      reply: { status: 302, headers: { location: "/api/y" }, body: "x" },
      then: CALL,
    }, { status: [302], client_header_has: ["location: https://api.acme.test/api/y"] }],
  ],
  "csrf-cors": [
    ["a call from the vendor's own page", { ...POSTED, headers: { "Sec-Fetch-Site": "same-origin" } }, {
      status: [200],
      upstream_calls: 1,
    }],
    ["a call from an allowed origin", {
      ...POSTED,
      headers: { "Origin": "https://www.acme.test", "Sec-Fetch-Site": "same-site" },
    }, {
      status: [200],
      vary: "Origin",
      client_header_has: [
        "access-control-allow-origin: https://www.acme.test",
        "access-control-allow-credentials: true",
      ],
    }],
    ["a preflight from an allowed origin", PREFLIGHT, {
      status: [204],
      client_header_has: ["access-control-allow-origin: https://www.acme.test"],
    }],
    ["a logout from the vendor's own page", {
      ...CALL,
      path: "{logout}",
      headers: { "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate" },
    }, { status: [302], session: "none" }],
    // The upstream speaks no WebSocket: that it was asked is enough.
    ["a WebSocket from an allowed origin", {
      ...CALL,
      path: "{api}/ws",
      headers: { ...HANDSHAKE, Origin: "https://www.acme.test" },
    }, { status: [502], upstream_calls: 1 }],
    ["settings", { kind: "config", patch: { cors: { origins: ["https://www.acme.test"], credentials: true } } }, {
      status: [200],
    }],
  ],
  "cache": [
    ["a call", CALL, { ...FORWARDED, client_header_has: ["cache-control: private"] }],
    ["who is signed in", { ...CALL, path: "{session}" }, { status: [200] }],
    ["a call with an ETag", { ...CALL, headers: { "If-None-Match": '"x"' } }, {
      ...FORWARDED,
      upstream_header_equals: { "if-none-match": '"x"' },
    }],
  ],
  "dos": [
    ["a login at our own token service", {
      ...LOGIN,
      host: "id.test",
      path: "{authorize}",
      query: {
        client_id: "spa",
        redirect_uri: "https://client.test/cb",
        response_type: "code",
        scope: "openid",
        state: "s",
        code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        code_challenge_method: "S256",
      },
    }, { status: [200], max_ms: 200 }],
    ["a few login starts", { kind: "load", rps: 50, each: LOGIN }, {
      status: [302],
      kv_keys_growth: "bounded by expiry check",
      has_429: false,
    }],
  ],
};

/** Every control, as a case of its group. */
export const CONTROLS: readonly AttackCase[] = Object.entries(BY_GROUP).flatMap(([group, controls]) =>
  controls.map(([what, request, expect]) => ({ group, id: `control of ${group}`, what, request, expect }))
);
