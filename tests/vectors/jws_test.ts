import { assertEquals } from "@std/assert";
import type { JsonObject } from "../../lib/encoding.ts";
import { signatureAlgorithms } from "../../lib/jwt/algorithms.ts";
import { readCompact, verifySignature } from "../../lib/jwt/compact.ts";
import { findKey, readKeySet } from "../../lib/jwt/key_set.ts";
import { readWycheproof } from "./vectors.ts";

interface JwsGroup {
  readonly comment: string;
  readonly public?: JsonObject;
  readonly private?: JsonObject;
}

interface JwsTest {
  /** Compact serialization, or an object in JSON serialization. */
  readonly jws?: unknown;
}

/** The steps of `verifyToken`, without claims: the payloads here are no JSON. */
async function isAccepted(group: JwsGroup, jws: unknown): Promise<boolean> {
  const key = group.public ?? group.private!;
  const keySet = readKeySet(Object.hasOwn(key, "keys") ? key : { keys: [key] });
  const reading = readCompact(typeof jws === "string" ? jws : JSON.stringify(jws), signatureAlgorithms);
  if (keySet === null || reading.kind === "refused") return false;
  const selection = await findKey(keySet, reading.token);
  return selection.kind === "found" && await verifySignature(reading.token, selection.key);
}

const SHARED_KEY = "a shared key: HMAC does not exist here";
const OTHER_ALGORITHM = "the JWK is published for another algorithm than the token's";

/** Valid cases that are refused on purpose, by file, group and number of cases. */
const refusedOnPurpose: Readonly<Record<string, readonly (readonly [group: string, cases: number, reason: string])[]>> =
  {
    json_web_signature: [
      ["hs256", 1, SHARED_KEY],
      ["rfc7520", 4, `PS384 under PS256 and ES512 under "ES521": ${OTHER_ALGORITHM}; twice HS256: ${SHARED_KEY}`],
      ["rfc7520WithKeyOps", 2, `PS384 under PS256 and ES512 under "ES521": ${OTHER_ALGORITHM}`],
      ["base64", 7, SHARED_KEY],
    ],
    json_web_crypto: [["jws_aes", 1, SHARED_KEY], ["jws_keyset", 1, SHARED_KEY]],
    json_web_key: [
      ["jws_keyset", 1, SHARED_KEY],
      ["HS256", 1, SHARED_KEY],
      ["HS384", 1, SHARED_KEY],
      ["HS512", 1, SHARED_KEY],
    ],
  };

for (const [name, exceptions] of Object.entries(refusedOnPurpose)) {
  Deno.test(`Wycheproof ${name}: no invalid JWS is accepted, and every valid one but those listed is`, async () => {
    const refused = new Map<string, number>();
    let accepted = 0;
    for (const group of readWycheproof<JwsGroup, JwsTest>(name).testGroups) {
      for (const { tcId, comment, jws, result } of group.tests) {
        if (jws === undefined) continue; // a JWE
        const verdict = await isAccepted(group, jws);
        if (result !== "valid") assertEquals(verdict, false, `${tcId} ${group.comment} ${comment}`);
        else if (verdict) accepted++;
        else refused.set(group.comment, (refused.get(group.comment) ?? 0) + 1);
      }
    }
    assertEquals(Object.fromEntries(refused), Object.fromEntries(exceptions.map(([group, cases]) => [group, cases])));
    assertEquals(accepted, { json_web_signature: 32, json_web_crypto: 2, json_web_key: 1 }[name]);
  });
}
