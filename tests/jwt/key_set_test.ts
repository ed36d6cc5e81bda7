import { assert, assertEquals } from "@std/assert";
import { encodeBase64Url, type JsonObject, readBase64Url } from "../../lib/encoding.ts";
import { type SignatureAlgorithm, signatureAlgorithms } from "../../lib/jwt/algorithms.ts";
import { findKey, readKeySet } from "../../lib/jwt/key_set.ts";
import { readJson, readWycheproof } from "../vectors/vectors.ts";
import { createTestKey, withoutAbsent } from "./issuer.ts";

const rsa = (await createTestKey("RS256", "rsa")).jwk;
const p256 = (await createTestKey("ES256", "p256")).jwk;
const p384 = (await createTestKey("ES384", "p384")).jwk;
const p521 = (await createTestKey("ES512", "p521")).jwk;
const ed25519 = (await createTestKey("EdDSA", "ed25519")).jwk;

/** A key of the flawed generator. */
const roca = readWycheproof<{ comment: string; public: { keys: JsonObject[] } }, unknown>("json_web_key").testGroups
  .find(({ comment }) => comment === "jws_rsa_roca_key")!.public.keys[0]!;

async function kindOf(keys: readonly unknown[], alg: SignatureAlgorithm, kid: string | null): Promise<string> {
  const set = readKeySet({ keys });
  return set === null ? "refused" : (await findKey(set, { alg, kid })).kind;
}

Deno.test("findKey() finds a key for the algorithms of its kind and curve, and for no other", async (t) => {
  const table: Readonly<Record<string, readonly SignatureAlgorithm[]>> = {
    rsa: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    p256: ["ES256"],
    p384: ["ES384"],
    p521: ["ES512"],
    ed25519: ["EdDSA", "Ed25519"],
  };
  for (const jwk of [rsa, p256, p384, p521, ed25519]) {
    for (const alg of signatureAlgorithms) {
      await t.step(`${jwk.kid} ${alg}`, async () => {
        const isForIt = table[jwk.kid!]!.includes(alg);
        assertEquals(await kindOf([rsa, p256, p384, p521, ed25519], alg, jwk.kid!), isForIt ? "found" : "unusable");
        assertEquals(await kindOf([jwk], alg, null), isForIt ? "found" : "unknown");
      });
    }
  }
});

Deno.test("findKey() keeps a key to the algorithm it is published for", async () => {
  for (const alg of ["RS256", "RS384", "PS256"] as const) {
    assertEquals(await kindOf([{ ...rsa, alg: "RS256" }], alg, "rsa"), alg === "RS256" ? "found" : "unusable");
  }
  for (const published of ["EdDSA", "Ed25519"]) {
    for (const alg of ["EdDSA", "Ed25519"] as const) {
      assertEquals(await kindOf([{ ...ed25519, alg: published }], alg, "ed25519"), "found");
    }
  }
  for (const alg of ["RSA-OAEP", "RSA1_5", "HS256", "none", "", 256, null]) {
    assertEquals(await kindOf([{ ...rsa, alg }], "RS256", "rsa"), "unusable");
  }
});

Deno.test("findKey() goes by key id, and without one only where a single key fits", async (t) => {
  const { kid: _kid, ...nameless } = p256;
  const other = { ...(await createTestKey("ES256", "other")).jwk };
  const cases: Readonly<Record<string, readonly [expected: string, keys: readonly unknown[], kid: string | null]>> = {
    "by id among several": ["found", [p256, other, rsa], "other"],
    "id that is not there": ["unknown", [p256], "k2"],
    "id in another spelling": ["unknown", [p256], "P256"],
    "no id, one key fits": ["found", [p256, rsa, p384], null],
    "no id, nameless key": ["found", [nameless, rsa], null],
    "no id, two keys fit": ["ambiguous", [p256, other], null],
    "no id, none fits": ["unknown", [rsa, p384], null],
    "id, but the key has none": ["unknown", [nameless], "p256"],
    "one id twice": ["ambiguous", [p256, { ...other, kid: "p256" }], "p256"],
    "one id twice, of different kinds": ["ambiguous", [p256, { ...rsa, kid: "p256" }], "p256"],
    "one id twice, the same key": ["ambiguous", [p256, p256], "p256"],
    "one id twice, once for encryption": ["found", [p256, { ...other, kid: "p256", use: "enc" }], "p256"],
    "empty id": ["unknown", [p256], ""],
    "__proto__ as id": ["unknown", [p256], "__proto__"],
    "constructor as id": ["unknown", [p256], "constructor"],
    "path as id": ["unknown", [p256], "../../../dev/null"],
    "SQL as id": ["unknown", [p256], "' OR 1=1 --"],
    "NUL in the id": ["unknown", [p256], "p256\u0000"],
    "number as published id": ["unknown", [{ ...p256, kid: 1 }], "1"],
    "empty set": ["unknown", [], "p256"],
  };
  for (const [what, [expected, keys, kid]] of Object.entries(cases)) {
    await t.step(what, async () => assertEquals(await kindOf(keys, "ES256", kid), expected));
  }
});

Deno.test("readKeySet() passes over keys that are not for signatures, or no keys at all", async (t) => {
  const useless: Readonly<Record<string, unknown>> = {
    "use enc": { ...p256, use: "enc" },
    "use of another kind": { ...p256, use: ["sig"] },
    "use null": { ...p256, use: null },
    "key_ops without verify": { ...p256, key_ops: ["encrypt"] },
    "key_ops empty": { ...p256, key_ops: [] },
    "key_ops as text": { ...p256, key_ops: "verify" },
    "null": null,
    "text": "key",
    "array": [p256],
    "number": 1,
  };
  for (const [what, key] of Object.entries(useless)) {
    await t.step(what, async () => {
      assertEquals(await kindOf([key], "ES256", "p256"), "unknown");
      assertEquals(await kindOf([key, p256], "ES256", "p256"), "found");
    });
  }
  assertEquals(await kindOf([{ kty: "XX" }, {}, { kty: "EC" }, p256], "ES256", "p256"), "found");
  assertEquals(await kindOf([{ ...p256, use: "sig", key_ops: ["verify"], ext: false }], "ES256", "p256"), "found");
});

Deno.test("readKeySet() refuses documents that are no key set", () => {
  for (const document of [{}, { keys: null }, { keys: {} }, { keys: "keys" }, { keys: Array(101).fill(p256) }, p256]) {
    assertEquals(readKeySet(document as JsonObject), null);
  }
  assert(readKeySet({ keys: Array(100).fill(p256) }) !== null);
});

Deno.test("readKeySet() refuses a set as a whole that publishes a shared or private key", async (t) => {
  const { key: privateKey } = (readJson("rfc.json") as { rfc7515_a2_rs256: { key: JsonObject } }).rfc7515_a2_rs256;
  const bad: Readonly<Record<string, unknown>> = {
    "oct": { kty: "oct", k: "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow" },
    "oct without its key": { kty: "oct" },
    "oct for encryption": { kty: "oct", k: "AAAA", use: "enc" },
    "RSA with all private members": privateKey,
    ...Object.fromEntries(["d", "p", "q", "dp", "dq", "qi", "oth", "k"].map((name) => [
      `RSA with ${name}`,
      { ...rsa, [name]: "AQAB" },
    ])),
    "EC with d": { ...p384, d: "AQAB" },
    "OKP with d": { ...ed25519, d: "AQAB" },
    "ML-DSA with priv": { kty: "AKP", alg: "ML-DSA-44", pub: "AAAA", priv: "AAAA" },
  };
  for (const [what, key] of Object.entries(bad)) {
    await t.step(what, () => {
      assertEquals(readKeySet({ keys: [key] }), null);
      assertEquals(readKeySet({ keys: [p256, key] }), null);
    });
  }
});

Deno.test("findKey() uses no weak or broken key", async (t) => {
  const bits1024 = (await createTestKey("RS256", "rsa", 1024)).jwk;
  const other = (await createTestKey("ES256", "p256")).jwk;
  const cases: Readonly<Record<string, readonly [JsonObject, SignatureAlgorithm]>> = {
    "RSA of 1,024 bits": [bits1024, "RS256"],
    "RSA of 1,024 bits behind leading zeros": [{ ...bits1024, n: "A".repeat(172) + bits1024.n! }, "RS256"],
    "RSA of 16,384 bits": [{ ...rsa, n: "_".repeat(2731) + "w" }, "RS256"],
    "RSA key of a flawed generator (ROCA)": [roca, "RS256"],
    "exponent 1": [{ ...rsa, e: "AQ" }, "RS256"],
    "exponent 0": [{ ...rsa, e: "AA" }, "RS256"],
    "empty exponent": [{ ...rsa, e: "" }, "RS256"],
    "even exponent": [{ ...rsa, e: "BA" }, "RS256"],
    "exponent of 33 bits": [{ ...rsa, e: "AQAAAAE" }, "RS256"],
    "empty modulus": [{ ...rsa, n: "" }, "RS256"],
    "modulus in standard base64": [{ ...rsa, n: `${rsa.n!.slice(0, -2)}+/` }, "RS256"],
    "modulus with padding": [{ ...rsa, n: `${rsa.n}==` }, "RS256"],
    "modulus is a number": [{ ...rsa, n: 65537 }, "RS256"],
    "no modulus": [withoutAbsent({ ...rsa, n: undefined }), "RS256"],
    "no exponent": [withoutAbsent({ ...rsa, e: undefined }), "RS256"],
    "EC without y": [withoutAbsent({ ...p256, y: undefined }), "ES256"],
    "EC with short x": [{ ...p256, x: "AAAA" }, "ES256"],
    "EC with zero bytes in front of x": [{ ...p256, x: `AAAA${p256.x}` }, "ES256"],
    "EC with x and y exchanged": [{ ...p256, x: p256.y!, y: p256.x! }, "ES256"],
    "EC with zeros": [{ ...p256, x: "A".repeat(43), y: "A".repeat(43) }, "ES256"],
    "EC coordinates of another curve": [{ ...p384, crv: "P-256", kid: "p256" }, "ES256"],
    "Ed25519 with 31 bytes": [{ ...ed25519, x: ed25519.x!.slice(0, -2) + "A" }, "EdDSA"],
    "Ed25519 without x": [withoutAbsent({ ...ed25519, x: undefined }), "EdDSA"],
  };
  for (const [what, [jwk, alg]] of Object.entries(cases)) {
    await t.step(what, async () => assertEquals(await kindOf([jwk], alg, String(jwk.kid)), "unusable"));
  }
  assertEquals(await kindOf([{ ...other, kid: "p256" }], "ES256", "p256"), "found");
  assertEquals(await kindOf([{ ...rsa, e: "Aw" }], "RS256", "rsa"), "found");
});

Deno.test("findKey() uses RSA keys from 2,048 to 8,192 bits", async () => {
  const modulusOf = (bits: number) => encodeInteger((1n << BigInt(bits)) - 1n);
  for (const [bits, kind] of [[2047, "unusable"], [2048, "found"], [8192, "found"], [8193, "unusable"]] as const) {
    assertEquals(await kindOf([{ ...rsa, n: modulusOf(bits) }], "RS256", "rsa"), kind, `${bits}`);
  }
});

Deno.test("findKey() takes a modulus for sound that breaks the pattern of ROCA at a single prime", async () => {
  const primes = Array.from({ length: 165 }, (_, i) => BigInt(i + 3))
    .filter((n) => Array.from({ length: Number(n) - 2 }, (_, i) => BigInt(i + 2)).every((d) => n % d !== 0n))
    .filter((prime) => powersOf(prime).size < Number(prime) - 1);
  assertEquals(primes.length, 17);
  const flawed = BigInt(`0x${readBase64Url(String(roca.n))!.toHex()}`);
  const product = primes.reduce((all, prime) => all * prime);
  for (const prime of primes) {
    // Only the remainder modulo this prime changes.
    let modulus = flawed;
    while (powersOf(prime).has(modulus % prime)) modulus += product / prime;
    assertEquals(await kindOf([{ ...roca, n: encodeInteger(modulus) }], "RS256", null), "found", `${prime}`);
    while (!powersOf(prime).has(modulus % prime)) modulus += product / prime;
    assertEquals(await kindOf([{ ...roca, n: encodeInteger(modulus) }], "RS256", String(roca.kid)), "unusable");
  }
});

/** The remainders of the powers of 65537. */
function powersOf(prime: bigint): Set<bigint> {
  const powers = new Set<bigint>();
  for (let power = 1n; !powers.has(power); power = power * 65537n % prime) powers.add(power);
  return powers;
}

function encodeInteger(value: bigint): string {
  const hex = value.toString(16);
  return encodeBase64Url(Uint8Array.fromHex(hex.length % 2 === 0 ? hex : `0${hex}`));
}

Deno.test("findKey() imports a key once for each algorithm", async () => {
  const set = readKeySet({ keys: [rsa] })!;
  const found = await Promise.all(
    (["RS256", "RS256", "PS256"] as const).map((alg) => findKey(set, { alg, kid: "rsa" })),
  );
  const [first, again, other] = found.map((selection) => selection.kind === "found" ? selection.key : null);
  assert(first !== null && first === again && first !== other);
});
