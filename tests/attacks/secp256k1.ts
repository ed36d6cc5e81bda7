/**
 * Signatures on the curve secp256k1 (`ES256K`), which Web Crypto does not have: an attacker may well sign with it. Slow,
 * not constant in time, and only for tests.
 *
 * @module
 */

import { digestOf, encodeBase64Url, encodeUtf8, type JsonObject } from "../../lib/encoding.ts";

const P = 2n ** 256n - 2n ** 32n - 977n;
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const BASE: Point = {
  x: 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  y: 0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
};

/** The key of these tests. */
const PRIVATE_KEY = 0x1f2e3d4c5b6a798897a6b5c4d3e2f1001f2e3d4c5b6a798897a6b5c4d3e2f100n;

interface Point {
  readonly x: bigint;
  readonly y: bigint;
}

/** The public key as a JWK. */
export function secp256k1Jwk(kid: string): JsonObject {
  const { x, y } = multiply(BASE, PRIVATE_KEY);
  return { kty: "EC", crv: "secp256k1", x: encodeNumber(x), y: encodeNumber(y), kid, use: "sig", alg: "ES256K" };
}

/** Signs a text as `ES256K` does; the answer is base64url. */
export async function signSecp256k1(signed: string): Promise<string> {
  const digest = BigInt(`0x${(await digestOf(encodeUtf8(signed))).toHex()}`);
  const nonce = (digest ^ PRIVATE_KEY) % ORDER;
  const r = multiply(BASE, nonce).x % ORDER;
  const s = modulo(inverse(nonce, ORDER) * (digest + r * PRIVATE_KEY), ORDER);
  return encodeBase64Url(Uint8Array.fromHex(hex(r) + hex(s)));
}

/** Tells whether a signature is good: shows that the attacker's signatures are. */
export async function verifySecp256k1(signed: string, signature: Uint8Array): Promise<boolean> {
  const digest = BigInt(`0x${(await digestOf(encodeUtf8(signed))).toHex()}`);
  const text = signature.toHex();
  const [r, s] = [BigInt(`0x${text.slice(0, 64)}`), BigInt(`0x${text.slice(64)}`)];
  const w = inverse(s, ORDER);
  const point = add(
    multiply(BASE, modulo(digest * w, ORDER)),
    multiply(multiply(BASE, PRIVATE_KEY), modulo(r * w, ORDER)),
  );
  return point !== null && point.x % ORDER === r;
}

function multiply(point: Point, times: bigint): Point {
  let sum: Point | null = null;
  let addend = point;
  for (let rest = times; rest > 0n; rest >>= 1n) {
    if (rest & 1n) sum = add(sum, addend);
    addend = add(addend, addend)!;
  }
  return sum!;
}

function add(a: Point | null, b: Point | null): Point | null {
  if (a === null || b === null) return a ?? b;
  if (a.x === b.x && a.y !== b.y) return null;
  const slope = a.x === b.x
    ? modulo(3n * a.x * a.x * inverse(2n * a.y, P), P)
    : modulo((b.y - a.y) * inverse(modulo(b.x - a.x, P), P), P);
  const x = modulo(slope * slope - a.x - b.x, P);
  return { x, y: modulo(slope * (a.x - x) - a.y, P) };
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [low, high] = [modulo(value, modulus), modulus];
  let [factor, other] = [1n, 0n];
  while (low > 1n) {
    const quotient = high / low;
    [high, low] = [low, high - quotient * low];
    [other, factor] = [factor, other - quotient * factor];
  }
  return modulo(factor, modulus);
}

function modulo(value: bigint, modulus: bigint): bigint {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
}

function hex(value: bigint): string {
  return value.toString(16).padStart(64, "0");
}

function encodeNumber(value: bigint): string {
  return encodeBase64Url(Uint8Array.fromHex(hex(value)));
}
