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
};

/** Every control, as a case of its group. */
export const CONTROLS: readonly AttackCase[] = Object.entries(BY_GROUP).flatMap(([group, controls]) =>
  controls.map(([what, request, expect]) => ({ group, id: `control of ${group}`, what, request, expect }))
);
