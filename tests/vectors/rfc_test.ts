import { assert, assertEquals } from "@std/assert";
import { type JsonObject, readUtf8 } from "../../lib/encoding.ts";
import { signatureAlgorithms } from "../../lib/jwt/algorithms.ts";
import { readCompact, verifySignature } from "../../lib/jwt/compact.ts";
import { findKey, readKeySet } from "../../lib/jwt/key_set.ts";
import { challengeOf, verifyVerifier } from "../../lib/pkce.ts";
import { readJson } from "./vectors.ts";

interface Example {
  readonly key: JsonObject;
  readonly compact: string;
  readonly payload_utf8: string;
}

const rfc = readJson("rfc.json") as Readonly<Record<string, unknown>>;

Deno.test("RFC 7636, appendix B: the challenge of the published verifier", async () => {
  const { code_verifier, code_challenge } = rfc.rfc7636_appendix_b as Readonly<Record<string, string>>;
  assertEquals(await challengeOf(code_verifier!), code_challenge);
  assert(await verifyVerifier(code_verifier!, code_challenge!));
});

for (const name of ["rfc7515_a2_rs256", "rfc7515_a3_es256", "rfc7515_a4_es512", "rfc8037_a"]) {
  Deno.test(`${name}: the published JWS verifies with its public key, and not with one bit changed`, async () => {
    const { key: jwk, compact, payload_utf8 } = rfc[name] as Example;
    const { kty, crv, n, e, x, y } = jwk;
    const publicJwk = Object.fromEntries(
      Object.entries({ kty, crv, n, e, x, y }).filter(([, value]) => value !== undefined),
    );
    const reading = readCompact(compact, signatureAlgorithms);
    assert(reading.kind === "read");
    assertEquals(readUtf8(reading.token.payload), payload_utf8);
    const selection = await findKey(readKeySet({ keys: [publicJwk] })!, reading.token);
    assert(selection.kind === "found");
    assert(await verifySignature(reading.token, selection.key));
    reading.token.signed[0]! ^= 1;
    assertEquals(await verifySignature(reading.token, selection.key), false);
  });

  Deno.test(`${name}: a set that publishes the private key is refused`, () => {
    assertEquals(readKeySet({ keys: [(rfc[name] as Example).key] }), null);
  });
}

for (const name of ["rfc7515_a1_hs256", "rfc7515_a5_unsecured"]) {
  Deno.test(`${name}: the algorithm does not exist here`, () => {
    const { compact } = rfc[name] as Example;
    const expected = name === "rfc7515_a1_hs256" ? "algorithm" : "malformed";
    assertEquals(readCompact(compact, signatureAlgorithms), { kind: "refused", reason: expected });
    // An empty signature is refused before the algorithm is looked at; with any other it is the algorithm.
    assertEquals(readCompact(`${compact}AAAA`, signatureAlgorithms), { kind: "refused", reason: "algorithm" });
  });
}
