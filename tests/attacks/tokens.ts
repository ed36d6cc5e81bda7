/**
 * Tokens that are good except for what a case names.
 *
 * @module
 */

import { CompactEncrypt } from "@panva/jose";
import { encodeBase64Url, encodeUtf8, type JsonObject, readBase64Url } from "../../lib/encoding.ts";
import { encryptBytes } from "../../lib/seal/aes_gcm.ts";
import { encodePart, type RsaKey, rsaKey, signRsa } from "../support/signing_key.ts";
import { secp256k1Jwk, signSecp256k1 } from "./secp256k1.ts";
import { CLIENT_SECRET, type World } from "./world.ts";

/** What a case says about a token. */
export interface TokenRequest {
  /** Members laid over the good header; `null` leaves one out. */
  readonly header: JsonObject;
  /** Claims laid over the good ones; `null` leaves one out. */
  readonly claims: JsonObject;
  /** Who signs. */
  readonly key: string;
  /** What is spoiled after signing, in words. */
  readonly mutate?: string;
}

/** A token in its making. */
interface Draft {
  readonly header: JsonObject;
  readonly claims: JsonObject;
  readonly token: string;
}

const ES256K_KID = "idp-es256k";

/** Public keys that the provider publishes besides the one that signs: for encryption, and of a kind that we do not take. */
export async function otherPublishedKeys(): Promise<JsonObject[]> {
  const { kty, n, e, kid } = (await rsaKey("idp-enc")).publicJwk;
  // No `alg`, so that `use` alone says what it is for.
  return [{ kty, n, e, kid, use: "enc" }, secp256k1Jwk(ES256K_KID)];
}

/** Makes a token. */
export async function makeToken(
  world: World,
  request: TokenRequest,
  good: { readonly header: JsonObject; readonly claims: JsonObject },
): Promise<string> {
  const signer = signerOf(world, request.key);
  const header = laidOver({ ...good.header, alg: "RS256", kid: await signer.kid(request.header.alg) }, request.header);
  const claims = laidOver(good.claims, withTimes(request.claims, world.clock()));
  const signed = `${encodePart(header)}.${encodePart(claims)}`;
  const token = `${signed}.${await signer.sign(signed, header.alg)}`;
  if (request.mutate === undefined) return token;
  const mutate = Object.hasOwn(MUTATIONS, request.mutate) ? MUTATIONS[request.mutate] : undefined;
  if (mutate === undefined) throw new Error(`Unknown mutation of a token: ${request.mutate}`);
  return await mutate({ header, claims, token }, world);
}

/** Lays members over others; `null` leaves a member out. */
function laidOver(good: JsonObject, changes: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries({ ...good, ...changes }).filter(([, value]) => value !== null));
}

/** `now+301` is a time. */
function withTimes(claims: JsonObject, now: number): JsonObject {
  return Object.fromEntries(
    Object.entries(claims).map(([name, value]) => {
      const offset = typeof value === "string" ? /^now([+-]\d+)$/.exec(value)?.[1] : undefined;
      return [name, offset === undefined ? value : now + Number(offset)];
    }),
  );
}

interface Signer {
  kid(alg: unknown): string | Promise<string>;
  sign(signed: string, alg: unknown): Promise<string>;
}

function signerOf({ idp }: World, name: string): Signer {
  switch (name) {
    case "idp":
      return { ...rsaSigner(idp.key), kid: (alg) => alg === "ES256K" ? ES256K_KID : idp.key.kid };
    case "idp-enc-key":
      return rsaSigner(rsaKey("idp-enc"));
    case "attacker":
      return rsaSigner(rsaKey("attacker"));
    case "attacker-duplicate-kid":
      return { ...rsaSigner(rsaKey("attacker")), kid: () => idp.key.kid };
  }
  const [, secret] = /^hmac:(.+)$/.exec(name) ?? [];
  if (secret === undefined) throw new Error(`Unknown key of a token: ${name}`);
  return {
    kid: () => idp.key.kid,
    sign: async (signed) => await signHmac(await hmacSecretOf(idp.key, secret), signed),
  };
}

function rsaSigner(key: RsaKey | Promise<RsaKey>): Signer {
  return {
    kid: async () => (await key).kid,
    sign: async (signed, alg) =>
      alg === "ES256K"
        ? await signSecp256k1(signed)
        : encodeBase64Url(await signRsa(await key, signed, alg === "RS1" ? "SHA-1" : "SHA-256")),
  };
}

/** Texts that a careless library takes for a shared secret. */
async function hmacSecretOf({ publicJwk }: RsaKey, name: string): Promise<string> {
  switch (name) {
    case "client-secret":
      return CLIENT_SECRET;
    case "idp-public-jwk-json":
      return JSON.stringify(publicJwk);
    case "idp-public-spki-pem":
      return await pemOf(publicJwk);
    case "space+idp-public-spki-pem":
      return `\n ${await pemOf(publicJwk)}`;
    case "prefix+pem":
      return `key:${await pemOf(publicJwk)}`;
    default:
      throw new Error(`Unknown secret of a token: hmac:${name}`);
  }
}

async function pemOf(jwk: JsonObject): Promise<string> {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("jwk", jwk as JsonWebKey, algorithm, true, ["verify"]);
  const lines = new Uint8Array(await crypto.subtle.exportKey("spki", key)).toBase64().replace(/.{64}/g, "$&\n");
  return `-----BEGIN PUBLIC KEY-----\n${lines}\n-----END PUBLIC KEY-----\n`;
}

async function signHmac(secret: string, signed: string): Promise<string> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encodeUtf8(secret), algorithm, false, ["sign"]);
  return encodeBase64Url(new Uint8Array(await crypto.subtle.sign("HMAC", key, encodeUtf8(signed))));
}

/** Signs other parts with the provider's key. */
async function signParts({ idp }: World, header: string, payload: string): Promise<string> {
  return `${header}.${payload}.${encodeBase64Url(await signRsa(idp.key, `${header}.${payload}`))}`;
}

/** Bytes that mean nothing. */
function junk(byteLength: number): string {
  return encodeBase64Url(new Uint8Array(byteLength).fill(7));
}

/** Five parts under a header that asks for something dangerous; what is inside nobody gets to see. */
function jweOf(header: JsonObject): string {
  return [encodePart({ enc: "A256GCM", ...header }), junk(256), junk(12), junk(99), junk(16)].join(".");
}

/** Encrypts under a key that both sides know: OpenID Connect derives one from the client secret. */
async function encryptDirectly(plaintext: string): Promise<string> {
  const key = new Uint8Array(await crypto.subtle.digest("SHA-256", encodeUtf8(CLIENT_SECRET)));
  return await new CompactEncrypt(encodeUtf8(plaintext))
    .setProtectedHeader({ alg: "dir", enc: "A256GCM", cty: "JWT" })
    .encrypt(key);
}

/** A JWE whose plaintext grows a thousandfold when it is inflated. */
async function compressionBomb(): Promise<string> {
  const zeros = new Uint8Array(1_000_000);
  const source = ReadableStream.from(Array.from({ length: 250 }, () => zeros));
  const deflated = await new Response(source.pipeThrough(new CompressionStream("deflate-raw"))).bytes();
  const header = encodePart({ alg: "dir", enc: "A256GCM", zip: "DEF" });
  const secret = await crypto.subtle.digest("SHA-256", encodeUtf8(CLIENT_SECRET));
  const key = await crypto.subtle.importKey("raw", secret, "AES-GCM", false, ["encrypt"]);
  const iv = new Uint8Array(12);
  const sealed = await encryptBytes(key, { iv, data: deflated, additionalData: encodeUtf8(header) });
  const [ciphertext, tag] = [sealed.subarray(0, -16), sealed.subarray(-16)].map(encodeBase64Url);
  return `${header}..${encodeBase64Url(iv)}.${ciphertext}.${tag}`;
}

type Mutation = (draft: Draft, world: World) => string | Promise<string>;

const MUTATIONS: Readonly<Record<string, Mutation>> = {
  "signature as alg says": ({ token }) => token,
  "flattened JSON": ({ token }) => {
    const [header, payload, signature] = token.split(".");
    return JSON.stringify({ protected: header, payload, signature });
  },
  "space inside the signature": ({ token }) => `${token.slice(0, -20)} ${token.slice(-20)}`,
  "empty payload": async ({ header }, world) => await signParts(world, encodePart(header), ""),
  "payload is a JSON string": async ({ header, claims }, world) =>
    await signParts(world, encodePart(header), encodePart(JSON.stringify(claims))),
  "payload with BOM": async ({ header, claims }, world) =>
    await signParts(world, encodePart(header), encodeBase64Url(encodeUtf8(`\ufeff${JSON.stringify(claims)}`))),
  "header JSON nested 100000 deep": async ({ header, claims }, world) => {
    const nested = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    const text = JSON.stringify({ ...header, x: 0 }).replace('"x":0', `"x":${nested}`);
    return await signParts(world, encodeBase64Url(encodeUtf8(text)), encodePart(claims));
  },
  "RSA signature with zero bytes prepended": ({ token }) => {
    const [header, payload, signature] = token.split(".");
    return `${header}.${payload}.${encodeBase64Url(Uint8Array.of(0, 0, ...readBase64Url(signature!)!))}`;
  },
  "JWE dir/A256GCM around an alg none JWT, encrypted to our public key": async ({ claims }) =>
    await encryptDirectly(`${encodePart({ alg: "none" })}.${encodePart(claims)}.`),
  "JWE whose plaintext is bare claims": async ({ claims }) => await encryptDirectly(JSON.stringify(claims)),
  "PBES2-HS256+A128KW with p2c 2000000000": () =>
    jweOf({ alg: "PBES2-HS256+A128KW", p2s: junk(16), p2c: 2_000_000_000 }),
  "zip DEF 250 KB -> 250 MB": compressionBomb,
  "RSA1_5 key management": () => jweOf({ alg: "RSA1_5" }),
  "ECDH-ES epk off the curve": () =>
    jweOf({ alg: "ECDH-ES", epk: { kty: "EC", crv: "P-256", x: junk(32), y: junk(32) } }),
  "five segments where three are expected": ({ token }) => `${token}.${junk(99)}.${junk(16)}`,
};
