/**
 * A certificate for https in tests, made on the spot: signed by itself, so browsers have to be told to take it.
 *
 * Written in DER by hand ([RFC 5280, section 4.1](https://www.rfc-editor.org/rfc/rfc5280#section-4.1)), since Web Crypto
 * signs but does not make certificates.
 *
 * @module
 */

import { encodeUtf8 } from "../../lib/encoding.ts";

/** What `Deno.serve` takes. */
export interface Certificate {
  /** The certificate as PEM. */
  readonly cert: string;
  /** Its private key as PEM. */
  readonly key: string;
}

const SEQUENCE = 0x30;
const SET = 0x31;
const ECDSA_WITH_SHA256 = der(SEQUENCE, Uint8Array.of(0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
const COMMON_NAME = Uint8Array.of(0x06, 0x03, 0x55, 0x04, 0x03);
const SUBJECT_ALT_NAME = Uint8Array.of(0x06, 0x03, 0x55, 0x1d, 0x11);

/** Makes a certificate for hosts, valid from a day ago for a month. */
export async function createCertificate(hosts: readonly string[], now = Date.now()): Promise<Certificate> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as CryptoKeyPair;
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
  const privateKey = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const name = der(SEQUENCE, der(SET, der(SEQUENCE, COMMON_NAME, der(0x0c, encodeUtf8("Cloakroom tests")))));
  const names = der(SEQUENCE, ...hosts.map((host) => der(0x82, encodeUtf8(host))));
  const body = der(
    SEQUENCE,
    der(0xa0, integer(Uint8Array.of(2))), // version 3
    integer(crypto.getRandomValues(new Uint8Array(8))),
    ECDSA_WITH_SHA256,
    name,
    der(SEQUENCE, time(now - 86_400_000), time(now + 30 * 86_400_000)),
    name,
    publicKey,
    der(0xa3, der(SEQUENCE, der(SEQUENCE, SUBJECT_ALT_NAME, der(0x04, names)))),
  );
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, body);
  const [r, s] = [signature.slice(0, 32), signature.slice(32)].map((half) => integer(new Uint8Array(half)));
  const whole = der(SEQUENCE, body, ECDSA_WITH_SHA256, der(0x03, Uint8Array.of(0), der(SEQUENCE, r!, s!)));
  return { cert: pem("CERTIFICATE", whole), key: pem("PRIVATE KEY", privateKey) };
}

/** A tag, the length, and the parts. */
function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = length.toString(16).padStart(length < 0x100 ? 2 : 4, "0");
  const head = length < 0x80 ? [length] : [0x80 | (bytes.length / 2), ...Uint8Array.fromHex(bytes)];
  return Uint8Array.of(tag, ...head, ...parts.flatMap((part) => [...part]));
}

/** A number that is not negative: without leading zeros, but with one where the first bit would make it negative. */
function integer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = bytes.subarray(start < 0 ? bytes.length - 1 : start);
  return der(0x02, digits[0]! >= 0x80 ? Uint8Array.of(0, ...digits) : digits);
}

function time(milliseconds: number): Uint8Array<ArrayBuffer> {
  const text = new Date(milliseconds).toISOString().replace(/[-:T]|\.\d+/g, "").slice(2);
  return der(0x17, encodeUtf8(text));
}

function pem(label: string, bytes: Uint8Array): string {
  const lines = bytes.toBase64().replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
