import { assertEquals } from "@std/assert";
import { readTokenResponse } from "../../lib/oauth/token_response.ts";
import type { OutboundAnswer } from "../../lib/outbound.ts";
import type { TokenOutcome } from "../../lib/oauth/mod.ts";
import { readJsonObject } from "../../lib/encoding.ts";

const good = { access_token: "at-1", token_type: "Bearer" };

/** What is made of an answer; the body may be an object or any text. */
function read(status: number, body: unknown, headers: Record<string, string> = {}): TokenOutcome {
  const json = readJsonObject(typeof body === "string" ? body : JSON.stringify(body));
  const answer = { kind: "answered", status, headers: new Headers({ "content-type": "application/json", ...headers }) };
  return readTokenResponse({ ...answer, json } as OutboundAnswer);
}

Deno.test("readTokenResponse() reads tokens", () => {
  const full = { expires_in: 3600, refresh_token: "rt 1", id_token: "a.b.c", scope: "openid read:x" };
  assertEquals(read(200, { ...good, ...full, unknown: { x: 1 } }), {
    kind: "issued",
    tokens: {
      accessToken: "at-1",
      tokenType: "Bearer",
      expiresIn: 3600,
      refreshToken: "rt 1",
      idToken: "a.b.c",
      scope: "openid read:x",
    },
  });
  assertEquals(read(200, good), {
    kind: "issued",
    tokens: {
      accessToken: "at-1",
      tokenType: "Bearer",
      expiresIn: null,
      refreshToken: null,
      idToken: null,
      scope: null,
    },
  });
});

Deno.test("readTokenResponse() accepts what looks odd but is right", async (t) => {
  const cases: Readonly<Record<string, object>> = {
    "bearer": { token_type: "bearer" },
    "BEARER": { token_type: "BEARER" },
    "expires_in 0": { expires_in: 0 },
    "expires_in of ten years": { expires_in: 315_360_000 },
    "empty scope": { scope: "" },
    "access token of 60 KB": { access_token: "~".repeat(61_440) },
  };
  for (const [what, changes] of Object.entries(cases)) {
    await t.step(what, () => assertEquals(read(200, { ...good, ...changes }).kind, "issued"));
  }
  const fraction = read(200, { ...good, expires_in: 59.9 });
  assertEquals(fraction.kind === "issued" && fraction.tokens.expiresIn, 59);
});

Deno.test("readTokenResponse() takes JSON types alone for a success", () => {
  const json = [
    "application/json",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "Application/JSON",
  ];
  for (const type of [...json, "application/vnd.oauth+json", "application/problem+json ; x=y"]) {
    assertEquals(read(200, good, { "content-type": type }).kind, "issued", type);
  }
  const other = [
    "",
    "text/html",
    "text/plain",
    "text/json",
    "application/jsonp",
    "application/xjson",
    "application/jwt",
  ];
  for (const type of [...other, "application/x-www-form-urlencoded", "text/html; application/json", "json"]) {
    assertEquals(read(200, good, { "content-type": type }), { kind: "invalid_response", fault: "content_type" }, type);
  }
});

Deno.test("readTokenResponse() refuses a success with one wrong part", async (t) => {
  const cases: Readonly<Record<string, readonly [fault: string, changes: Readonly<Record<string, unknown>>]>> = {
    "access_token missing": ["access_token", { access_token: undefined }],
    "access_token empty": ["access_token", { access_token: "" }],
    "access_token null": ["access_token", { access_token: null }],
    "access_token as object": ["access_token", { access_token: { x: 1 } }],
    "access_token as number": ["access_token", { access_token: 1 }],
    "access_token as array": ["access_token", { access_token: ["at-1"] }],
    "access_token with CRLF": ["access_token", { access_token: "a\r\nX-Evil: 1" }],
    "access_token with newline behind": ["access_token", { access_token: "a\n" }],
    "access_token with space": ["access_token", { access_token: "a b" }],
    "access_token with NUL": ["access_token", { access_token: "a\u0000" }],
    "access_token beyond ASCII": ["access_token", { access_token: "✓" }],
    "access_token with Latin-1": ["access_token", { access_token: "é" }],
    "token_type missing": ["token_type", { token_type: undefined }],
    "token_type mac": ["token_type", { token_type: "mac" }],
    "token_type DPoP": ["token_type", { token_type: "DPoP" }],
    "token_type N_A": ["token_type", { token_type: "N_A" }],
    "token_type empty": ["token_type", { token_type: "" }],
    "token_type with space": ["token_type", { token_type: "Bearer " }],
    "token_type as array": ["token_type", { token_type: ["Bearer"] }],
    "token_type null": ["token_type", { token_type: null }],
    "expires_in as text": ["expires_in", { expires_in: "3600" }],
    "expires_in negative": ["expires_in", { expires_in: -1 }],
    "expires_in 1e300": ["expires_in", { expires_in: 1e300 }],
    "expires_in over ten years": ["expires_in", { expires_in: 315_360_001 }],
    "expires_in null": ["expires_in", { expires_in: null }],
    "expires_in true": ["expires_in", { expires_in: true }],
    "expires_in as array": ["expires_in", { expires_in: [3600] }],
    "refresh_token empty": ["refresh_token", { refresh_token: "" }],
    "refresh_token null": ["refresh_token", { refresh_token: null }],
    "refresh_token as number": ["refresh_token", { refresh_token: 1 }],
    "refresh_token with newline": ["refresh_token", { refresh_token: "a\nb" }],
    "refresh_token beyond ASCII": ["refresh_token", { refresh_token: "✓" }],
    "id_token empty": ["id_token", { id_token: "" }],
    "id_token null": ["id_token", { id_token: null }],
    "id_token as object": ["id_token", { id_token: { sub: "ada" } }],
    "scope as array": ["scope", { scope: ["openid"] }],
    "scope null": ["scope", { scope: null }],
    "scope with newline": ["scope", { scope: "openid\nx" }],
    "error beside no token": ["access_token", { access_token: undefined, error: "invalid_grant" }],
  };
  for (const [what, [fault, changes]] of Object.entries(cases)) {
    await t.step(what, () => {
      assertEquals(read(200, { ...good, ...changes }), { kind: "invalid_response", fault } as never);
    });
  }
  const bodies = ["", "<html>", "[]", "null", '{"access_token":"a', '\ufeff{"access_token":"a","token_type":"Bearer"}'];
  for (const body of [...bodies, '{"access_token":"a","access_token":"b","token_type":"Bearer"}']) {
    assertEquals(read(200, body), { kind: "invalid_response", fault: "body" });
  }
  for (const status of [201, 202, 203, 204, 206, 299]) {
    assertEquals(read(status, good), { kind: "invalid_response", fault: "status" });
  }
});

Deno.test("readTokenResponse() lets invalid_grant alone, in a 4xx answer, end a session", () => {
  for (const status of [400, 401, 403, 404, 422, 499]) {
    assertEquals(read(status, { error: "invalid_grant" }), { kind: "refused", error: "invalid_grant" });
  }
  const described = { error: "invalid_grant", error_description: "gone", error_uri: "https://id.test" };
  assertEquals(read(400, described), { kind: "refused", error: "invalid_grant" });
  const others: readonly (readonly [number, unknown])[] = [
    ...[408, 425, 429, 500, 502, 503, 599, 200, 204, 100].map((status) =>
      [status, { error: "invalid_grant" }] as const
    ),
    [400, { error: "invalid_grants" }],
    [400, { error: "Invalid_Grant" }],
    [400, { error: " invalid_grant" }],
    [400, { error: ["invalid_grant"] }],
    [400, { error: { code: "invalid_grant" } }],
    [400, { error: "invalid_request", error_description: "invalid_grant" }],
    [400, { error_description: "invalid_grant" }],
    [400, { code: "invalid_grant" }],
    [400, [{ error: "invalid_grant" }]],
    [400, '"invalid_grant"'],
    [400, "error=invalid_grant"],
    [400, "<html>invalid_grant</html>"],
    [400, '{"error":"invalid_grant"'],
    [400, '{"error":"invalid_request","error":"invalid_grant"}'],
  ];
  for (const [status, body] of others) {
    const { kind } = read(status, body);
    assertEquals(kind === "refused", false, `${status} ${JSON.stringify(body)}`);
  }
});

Deno.test("readTokenResponse() names registered errors for the operator, and never the server's own text", () => {
  const registered = [
    "invalid_request",
    "invalid_client",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
  ];
  for (const error of [...registered, "invalid_target", "access_denied", "login_required", "use_dpop_nonce"]) {
    for (const status of [400, 401, 403]) {
      const body = { error, error_description: "invalid_grant secret" };
      assertEquals(read(status, body), { kind: "misconfigured", error });
    }
  }
  for (const error of ["mfa_required", "", "secret text", "<script>", "__proto__", "x".repeat(10_000)]) {
    assertEquals(read(400, { error }), { kind: "misconfigured", error: "unregistered_error" });
  }
});

Deno.test("readTokenResponse() calls bad weather by its name, and says whether the request may have counted", () => {
  const table: readonly (readonly [sent: boolean, status: number, body: unknown])[] = [
    [true, 500, { error: "invalid_client" }],
    [true, 502, "<html>Bad Gateway</html>"],
    [true, 504, ""],
    [true, 100, ""],
    [true, 300, good],
    [false, 503, ""],
    [false, 429, { error: "invalid_grant" }],
    [false, 408, ""],
    [false, 400, "<html>"],
    [false, 404, ""],
    [false, 400, {}],
    [false, 400, { error: null }],
    [false, 400, { error: "temporarily_unavailable" }],
    [false, 400, { error: "server_error" }],
    [false, 400, { error: "slow_down" }],
  ];
  for (const [sent, status, body] of table) {
    const expected = { kind: "unavailable", retryAfterSeconds: null, sent } as const;
    assertEquals(read(status, body), expected, `${status} ${JSON.stringify(body)}`);
  }
  const reasons = { unreachable: true, timeout: true, too_large: true, redirected: false } as const;
  for (const [reason, sent] of Object.entries(reasons)) {
    const outcome = readTokenResponse({ kind: "failed", reason } as OutboundAnswer);
    assertEquals(outcome, { kind: "unavailable", retryAfterSeconds: null, sent });
  }
});

Deno.test("readTokenResponse() passes on when to come back", () => {
  const date = "Thu, 20 Nov 2025 10:00:00 GMT";
  const table: readonly (readonly [expected: number | null, headers: Record<string, string>])[] = [
    [2, { "retry-after": "2" }],
    [0, { "retry-after": "0" }],
    [86_400, { "retry-after": "99999999999999999999" }],
    [5400, { "retry-after": "Thu, 20 Nov 2025 11:30:00 GMT", date }],
    [null, { "retry-after": "Thu, 20 Nov 2025 09:00:00 GMT", date }],
    [null, { "retry-after": "Thu, 20 Nov 2025 10:01:30 GMT" }],
    [null, { "retry-after": "-1" }],
    [null, { "retry-after": "1.5" }],
    [null, { "retry-after": "soon" }],
    [null, { "retry-after": "" }],
    [null, {}],
  ];
  for (const [retryAfterSeconds, headers] of table) {
    for (const [status, sent] of [[429, false], [503, false], [500, true]] as const) {
      assertEquals(
        read(status, "", headers),
        { kind: "unavailable", retryAfterSeconds, sent },
        JSON.stringify(headers),
      );
    }
  }
});
