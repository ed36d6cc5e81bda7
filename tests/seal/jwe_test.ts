import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { compactDecrypt, CompactEncrypt } from "@panva/jose";
import { encodeBase64Url, encodeUtf8 } from "../../lib/encoding.ts";
import { importSealKey, KEY_BYTES, open, type OpenOptions, readSealHeader, seal } from "../../lib/seal/mod.ts";

const KID = "acme.k1";
const BYTES = Uint8Array.from({ length: KEY_BYTES }, (_, i) => i);
const PLAINTEXT = '{"access_token":"an opaque token","sid":"🍪"}';
const HEADER = `{"alg":"dir","enc":"A256GCM","kid":"${KID}","typ":"at"}`;

const key = await importSealKey(KID, BYTES);
const findKey: OpenOptions["findKey"] = (kid) => kid === KID ? key.key : null;
const sealed = await seal(PLAINTEXT, { key, purpose: "at" });
const [HEAD, , IV, CIPHERTEXT, TAG] = sealed.split(".") as [string, string, string, string, string];

function encode(text: string): string {
  return encodeBase64Url(encodeUtf8(text));
}

/** Encrypts under any header at all, so that nothing but the header can be the reason of a refusal. */
async function sealUnder(header: string, plaintext: string | Uint8Array<ArrayBuffer> = PLAINTEXT): Promise<string> {
  const segment = encode(header);
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const algorithm = { name: "AES-GCM", iv, additionalData: encodeUtf8(segment) };
  const data = typeof plaintext === "string" ? encodeUtf8(plaintext) : plaintext;
  const bytes = new Uint8Array(await crypto.subtle.encrypt(algorithm, key.key, data));
  const parts = [iv, bytes.subarray(0, -16), bytes.subarray(-16)].map(encodeBase64Url);
  return [segment, "", ...parts].join(".");
}

Deno.test("open() gives back what seal() was given", async () => {
  for (const plaintext of [PLAINTEXT, "", "\u0000", "\ufeffbyte order mark", "ünicode 🍪", "x".repeat(100_000)]) {
    assertEquals(await open(await seal(plaintext, { key, purpose: "at" }), { purpose: "at", findKey }), plaintext);
  }
});

Deno.test("seal() writes the header of the contract and nothing else", () => {
  assertEquals(HEAD, encode(HEADER));
  assertMatch(sealed, /^[\w-]+\.\.[\w-]{16}\.[\w-]+\.[\w-]{22}$/);
  assertEquals(readSealHeader(sealed), { kid: KID, purpose: "at" });
});

Deno.test("seal() never uses an IV twice", async () => {
  const texts = await Promise.all(Array.from({ length: 200 }, () => seal(PLAINTEXT, { key, purpose: "at" })));
  assertEquals(new Set(texts.map((text) => text.split(".")[2])).size, 200);
  assertEquals(new Set(texts.map((text) => text.split(".")[3])).size, 200);
});

Deno.test("seal() takes its IV from the given randomness: 96 bits", async () => {
  const asked: number[] = [];
  const text = await seal(PLAINTEXT, {
    key,
    purpose: "at",
    random(byteLength) {
      asked.push(byteLength);
      return new Uint8Array(byteLength).fill(7);
    },
  });
  assertEquals(asked, [12]);
  assertEquals(text.split(".")[2], encodeBase64Url(new Uint8Array(12).fill(7)));
});

Deno.test("open() refuses a value of which any bit of any part was flipped", async () => {
  const parts = sealed.split(".");
  let flipped = 0;
  for (const [place, part] of parts.entries()) {
    const bytes = Uint8Array.fromBase64(part, { alphabet: "base64url" });
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const spoilt = bytes.slice();
      spoilt[bit >> 3]! ^= 1 << (bit & 7);
      const text = parts.with(place, encodeBase64Url(spoilt)).join(".");
      assertEquals(await open(text, { purpose: "at", findKey: () => key.key }), null, `part ${place}, bit ${bit}`);
      flipped++;
    }
  }
  assert(flipped > 1000);
});

Deno.test("open() refuses every other form of a good value", async (t) => {
  const [otherIv, , , otherTag] = (await seal(PLAINTEXT, { key, purpose: "at" })).split(".").slice(2);
  const rest = `${IV}.${CIPHERTEXT}.${TAG}`;
  const rows: Readonly<Record<string, string>> = {
    "nothing": "",
    "dots alone": "....",
    "four parts": `${HEAD}..${IV}.${CIPHERTEXT}`,
    "six parts": `${sealed}.`,
    "seven parts": `${sealed}..`,
    "100,000 dots": ".".repeat(100_000),
    "an encrypted key": `${HEAD}.AAAA.${rest}`,
    "an encrypted key of a space": `${HEAD}. .${rest}`,
    "a space in front": ` ${sealed}`,
    "a line feed behind": `${sealed}\n`,
    "a tab inside": `${HEAD}..${IV}.${CIPHERTEXT}.\t${TAG}`,
    "quotes around": `"${sealed}"`,
    "escaped": encodeURIComponent(`${sealed}=`),
    "padded header": `${HEAD}=..${rest}`,
    "padded IV": `${HEAD}..${IV}=.${CIPHERTEXT}.${TAG}`,
    "padded tag": `${sealed}==`,
    "no IV": `${HEAD}...${CIPHERTEXT}.${TAG}`,
    "no ciphertext": `${HEAD}..${IV}..${TAG}`,
    "no tag": `${HEAD}..${IV}.${CIPHERTEXT}.`,
    "short IV": `${HEAD}..${encodeBase64Url(new Uint8Array(11))}.${CIPHERTEXT}.${TAG}`,
    "long IV": `${HEAD}..${IV}AAAA.${CIPHERTEXT}.${TAG}`,
    "128-bit IV": `${HEAD}..${encodeBase64Url(new Uint8Array(16))}.${CIPHERTEXT}.${TAG}`,
    "another value's IV": `${HEAD}..${otherIv}.${CIPHERTEXT}.${TAG}`,
    "another value's tag": `${HEAD}..${IV}.${CIPHERTEXT}.${otherTag}`,
    "tag cut to 96 bits": `${HEAD}..${IV}.${CIPHERTEXT}.${TAG.slice(0, 16)}`,
    "tag moved into the ciphertext": `${HEAD}..${IV}.${CIPHERTEXT}${TAG}.`,
    "first character of the tag in the ciphertext": `${HEAD}..${IV}.${CIPHERTEXT}${TAG.slice(0, 4)}.${TAG.slice(4)}`,
    "standard alphabet": sealed.replaceAll("-", "+").replaceAll("_", "/") === sealed
      ? `${sealed.slice(0, -1)}+`
      : sealed.replaceAll("-", "+").replaceAll("_", "/"),
    "JSON serialization": JSON.stringify({ protected: HEAD, iv: IV, ciphertext: CIPHERTEXT, tag: TAG }),
    "letters beyond ASCII": sealed.replace(HEAD[0]!, "\uff45"),
  };
  assertEquals(await open(sealed, { purpose: "at", findKey }), PLAINTEXT);
  for (const [what, text] of Object.entries(rows)) {
    await t.step(what, async () => {
      assertNotEquals(text, sealed);
      assertEquals(await open(text, { purpose: "at", findKey }), null);
    });
  }
});

Deno.test("open() refuses stray bits in the last character of a part", async () => {
  const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  // 16 bytes leave four stray bits, so 15 other last characters decode to the same tag.
  const last = ALPHABET.indexOf(TAG.at(-1)!);
  for (let stray = 1; stray < 16; stray++) {
    const spelled = TAG.slice(0, -1) + ALPHABET[last + stray];
    assertEquals(await open(`${HEAD}..${IV}.${CIPHERTEXT}.${spelled}`, { purpose: "at", findKey }), null, spelled);
  }
});

Deno.test("open() takes only header texts that seal() writes", async (t) => {
  const members = { alg: "dir", enc: "A256GCM", kid: KID, typ: "at" };
  const rows: Readonly<Record<string, string>> = {
    "other order": `{"enc":"A256GCM","alg":"dir","kid":"${KID}","typ":"at"}`,
    "white space": `{"alg": "dir","enc":"A256GCM","kid":"${KID}","typ":"at"}`,
    "a line feed at the end": `${HEADER}\n`,
    "an escape": HEADER.replace("dir", "d\\u0069r"),
    "a member more": JSON.stringify({ ...members, x: 1 }),
    "a member twice": HEADER.replace("}", ',"typ":"at"}'),
    "critical member": JSON.stringify({ ...members, crit: ["x"], x: 1 }),
    "compression": JSON.stringify({ ...members, zip: "DEF" }),
    "content type": JSON.stringify({ ...members, cty: "JWT" }),
    "other encryption": JSON.stringify({ ...members, enc: "A128GCM" }),
    "CBC": JSON.stringify({ ...members, enc: "A256CBC-HS512" }),
    "other algorithm": JSON.stringify({ ...members, alg: "A256GCMKW" }),
    "password": JSON.stringify({ ...members, alg: "PBES2-HS256+A128KW", p2c: 1e9, p2s: "x" }),
    "no algorithm": JSON.stringify({ enc: "A256GCM", kid: KID, typ: "at" }),
    "lower case": HEADER.toLowerCase(),
    "no key id": JSON.stringify({ alg: "dir", enc: "A256GCM", typ: "at" }),
    "key id of a number": JSON.stringify({ ...members, kid: 1 }),
    "key id without a vendor": JSON.stringify({ ...members, kid: ".k1" }),
    "key id without a dot": JSON.stringify({ ...members, kid: "acme" }),
    "key id in capitals": JSON.stringify({ ...members, kid: "ACME.k1" }),
    "key id with a path": JSON.stringify({ ...members, kid: "../acme.k1" }),
    "key id that is too long": JSON.stringify({ ...members, kid: `acme.${"k".repeat(33)}` }),
    "vendor that is too long": JSON.stringify({ ...members, kid: `${"a".repeat(65)}.k1` }),
    "key id with a line feed": JSON.stringify({ ...members, kid: "acme.k1\n" }),
    "__proto__": `{"__proto__":{"alg":"dir"},"enc":"A256GCM","kid":"${KID}","typ":"at"}`,
    "no purpose": JSON.stringify({ alg: "dir", enc: "A256GCM", kid: KID }),
    "purpose of a list": JSON.stringify({ ...members, typ: ["at"] }),
    "purpose in capitals": JSON.stringify({ ...members, typ: "AT" }),
    "purpose of JOSE": JSON.stringify({ ...members, typ: "JWT" }),
    "a list": `[${HEADER}]`,
    "a text": '"x"',
    "null": "null",
    "no JSON": "alg=dir",
    "nothing": "",
    "byte order mark": `\ufeff${HEADER}`,
    "very long": JSON.stringify({ ...members, x: "x".repeat(1000) }),
  };
  assertEquals(await open(await sealUnder(HEADER), { purpose: "at", findKey }), PLAINTEXT);
  for (const [what, header] of Object.entries(rows)) {
    await t.step(what, async () => {
      const text = await sealUnder(header);
      assertEquals(await open(text, { purpose: "at", findKey: () => key.key }), null);
      assertEquals(readSealHeader(text), null);
    });
  }
});

Deno.test("open() answers null for a plaintext that is not UTF-8", async () => {
  const text = await sealUnder(HEADER, Uint8Array.of(0xff, 0xfe, 0x7b));
  assertEquals(await open(text, { purpose: "at", findKey }), null);
});

Deno.test("open() answers null under every other purpose, without looking for a key", async () => {
  let isAsked = false;
  const findIt: OpenOptions["findKey"] = () => {
    isAsked = true;
    return key.key;
  };
  for (const purpose of ["rt", "tx", "session", "logout", "a", "att", "AT", "", "at "]) {
    assertEquals(await open(sealed, { purpose, findKey: findIt }), null, purpose);
  }
  assert(!isAsked);
});

Deno.test("open() answers null without the key, and with another key of the same id", async () => {
  const other = await importSealKey(KID, BYTES.toReversed());
  assertEquals(await open(sealed, { purpose: "at", findKey: () => null }), null);
  assertEquals(await open(sealed, { purpose: "at", findKey: () => Promise.resolve(null) }), null);
  assertEquals(await open(sealed, { purpose: "at", findKey: () => other.key }), null);
});

Deno.test("open() hands on what went wrong while the key was looked for", async () => {
  const findIt = () => Promise.reject(new Error("the store is away"));
  await assertRejects(() => open(sealed, { purpose: "at", findKey: findIt }), Error, "the store is away");
});

Deno.test("readSealHeader() trusts nobody: it only reads", () => {
  assertEquals(readSealHeader(`${HEAD}.anything at all`), { kid: KID, purpose: "at" });
  for (const text of ["", HEAD, ".", `.${HEAD}.`, `${HEAD}=.`, "a".repeat(100_000), `${"A".repeat(257)}.`]) {
    assertEquals(readSealHeader(text), null, text.slice(0, 40));
  }
});

Deno.test("importSealKey() says what is wrong with a key", async () => {
  const rows: readonly (readonly [kid: string, bytes: number, message: string])[] = [
    ["acme.k1", 0, 'Cannot import key "acme.k1": expected 32 bytes, got 0'],
    ["acme.k1", 16, 'Cannot import key "acme.k1": expected 32 bytes, got 16'],
    ["acme.k1", 33, 'Cannot import key "acme.k1": expected 32 bytes, got 33'],
    ["acme", 32, "Cannot import a sealing key: expected an id of the form <vendorId>.<keyId>"],
    ["", 32, "Cannot import a sealing key: expected an id of the form <vendorId>.<keyId>"],
    ["acme.k 1", 32, "Cannot import a sealing key: expected an id of the form <vendorId>.<keyId>"],
  ];
  for (const [kid, bytes, message] of rows) {
    const error = await assertRejects(() => importSealKey(kid, new Uint8Array(bytes)), RangeError);
    assertEquals(error.message, message);
  }
});

Deno.test("importSealKey() gives a key that cannot be taken out again", async () => {
  assert(!key.key.extractable);
  await assertRejects(() => crypto.subtle.exportKey("raw", key.key));
});

Deno.test("seal() refuses a purpose that open() would refuse", async () => {
  for (const purpose of ["", "AT", "at+jwt", "a b", "x".repeat(33), "ä"]) {
    await assertRejects(() => seal("x", { key, purpose }), RangeError, "Cannot seal: expected a purpose of a-z and _");
  }
});

Deno.test("jose opens what seal() writes", async () => {
  const { plaintext, protectedHeader } = await compactDecrypt(sealed, BYTES);
  assertEquals(new TextDecoder().decode(plaintext), PLAINTEXT);
  assertEquals({ ...protectedHeader }, { alg: "dir", enc: "A256GCM", kid: KID, typ: "at" });
});

Deno.test("open() opens what jose writes with the header of the contract", async () => {
  const text = await new CompactEncrypt(encodeUtf8(PLAINTEXT))
    .setProtectedHeader({ alg: "dir", enc: "A256GCM", kid: KID, typ: "at" })
    .encrypt(BYTES);
  assertEquals(await open(text, { purpose: "at", findKey }), PLAINTEXT);
  const another = await new CompactEncrypt(encodeUtf8(PLAINTEXT))
    .setProtectedHeader({ alg: "dir", enc: "A256GCM", typ: "at", kid: KID })
    .encrypt(BYTES);
  assertEquals(await open(another, { purpose: "at", findKey }), null);
});
