import { assert, assertEquals, assertLess } from "@std/assert";
import { encodeBase64Url, encodeUtf8 } from "../../lib/encoding.ts";
import { signatureAlgorithms } from "../../lib/jwt/algorithms.ts";
import { readCompact } from "../../lib/jwt/compact.ts";

const header = encode('{"alg":"ES256","kid":"k1","typ":"application/at+JWT"}');
const payload = encode('{"sub":"ada"}');
const good = `${header}.${payload}.AAAA`;

Deno.test("readCompact() takes a token apart", () => {
  const reading = readCompact(good, signatureAlgorithms);
  assert(reading.kind === "read");
  assertEquals(reading.token, {
    header: { alg: "ES256", kid: "k1", typ: "application/at+JWT" },
    alg: "ES256",
    kid: "k1",
    typ: "at+jwt",
    payload: encodeUtf8('{"sub":"ada"}'),
    signature: new Uint8Array(3),
    signed: encodeUtf8(`${header}.${payload}`),
  });
});

Deno.test("readCompact() gives null for an absent kid and typ", () => {
  const reading = readCompact(`${encode('{"alg":"RS256"}')}.e30.AAAA`, signatureAlgorithms);
  assert(reading.kind === "read");
  assertEquals([reading.token.kid, reading.token.typ], [null, null]);
});

Deno.test("readCompact() ignores keys and addresses in the header", () => {
  const members = {
    alg: "ES256",
    jwk: { kty: "EC" },
    jku: "https://evil.test",
    x5u: "https://evil.test",
    x5c: ["AAAA"],
  };
  const reading = readCompact(`${encode(JSON.stringify(members))}.e30.AAAA`, signatureAlgorithms);
  assertEquals(reading.kind, "read");
});

Deno.test("readCompact() refuses text that is not canonical compact serialization", async (t) => {
  const cases: Readonly<Record<string, string>> = {
    "nothing": "",
    "one dot": ".",
    "two dots": "..",
    "word": "opaque-token",
    "two parts": `${header}.${payload}`,
    "four parts": `${good}.AAAA`,
    "five parts": `${header}.${payload}.AAAA.AAAA.AAAA`,
    "dot behind": `${good}.`,
    "dot in front": `.${good}`,
    "no signature": `${header}.${payload}.`,
    "no header": `.${payload}.AAAA`,
    "space in front": ` ${good}`,
    "space behind": `${good} `,
    "newline behind": `${good}\n`,
    "space in the signature": `${header}.${payload}.AA AA`,
    "newline in the payload": `${header}.${payload.slice(0, 4)}\n${payload.slice(4)}.AAAA`,
    "tab in the header": `${header.slice(0, 4)}\t${header.slice(4)}.${payload}.AAAA`,
    "padding behind the payload": `${header}.${payload}=.AAAA`,
    "padding behind the signature": `${good.slice(0, -1)}=`,
    "standard alphabet": `${header}.${payload}.++//`,
    "stray bits": `${header}.${payload}.AAB`,
    "BOM in front": `\ufeff${good}`,
    "JSON serialization": JSON.stringify({ protected: header, payload, signature: "AAAA" }),
    "general JSON serialization": JSON.stringify({ payload, signatures: [{ protected: header, signature: "AAAA" }] }),
    "header is no JSON": `${encode("alg=ES256")}.${payload}.AAAA`,
    "header is an array": `${encode("[]")}.${payload}.AAAA`,
    "header is null": `${encode("null")}.${payload}.AAAA`,
    "header is a string": `${encode('"ES256"')}.${payload}.AAAA`,
    "header with BOM": `${encode('\ufeff{"alg":"ES256"}')}.${payload}.AAAA`,
    "header is not UTF-8": `${
      encodeBase64Url(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d))
    }.${payload}.AAAA`,
    "header with alg twice": `${encode('{"alg":"none","alg":"ES256"}')}.${payload}.AAAA`,
    "header with kid twice": `${encode('{"alg":"ES256","kid":"a","kid":"b"}')}.${payload}.AAAA`,
    "header with something behind": `${encode('{"alg":"ES256"}{}')}.${payload}.AAAA`,
    "kid of 10 KB": `${encode(JSON.stringify({ alg: "ES256", kid: "k".repeat(10_240) }))}.${payload}.AAAA`,
    "header nested 100,000 deep": `${
      encode(`{"alg":"ES256","x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`)
    }.e30.AAAA`,
    "16,385 characters": `${header}.${"A".repeat(16_384 - header.length - 5)}.AAAA`,
    "2 MB": `${header}.${"A".repeat(2_000_000)}.AAAA`,
    "a million dots": ".".repeat(1_000_000),
  };
  for (const [what, text] of Object.entries(cases)) {
    await t.step(what, () => {
      assertEquals(readCompact(text, signatureAlgorithms), { kind: "refused", reason: "malformed" });
    });
  }
});

Deno.test("readCompact() takes a token of 16,384 characters", () => {
  const text = `${header}.${"A".repeat(16_384 - header.length - 6)}.AAAA`;
  assertEquals(text.length, 16_384);
  assertEquals(readCompact(text, signatureAlgorithms).kind, "read");
});

Deno.test("readCompact() takes a header of 2,048 characters, and no longer one", () => {
  // 1,536 bytes are 2,048 characters; one byte more makes them 2,050.
  for (const [bytes, kind] of [[1536, "read"], [1537, "refused"]] as const) {
    const text = `${encode('{"alg":"ES256"}'.padEnd(bytes))}.${payload}.AAAA`;
    assertEquals(readCompact(text, signatureAlgorithms).kind, kind);
  }
});

Deno.test("readCompact() refuses algorithms that do not exist here, in any spelling", async (t) => {
  const algorithms = [
    ...["none", "None", "NONE", "nOnE", "", " ", "HS256", "HS384", "HS512", "RS1", "ES256K", "Ed448", "RSA1_5", "dir"],
    ...["rs256", "RS256 ", " RS256", "RS256\u0000", "RS-256", "RSA256", "PBES2-HS256+A128KW", "A256GCM"],
    ...["__proto__", "constructor", "toString", "hasOwnProperty"],
    ...[undefined, null, 256, true, ["RS256"], { name: "RS256" }],
  ];
  for (const alg of algorithms) {
    await t.step(JSON.stringify(alg) ?? "absent", () => {
      const text = `${encode(JSON.stringify({ alg, kid: "k1" }))}.${payload}.AAAA`;
      assertEquals(readCompact(text, signatureAlgorithms), { kind: "refused", reason: "algorithm" });
      // Not even a caller can allow one.
      assertEquals(readCompact(text, [`${alg}`]), { kind: "refused", reason: "algorithm" });
    });
  }
});

Deno.test("readCompact() refuses algorithms that the caller does not allow", () => {
  for (const alg of signatureAlgorithms) {
    const text = `${encode(JSON.stringify({ alg }))}.${payload}.AAAA`;
    assertEquals(readCompact(text, [alg]).kind, "read");
    const others = signatureAlgorithms.filter((other) => other !== alg);
    assertEquals(readCompact(text, others), { kind: "refused", reason: "algorithm" });
    assertEquals(readCompact(text, []), { kind: "refused", reason: "algorithm" });
  }
});

Deno.test("readCompact() refuses headers that ask for something, or have wrong types", async (t) => {
  const cases: Readonly<Record<string, object>> = {
    "unknown critical extension": { crit: ["x"], x: 1 },
    "critical extension that is not there": { crit: ["x"] },
    "empty crit": { crit: [] },
    "crit naming a registered member": { crit: ["alg"] },
    "crit of null": { crit: null },
    "crit naming b64": { crit: ["b64"], b64: false },
    "b64 without crit": { b64: false },
    "b64 true": { b64: true },
    "number as kid": { kid: 1 },
    "null as kid": { kid: null },
    "object as kid": { kid: { x: 1 } },
    "array as kid": { kid: ["k1"] },
    "number as typ": { typ: 1 },
    "null as typ": { typ: null },
    "array as typ": { typ: ["JWT"] },
  };
  for (const [what, members] of Object.entries(cases)) {
    await t.step(what, () => {
      const text = `${encode(JSON.stringify({ alg: "ES256", kid: "k1", ...members }))}.${payload}.AAAA`;
      assertEquals(readCompact(text, signatureAlgorithms), { kind: "refused", reason: "header" });
    });
  }
});

Deno.test("readCompact() does not work hard for text that is refused", () => {
  const costly = [".".repeat(2_000_000), `${header}.${"A".repeat(2_000_000)}.AAAA`, "[".repeat(2_000_000)];
  const start = performance.now();
  for (let i = 0; i < 1000; i++) for (const text of costly) readCompact(text, signatureAlgorithms);
  assertLess(performance.now() - start, 200);
});

function encode(text: string): string {
  return encodeBase64Url(encodeUtf8(text));
}
