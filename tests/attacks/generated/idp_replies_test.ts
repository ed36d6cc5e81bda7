/**
 * Neighbours of the provider's bad answers: each member of a token answer in every wrong type, each status that is no
 * success, documents that are no documents. The rules: nothing but `invalid_grant` ends a session, what cannot be used
 * changes nothing, and no answer sends us to another host.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { JsonObject } from "../../../lib/encoding.ts";
import { lengthOf } from "../../support/full.ts";
import { run } from "../run.ts";
import type { Reply } from "../replies.ts";
import { withWorld } from "../world.ts";

const WRONG_TEXTS: readonly unknown[] = [null, 0, 1, true, false, "", [], ["a"], {}, { x: 1 }];
const UNPRINTABLE = ["a\u0000", "a\r\nX-Evil: 1", "a\n", "\u007fa", "\u2713", "\ud800", "a\u00a0b", "a\u2028"];

/** Members of a token answer, and values that none of them may have. */
const MEMBERS: Readonly<Record<string, readonly unknown[]>> = {
  access_token: [...WRONG_TEXTS, ...UNPRINTABLE, "a b", " a", "a ", "\t"],
  token_type: [...WRONG_TEXTS, "mac", "DPoP", "N_A", "Bearer ", "Bearer,", "bearer\u0000", "B\u0435arer"],
  expires_in: [null, "", "3600", "1e3", true, [], [3600], {}, -1, -0.5, 1e12, 1e300, Number.MAX_VALUE],
  refresh_token: [0, 1, true, "", [], ["a"], {}, ...UNPRINTABLE],
  id_token: [0, 1, true, "", [], {}],
  scope: [0, 1, true, [], ["openid"], {}, ...UNPRINTABLE],
};

const PATCHES: readonly Reply[] = Object.entries(MEMBERS).flatMap(([name, values]) =>
  values.map((value) => ({ patch: { [name]: value } }))
);

/** Statuses with which nobody issues tokens, and that do not say `invalid_grant` either. */
const STATUSES = [
  ...[
    201,
    202,
    203,
    206,
    226,
    299,
    400,
    401,
    402,
    403,
    404,
    405,
    406,
    408,
    409,
    410,
    413,
    415,
    418,
    421,
    425,
    429,
    431,
  ],
  ...[451, 499, 500, 501, 502, 503, 504, 505, 507, 511, 520, 522, 530, 599],
];

const ERRORS = [
  ...["Invalid_Grant", "INVALID_GRANT", "invalid_grant ", " invalid_grant", "invalid-grant", "invalid_grant\u0000", ""],
  ...["invalid_client", "invalid_request", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "expired"],
  ...["server_error", "temporarily_unavailable", "access_denied", "token_expired", "__proto__", "constructor"],
];

const REDIRECTS: readonly Reply[] = [301, 302, 303, 307, 308].flatMap((status) =>
  ["https://evil.test/", "//evil.test/", "http://127.0.0.1:9/", "/token", "javascript:alert(1)"].map((location) => ({
    status,
    headers: { location },
  }))
);

const DOCUMENTS: readonly Reply[] = [
  ...["", " ", "null", "true", "0", '"a"', "[]", "[{}]", "{", "{}{}", "{}x", "{'a':1}", "\u0000", "NaN", "<html>"],
  ...["{".repeat(9), '{"a":'.repeat(50_000), "[".repeat(200_000), `${"[".repeat(50_000)}${"]".repeat(50_000)}`],
  ...['{"access_token":"a","token_type":"Bearer","access_token":"b"}', '{"__proto__":{"access_token":"a"}}'],
  ...['{"access_token":"a","token_type":"Bearer"', '\u{1f4a9}{"access_token":"a"}', "//\n{}", '{"access_token":"a",}'],
].map((body) => ({ body }));

const UNREADABLE: readonly Reply[] = [
  ...["text/html", "text/plain", "application/jwt", "application/x-json5", "application/xml", "json", ""].map((
    type,
  ) => ({
    headers: { "content-type": type },
  })),
  { headers: { "content-encoding": "gzip" } },
  { body_bytes: 65_537 },
  { body_bytes: 5_000_000, status: 500 },
  { body_bytes: 5_000_000, status: 400 },
  { gzip_bomb: 5_000_000 },
  { status: 204 },
  { connect: "reset" },
];

/** Bad answers of a token endpoint. */
const TOKEN_REPLIES: readonly Reply[] = [
  ...STATUSES.map((status) => ({ status })),
  ...STATUSES.filter((status) => status >= 400).map((status) => ({ status, json: { error: "nothing_known" } })),
  ...STATUSES.filter((status) => status < 400 || status >= 500).map((status) => ({
    status,
    json: { error: "invalid_grant" },
  })),
  ...ERRORS.map((error) => ({ status: 400, json: { error } })),
  ...[null, ["invalid_grant"], { error: "invalid_grant" }, 1].map((error) => ({ status: 400, json: { error } })),
  { status: 400, json: { error: "invalid_request", error_description: "invalid_grant" } },
  { status: 400, json: ["invalid_grant"] },
  { status: 400, body: "invalid_grant" },
  { status: 400, body: "error=invalid_grant" },
  ...REDIRECTS,
  ...DOCUMENTS,
  ...UNREADABLE,
  ...PATCHES,
];

/** Bad metadata. */
const ENDPOINTS: readonly unknown[] = [
  ...[null, "", 1, true, [], ["https://idp.test/x"], {}, "/token", "idp.test", "//idp.test/x", "https://"],
  ...[
    "http://idp.test/x",
    "javascript:alert(1)",
    "data:,x",
    "file:///etc/passwd",
    "ftp://idp.test/x",
    "ws://idp.test/",
  ],
  ...[
    "https://127.0.0.1/x",
    "https://169.254.169.254/x",
    "https://[::1]/x",
    "https://[fd00:ec2::254]/",
    "https://2130706433/",
  ],
  ...[
    "https://0x7f.1/",
    "https://localhost/x",
    "https://a.localhost./x",
    "https://user@idp.test/x",
    "https://:p@idp.test/x",
  ],
];

const METADATA: readonly Reply[] = [
  ...["authorization_endpoint", "token_endpoint", "jwks_uri"].flatMap((name) =>
    ENDPOINTS.map((endpoint) => ({ patch: { [name]: endpoint } }))
  ),
  ...["https://idp.test", "https://IDP.test/", "https://idp.test//", "https://idp.test/?", "http://idp.test/"].map(
    (issuer) => ({ patch: { issuer } }),
  ),
  ...["https://evil.test/", "", null, 1, ["https://idp.test/"]].map((issuer) => ({ patch: { issuer } })),
  ...[0, "yes", [], {}].map((value) => ({ patch: { authorization_response_iss_parameter_supported: value } })),
  ...["S256", 1, {}, [1]].map((value) => ({ patch: { code_challenge_methods_supported: value } })),
];

/** Bad key sets. */
const KEY_SETS: readonly Reply[] = [
  ...[null, {}, [], { keys: null }, { keys: {} }, { keys: [] }, { keys: "x" }, { keys: [null] }, { keys: [[]] }],
  ...[{ keys: [{ kty: "oct", k: "AAAA", kid: "idp-1" }] }, { keys: [{ kid: "idp-1" }] }, { keys: [{ kty: "RSA" }] }],
  { keys: [{ kty: "RSA", kid: "idp-1", n: "AQAB", e: "AQAB", use: "sig", alg: "RS256" }] },
].map((json) => ({ json }));

/** What every document can do instead of arriving. */
const ABSENCES: readonly Reply[] = [
  ...STATUSES.filter((status) => status > 299).map((status) => ({ status })),
  ...REDIRECTS,
  ...DOCUMENTS,
  { body_bytes: 524_289 },
  { gzip_bomb: 5_000_000 },
  { headers: { "content-encoding": "gzip" } },
];

const HARMLESS = { no_stack_trace: true, max_ms: 3000, outbound_hosts_not: ["evil.test", "127.0.0.1"] };

/** What is tried, and what has to come of it. */
const TRIALS: Readonly<Record<string, readonly [flow: JsonObject, replies: readonly Reply[], expect: JsonObject]>> = {
  "no bad answer to a refresh ends a session or sets a cookie": [
    { flow: "refresh", endpoint: "token" },
    TOKEN_REPLIES,
    { status: [503], session: "kept", set_cookie: "unchanged", ...HARMLESS },
  ],
  "no bad answer to an exchange begins a session": [
    { flow: "login", endpoint: "token" },
    TOKEN_REPLIES,
    { status: [502, 503], session: "none", set_cookie: "transaction cleared only", ...HARMLESS },
  ],
  "no bad metadata begins a session": [
    { flow: "login", endpoint: "discovery" },
    [...METADATA, ...ABSENCES],
    { status: [502, 503], session: "none", set_cookie: "unchanged", idp_calls: 0, ...HARMLESS },
  ],
  "no bad key set begins a session": [
    { flow: "login", endpoint: "jwks" },
    [...KEY_SETS, ...ABSENCES],
    { status: [401, 503], session: "none", set_cookie: "transaction cleared only", jwks_fetches_max: 1, ...HARMLESS },
  ],
  "userinfo that does not answer begins no session": [
    { flow: "login", endpoint: "userinfo" },
    ABSENCES.filter(({ status }) => ![400, 401, 403, 404].includes(status ?? 200)),
    { status: [401, 503], session: "none", set_cookie: "transaction cleared only", ...HARMLESS },
  ],
};

for (const [promise, [flow, replies, expect]] of Object.entries(TRIALS)) {
  Deno.test(promise, async () => {
    await withWorld(async (world) => {
      const faults: string[] = [];
      for (const reply of sample(replies)) {
        const what = `${JSON.stringify(flow)} ${JSON.stringify(reply).slice(0, 120)}`;
        const request = { kind: "idp", ...flow, reply };
        const found = await run(world, { group: "idp-reply", id: "generated", what, request, expect });
        if (found.length > 0) faults.push(`${what}: ${found.join("; ").slice(0, 300)}`);
      }
      assertEquals(faults, []);
    });
  });
}

/** As many as there is time for, evenly spread. */
function sample(replies: readonly Reply[]): readonly Reply[] {
  const step = Math.ceil(replies.length / lengthOf({ short: 110, full: replies.length }));
  return replies.filter((_, i) => i % step === 0);
}

Deno.test("a refresh that brings somebody else's ID token, or a bad one, ends the session and revokes its tokens", async () => {
  const bad: readonly JsonObject[] = [
    ...["mallory", "Alice", "", 1, null, ["alice"]].map((sub) => ({ id_token_claims: { sub } })),
    ...["https://idp-b.test/", "https://idp.test", null].map((iss) => ({ id_token_claims: { iss } })),
    ...["globex-client", [], null].map((aud) => ({ id_token_claims: { aud } })),
    ...["now-301", null].map((exp) => ({ id_token_claims: { exp } })),
    { id_token_claims: { at_hash: "AAAAAAAAAAAAAAAAAAAAAA" } },
    ...["attacker", "attacker-duplicate-kid", "hmac:client-secret", "idp-enc-key"].map((key) => ({
      id_token_key: key,
    })),
  ];
  await withWorld(async (world) => {
    const faults: string[] = [];
    for (const changes of bad) {
      const what = JSON.stringify(changes);
      const request = { kind: "idp", flow: "refresh", endpoint: "token", ...changes };
      const expect = { status: [401], session: "none", id_token_claims_used: false, idp_calls: 1, alert: true };
      const revocations = world.idp.calls.revoke;
      const found = await run(world, { group: "idp-reply", id: "generated", what, request, expect });
      if (found.length > 0) faults.push(`${what}: ${found.join("; ")}`);
      assertEquals(world.idp.calls.revoke, revocations + 1, what);
    }
    assertEquals(faults, []);
  });
});

Deno.test("invalid_grant, in a client error and in nothing else, ends the session and clears its cookies", async () => {
  await withWorld(async (world) => {
    for (const status of [400, 401, 403, 404, 422]) {
      const reply = { status, json: { error: "invalid_grant", error_description: "whatever" } };
      const request = { kind: "idp", flow: "refresh", endpoint: "token", reply };
      const expect = { status: [401], session: "none", idp_calls: 1, alert: false };
      assertEquals(await run(world, { group: "idp-reply", id: "generated", what: "", request, expect }), []);
    }
  });
});
