import { assertEquals } from "@std/assert";
import type { SignatureAlgorithm } from "../../lib/jwt/algorithms.ts";
import { verifySignature } from "../../lib/jwt/compact.ts";
import { findKey, readKeySet } from "../../lib/jwt/key_set.ts";
import { encodeBase64Url, type JsonObject } from "../../lib/encoding.ts";
import { readWycheproof } from "./vectors.ts";

interface SignatureGroup {
  readonly publicKeyJwk?: JsonObject;
  readonly keyJwk?: JsonObject;
  readonly publicKey: { readonly uncompressed?: string; readonly curve?: string };
}

interface SignatureTest {
  readonly msg: string;
  readonly sig: string;
}

const files: readonly (readonly [name: string, alg: SignatureAlgorithm])[] = [
  ["rsa_signature_2048_sha256", "RS256"],
  ["rsa_signature_3072_sha256", "RS256"],
  ["rsa_signature_4096_sha256", "RS256"],
  ["rsa_signature_2048_sha384", "RS384"],
  ["rsa_signature_2048_sha512", "RS512"],
  ["rsa_pss_2048_sha256_mgf1_32", "PS256"],
  ["rsa_pss_3072_sha256_mgf1_32", "PS256"],
  ["rsa_pss_4096_sha384_mgf1_48", "PS384"],
  ["rsa_pss_4096_sha512_mgf1_64", "PS512"],
  ["ecdsa_secp256r1_sha256_p1363", "ES256"],
  ["ecdsa_secp384r1_sha384_p1363", "ES384"],
  ["ecdsa_secp521r1_sha512_p1363", "ES512"],
  ["ed25519", "EdDSA"],
  ["ed25519", "Ed25519"],
];

for (const [name, alg] of files) {
  Deno.test(`Wycheproof ${name}: ${alg} accepts every valid signature and nothing else`, async () => {
    const { testGroups, numberOfTests } = readWycheproof<SignatureGroup, SignatureTest>(name);
    let seen = 0;
    for (const group of testGroups) {
      const keySet = readKeySet({ keys: [jwkOf(group)] })!;
      const selection = await findKey(keySet, { alg, kid: null });
      for (const { tcId, comment, msg, sig, result } of group.tests) {
        const token = { alg, signed: Uint8Array.fromHex(msg), signature: Uint8Array.fromHex(sig) };
        const isAccepted = selection.kind === "found" && await verifySignature(token, selection.key);
        assertEquals(isAccepted, result === "valid", `${tcId} ${comment}`);
        seen++;
      }
    }
    assertEquals(seen, numberOfTests);
  });
}

/** The group's key as a JWK; some groups give EC keys only as a point. */
function jwkOf({ publicKeyJwk, keyJwk, publicKey: { uncompressed, curve } }: SignatureGroup): JsonObject {
  const jwk = publicKeyJwk ?? keyJwk;
  if (jwk !== undefined) return jwk;
  const point = Uint8Array.fromHex(uncompressed!).subarray(1);
  return {
    kty: "EC",
    crv: { secp256r1: "P-256", secp384r1: "P-384", secp521r1: "P-521" }[curve!],
    x: encodeBase64Url(point.subarray(0, point.length / 2)),
    y: encodeBase64Url(point.subarray(point.length / 2)),
  };
}
