/**
 * Neighbours of the token cases: every header member and claim with every wrong type, every spelling of the text that is
 * not canonical, and key sets that must not be trusted. The rule: an algorithm list per key and never the token's own
 * word, claims checked for type before value, one spelling.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { encodeBase64Url, encodeUtf8, type JsonObject, readBase64Url } from "../../../lib/encoding.ts";
import { encodePart, rsaKey, signJwt, signRsa } from "../../support/signing_key.ts";
import { changeIdp, openCallback } from "../kinds/sign_in.ts";
import { PATHS } from "../names.ts";
import { watch } from "../outcome.ts";
import { run } from "../run.ts";
import { createStage, sessionOf } from "../stage.ts";
import { ACME, withWorld, type World } from "../world.ts";

/** Header members that must not get a token accepted, signed by the right key as they stand. */
const HEADERS: readonly JsonObject[] = [
  ...["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", " RS256", "RS256\u0000", "RS1", "HS256", "hs256", "HS512"]
    .map((alg) => ({ alg })),
  ...["RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA", "Ed25519", "dir", "A256KW", "RSA-OAEP", "__proto__"]
    .map((alg) => ({ alg })),
  ...[["RS256"], { RS256: true }, 1, true, null].map((alg) => ({ alg })),
  ...[
    "",
    "idp-1 ",
    "IDP-1",
    "idp-1\u0000",
    "idp",
    "constructor",
    "toString",
    "*",
    "k".repeat(1500),

    "%69dp-1",
  ]
    .map((kid) => ({ kid })),
  ...[1, true, [], ["idp-1"], { idp: 1 }].map((kid) => ({ kid })),
  ...["at+jwt", "logout+jwt", "secevent+jwt", "application/at+jwt", "JOSE", "JWE", "dpop+jwt", "jwt ", ""]
    .map((typ) => ({ typ })),
  ...[1, true, [], ["JWT"], {}].map((typ) => ({ typ })),
  ...[["exp"], ["b64"], ["kid", "kid"], [], "exp", null, [1], {}].map((crit) => ({
    crit: crit === null ? "null" : crit,
  })),
  ...[false, true, "false", 0].map((b64) => ({ b64 })),
  { b64: false, crit: ["b64"] },
  { enc: "A256GCM", alg: "dir" },
];

/** Values that are hardly ever right. */
const ODD_VALUES: readonly unknown[] = [
  ...[true, false, 1, 0, -1, 0.5, 1e300, "", " ", "x", "undefined", [], [[]], {}, { toString: 1 }, "a\u0000", "\ud800"],
  "x".repeat(256),
];

/** Whether a value of a claim is right after all. */
const IS_RIGHT: Readonly<Record<string, (value: unknown) => boolean>> = {
  iss: () => false,
  sub: (value) => value === "x" || value === " " || value === "undefined",
  aud: () => false,
  exp: () => false,
  iat: () => false,
  nonce: () => false,
  azp: () => false,
  at_hash: () => false,
  nbf: (value) => value === 0 || value === 0.5 || value === 1,
  auth_time: (value) => value === 0 || value === 0.5 || value === 1,
  jti: (value) => typeof value === "string",
  sid: (value) => value === "x" || value === " " || value === "undefined",
};

/** Claims that look nearly right. */
const CLAIMS: readonly JsonObject[] = [
  ...Object.entries(IS_RIGHT).flatMap(([claim, isRight]) =>
    ODD_VALUES.filter((value) => !isRight(value)).map((value) => ({ [claim]: value }))
  ),
  ...["iss", "sub", "aud", "exp", "iat", "nonce"].map((claim) => ({ [claim]: null })),
  ...["https://idp.test", "HTTPS://idp.test/", "https://IDP.test/", "http://idp.test/", "https://idp.test:443/"]
    .map((iss) => ({ iss })),
  ...["https://idp.test/ ", "https://idp-b.test/", "https://idp.test//", "https://idp.test/#"].map((iss) => ({ iss })),
  ...["globex-client", "ACME-CLIENT", "acme-client ", "acme-clien", "*", "https://upstream.test/"].map((aud) => ({
    aud,
  })),
  { aud: ["globex-client"] },
  { aud: [ACME.clientId, "globex-client"] },
  { aud: ["globex-client", ACME.clientId], azp: "globex-client" },
  { aud: [ACME.clientId, 1] },
  { aud: [ACME.clientId, ""] },
  { aud: { [ACME.clientId]: true } },
  { azp: "globex-client" },
  ...["now-60", "now-61", "now-3600"].map((exp) => ({ exp })),
  ...["now-601", "now+301", "now+86400"].map((iat) => ({ iat })),
  ...["now+301", "now+86400"].map((nbf) => ({ nbf })),
  ...["now+600 ", "1800000600", "2030-01-01T00:00:00Z"].map((exp) => ({ exp })),
  { events: { "http://schemas.openid.net/event/backchannel-logout": {} } },
  { events: {} },
];

/** What the same claims may be in a good ID token: shows that the table above refuses for the right reason. */
const GOOD_CLAIMS: readonly JsonObject[] = [
  {},
  { aud: [ACME.clientId] },
  { aud: [ACME.clientId], azp: ACME.clientId },
  { aud: [ACME.clientId, "other"], azp: ACME.clientId },
  { exp: "now-59" },
  { iat: "now+300" },
  { iat: "now-600" },
  { nbf: "now+300" },
  { at_hash: null },
  { name: "<script>" },
];

Deno.test("an ID token with a wrong header signs nobody in", async (t) => {
  await runRows(t, { rows: HEADERS.map((header) => ({ header })), where: "id_token" });
});

Deno.test("an ID token with wrong claims signs nobody in", async (t) => {
  await runRows(t, { rows: CLAIMS.map((claims) => ({ claims })), where: "id_token" });
});

Deno.test("an access token with a wrong header reaches no upstream", async (t) => {
  const rows = HEADERS.filter(({ typ }) => typ !== "at+jwt" && typ !== "application/at+jwt");
  await runRows(t, { rows: rows.map((header) => ({ header })), where: "access_token" });
});

Deno.test("an access token with wrong claims reaches no upstream", async (t) => {
  const rows = CLAIMS.filter((claims) => {
    const [name = "", other] = Object.keys(claims);
    const isAboutSignIn = ["nonce", "azp", "at_hash", "auth_time", "jti", "sid"].includes(name);
    const isOwnAudience = claims.aud === "https://upstream.test/" || (Array.isArray(claims.aud) && other === "azp");
    // An access token may be as old as it likes until it ends.
    const isOld = claims.iat === "now-601" || (typeof claims.iat === "number" && claims.iat >= 0 && claims.iat <= 1);
    return !isAboutSignIn && !isOwnAudience && !isOld;
  });
  await runRows(t, { rows: rows.map((claims) => ({ claims })), where: "access_token" });
});

/** Runs rows through the kind `token`, each with the right key. */
async function runRows(
  t: Deno.TestContext,
  { rows, where }: { readonly rows: readonly { header?: JsonObject; claims?: JsonObject }[]; readonly where: string },
): Promise<void> {
  const good = where === "id_token" ? GOOD_CLAIMS.map((claims) => ({ claims })) : [{ claims: {} }];
  const accepted = where === "id_token" ? { status: [302], session: "alice" } : { status: [200], upstream_calls: 1 };
  const refused = where === "id_token"
    ? { status: [400, 401], session: "none", idp_calls: 1, jwks_fetches_max: 1, max_ms: 200 }
    : { status: [401], upstream_calls: 0, jwks_fetches_max: 1, max_ms: 200 };
  await withWorld(async (world) => {
    for (const [kind, expect, list] of [["control", accepted, good], ["wrong", refused, rows]] as const) {
      for (const row of list) {
        const what = `${kind}: ${JSON.stringify(row).slice(0, 80)}`;
        await t.step(what, async () => {
          const request = { kind: "token", where, key: "idp", header: {}, claims: {}, ...row };
          assertEquals(await run(world, { group: "jwt", id: "generated", what, request, expect }), []);
        });
      }
    }
  });
}

/** Changes of a good token's text. */
const TEXTS: Readonly<Record<string, (token: string) => string>> = {
  "one dot": () => ".",
  "two dots": () => "..",
  "10,000 dots": () => ".".repeat(10_000),
  "without a signature": (token) => token.slice(0, token.lastIndexOf(".") + 1),
  "without a signature and its dot": (token) => token.slice(0, token.lastIndexOf(".")),
  "a space before": (token) => ` ${token}`,
  "a space behind": (token) => `${token} `,
  "a newline behind": (token) => `${token}\n`,
  "a newline inside": (token) => token.replace(".", ".\n"),
  "a tab inside": (token) => token.replace(".", "\t."),
  "a dot behind": (token) => `${token}.`,
  "a dot before": (token) => `.${token}`,
  "padding": (token) =>
    token.split(".").map((part) => part.padEnd(Math.ceil(part.length / 4) * 4, "=")).join(".") + "=",
  "the standard alphabet": (token) => token.replaceAll("-", "+").replaceAll("_", "/"),
  "escapes": (token) => token.replace(".", "%2e"),
  "in quotes": (token) => `"${token}"`,
  "with its scheme": (token) => `Bearer ${token}`,
  "twice": (token) => `${token}${token}`,
  "twice with a dot": (token) => `${token}.${token}`,
  "slack in the signature": (token) => slack(token, 2),
  "slack in the payload": (token) => slack(token, 1),
  "parts in reverse": (token) => token.split(".").toReversed().join("."),
  "general JSON": (token) => {
    const [header, payload, signature] = token.split(".");
    return JSON.stringify({ payload, signatures: [{ protected: header, signature }] });
  },
  "2 MB more": (token) => `${token}${"A".repeat(2_000_000)}`,
  "NUL behind": (token) => `${token}\u0000`,
  "beyond ASCII": (token) => `${token}é`,
};

/** Sets bits of a last character that belong to no byte, or adds a character that does. */
function slack(token: string, part: number): string {
  const parts = token.split(".");
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const text = parts[part]!;
  const last = alphabet[alphabet.indexOf(text.at(-1)!) ^ 1]!;
  return parts.with(part, text.length % 4 === 0 ? `${text}A` : `${text.slice(0, -1)}${last}`).join(".");
}

/** Bodies and headers that are signed by the right key, but are no JSON objects, or ambiguous ones. */
const SIGNED_TEXTS: Readonly<Record<string, (header: string, payload: string) => readonly [string, string]>> = {
  "payload null": (header) => [header, "null"],
  "payload a number": (header) => [header, "1"],
  "payload an array": (header, payload) => [header, `[${payload}]`],
  "payload twice": (header, payload) => [header, `${payload}${payload}`],
  "payload cut off": (header, payload) => [header, payload.slice(0, -1)],
  "payload with a comment": (header, payload) => [header, `${payload}//`],
  "payload with NUL behind": (header, payload) => [header, `${payload}\u0000`],
  "payload 500 deep": (header, payload) => [header, payload.replace("{", `{"x":${"[".repeat(5e4)}${"]".repeat(5e4)},`)],
  "payload with sub twice": (header, payload) => [header, payload.replace("{", '{"sub":"mallory",')],
  "payload with an escaped sub twice": (header, payload) => [header, payload.replace("{", '{"s\\u0075b":"mallory",')],
  "payload with aud twice": (header, payload) => [header, payload.replace("{", '{"aud":"other",')],
  "header null": (_header, payload) => ["null", payload],
  "header an array": (header, payload) => [`[${header}]`, payload],
  "header with alg twice": (header, payload) => [header.replace("{", '{"alg":"none",'), payload],
  "header with kid twice": (header, payload) => [header.replace("{", '{"kid":"x",'), payload],
  "header with a byte order mark": (header, payload) => [`\ufeff${header}`, payload],
  "header of 10 KB": (header, payload) => [header.replace("{", `{"x":"${"A".repeat(10_000)}",`), payload],
  "header with __proto__": (header, payload) => [`{"__proto__":${header}}`, payload],
};

Deno.test("an ID token in any other spelling signs nobody in", async (t) => {
  await withWorld(async (world) => {
    const { idp } = world;
    await t.step("control", () => assertSignIn(world, (claims) => signJwt(idp.key, {}, claims), "alice"));
    for (const [what, change] of Object.entries(TEXTS)) {
      await t.step(
        what,
        () => assertSignIn(world, async (claims) => change(await signJwt(idp.key, {}, claims)), "none"),
      );
    }
    for (const [what, change] of Object.entries(SIGNED_TEXTS)) {
      await t.step(what, () =>
        assertSignIn(world, async (claims) => {
          const header = JSON.stringify({ alg: "RS256", kid: idp.key.kid });
          const signed = change(header, JSON.stringify(claims)).map((text) => encodeBase64Url(encodeUtf8(text))).join(
            ".",
          );
          return `${signed}.${encodeBase64Url(await signRsa(idp.key, signed))}`;
        }, "none"));
    }
    await t.step("payload in UTF-16", () =>
      assertSignIn(world, async (claims) => {
        const bytes = Uint8Array.from([...JSON.stringify(claims)].flatMap((letter) => [letter.charCodeAt(0), 0]));
        const signed = `${encodePart({ alg: "RS256", kid: idp.key.kid })}.${encodeBase64Url(bytes)}`;
        return `${signed}.${encodeBase64Url(await signRsa(idp.key, signed))}`;
      }, "none"));
    await t.step("the claims of another token under this signature", () =>
      assertSignIn(world, async (claims) => {
        const [header, , signature] = (await signJwt(idp.key, {}, claims)).split(".");
        return `${header}.${encodePart({ ...claims, sub: "mallory" })}.${signature}`;
      }, "none"));
    for (const length of [0, 1, 64, 128, 255, 257, 512]) {
      await t.step(`a signature of ${length} bytes`, () =>
        assertSignIn(world, async (claims) => {
          const [header, payload, signature] = (await signJwt(idp.key, {}, claims)).split(".");
          const bytes = new Uint8Array(length);
          bytes.set(readBase64Url(signature!)!.subarray(0, length));
          return `${header}.${payload}.${encodeBase64Url(bytes)}`;
        }, "none"));
    }
  });
});

Deno.test("a bearer in any other spelling reaches no upstream", async (t) => {
  await withWorld(async (world) => {
    const { idp, clock } = world;
    const claims = {
      ...{ iss: idp.issuer, sub: "alice", aud: idp.audience, client_id: ACME.clientId, jti: "1" },
      ...{ iat: clock(), exp: clock() + 600 },
    };
    const good = await signJwt(idp.key, { typ: "at+jwt" }, claims);
    await t.step("control", async () => assertEquals(await callWith(world, `Bearer ${good}`), [200, 1]));
    const headers = Object.entries(TEXTS).map(([what, change]) => [what, `Bearer ${change(good)}`] as const)
      // These mean the same to HTTP, which strips spaces, or cannot be sent.
      .filter(([what]) => !["a space behind", "2 MB more"].includes(what))
      // deno-lint-ignore no-control-regex
      .filter(([, value]) => !/[\u0000-\u001f\u007f-\uffff]/.test(value) && !value.startsWith("Bearer  "));
    for (const [what, value] of headers) {
      await t.step(what, async () => assertEquals(await callWith(world, value), [401, 0]));
    }
    for (const value of ["", "Bearer", "Basic YTpi", `Token ${good}`, good, `Bearer ${good}, Bearer ${good}`]) {
      await t.step(value.slice(0, 12), async () => assertEquals(await callWith(world, value), [401, 0]));
    }
  });
});

/** Calls the upstream with an `Authorization` header: the status, and how many calls arrived. */
async function callWith(world: World, authorization: string): Promise<readonly [number, number]> {
  const effects = watch(world);
  const request = new Request(`${ACME.publicUrl}${PATHS.api}`, { headers: { authorization } });
  const { status, body } = await world.cloakroom.fetch(request);
  await body?.cancel();
  return [status, effects().upstreamCalls];
}

/** Key sets that an ID token of the right key must not be believed from. */
const KEY_SETS: Readonly<Record<string, (good: JsonObject) => Promise<unknown> | unknown>> = {
  "for encryption": (good) => ({ keys: [{ ...good, use: "enc" }] }),
  "without the operation": (good) => ({ keys: [{ ...good, use: undefined, key_ops: ["encrypt"] }] }),
  "of another algorithm": (good) => ({ keys: [{ ...good, alg: "PS256" }] }),
  "of another type": (good) => ({ keys: [{ ...good, kty: "EC" }] }),
  "twice under one id": async (good) => ({ keys: [good, { ...(await rsaKey("attacker")).publicJwk, kid: good.kid }] }),
  "twice, the same": (good) => ({ keys: [good, good] }),
  "with its private half": async (good) => ({ keys: [{ ...(await rsaKey("idp-1")).privateJwk, ...good }] }),
  "beside a shared key": (good) => ({ keys: [good, { kty: "oct", k: "AAAA", kid: "x" }] }),
  "with a weak exponent": (good) => ({ keys: [{ ...good, e: "AQ" }] }),
  "with a modulus of 1024 bits": (good) => ({ keys: [{ ...good, n: encodeBase64Url(new Uint8Array(128).fill(255)) }] }),
  "padded": (good) => ({ keys: [{ ...good, n: `${good.n}=` }] }),
  "no list": (good) => ({ keys: good }),
  "an array": (good) => [good],
  "nothing": () => ({}),
};

Deno.test("a key that is published in the wrong way verifies nothing", async (t) => {
  for (const [what, change] of Object.entries(KEY_SETS)) {
    await t.step(what, async () => {
      // Each in a world of its own: known keys serve for a day while a set cannot be used.
      await withWorld(async (world) => {
        world.idp.change.jwks = async (good) => Response.json(await change((good.keys as JsonObject[])[0]!));
        const [status] = await signInWith(world, (claims) => signJwt(world.idp.key, {}, claims), "none");
        // What is no key set may become one again; a key that is no good, or is known to everybody, will not.
        assertEquals(status, ["no list", "an array", "nothing"].includes(what) ? 503 : 401);
      });
    });
  }
});

async function assertSignIn(
  world: World,
  makeIdToken: (claims: JsonObject) => Promise<string>,
  session: string,
): Promise<void> {
  const [status, milliseconds] = await signInWith(world, makeIdToken, session);
  assertEquals(status, session === "none" ? 401 : 302);
  assert(milliseconds < 500, `${milliseconds} ms`);
}

async function signInWith(
  world: World,
  makeIdToken: (claims: JsonObject) => Promise<string>,
  session: string,
): Promise<readonly [status: number, milliseconds: number]> {
  const alice = await createStage(world).begun("alice");
  const restore = changeIdp(world.idp, { makeIdToken });
  const effects = watch(world);
  const { status } = await openCallback(alice);
  restore();
  const { milliseconds } = effects();
  assertEquals(await sessionOf(alice), session);
  return [status, milliseconds];
}
