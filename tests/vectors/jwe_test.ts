import { assertEquals, assertRejects } from "@std/assert";
import { type JsonObject, readBase64Url } from "../../lib/encoding.ts";
import { decryptBytes, encryptBytes } from "../../lib/seal/aes_gcm.ts";
import { importSealKey, KEY_BYTES, open } from "../../lib/seal/mod.ts";
import { readWycheproof } from "./vectors.ts";

interface AeadGroup {
  /** Bits. */
  readonly ivSize: number;
  readonly keySize: number;
  readonly tagSize: number;
}

interface AeadTest {
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
}

Deno.test("Wycheproof aes_gcm: 256-bit keys with 96-bit IVs seal and open as published, nothing else does", async () => {
  const counts = { opened: 0, refused: 0, otherIv: 0, otherKey: 0 };
  for (const { keySize, ivSize, tagSize, tests } of readWycheproof<AeadGroup, AeadTest>("aes_gcm").testGroups) {
    assertEquals(tagSize, 128);
    for (const { tcId, key, iv, aad, msg, ct, tag, result } of tests) {
      const bytes = Uint8Array.fromHex(key);
      if (keySize !== KEY_BYTES * 8) {
        // Valid or not: keys of 128 and 192 bits do not exist here.
        await assertRejects(() => importSealKey("acme.k1", bytes), RangeError);
        counts.otherKey++;
        continue;
      }
      const sealKey = (await importSealKey("acme.k1", bytes)).key;
      const input = { iv: Uint8Array.fromHex(iv), additionalData: Uint8Array.fromHex(aad) };
      const opened = await decryptBytes(sealKey, { ...input, data: Uint8Array.fromHex(ct + tag) });
      if (result === "valid" && ivSize === 96) {
        assertEquals(opened?.toHex(), msg, `${tcId}`);
        const sealed = await encryptBytes(sealKey, { ...input, data: Uint8Array.fromHex(msg) });
        assertEquals(sealed.toHex(), ct + tag, `${tcId}`);
        counts.opened++;
      } else {
        // Valid cases among them: IVs of another length than 96 bits do not exist here.
        assertEquals(opened, null, `${tcId}`);
        counts[result === "valid" ? "otherIv" : "refused"]++;
      }
    }
  }
  assertEquals(counts, { opened: 39, refused: 29, otherIv: 37, otherKey: 211 });
});

interface JweGroup {
  readonly private: JsonObject;
}

interface JweTest {
  /** Compact serialization, or an object in JSON serialization. */
  readonly jwe?: unknown;
}

for (const [name, cases] of [["json_web_encryption", 139], ["json_web_crypto", 34]] as const) {
  // Valid cases too are refused on purpose: `open` takes only headers that we write ourselves, with `dir` and `A256GCM`,
  // and every key management algorithm in these files (AES key wrap, ECDH-ES, RSA-OAEP, PBES2) is another one.
  Deno.test(`Wycheproof ${name}: open() opens none of these JWEs, not even with their own key`, async () => {
    let seen = 0;
    for (const group of readWycheproof<JweGroup, JweTest>(name).testGroups) {
      const own = readBase64Url(String(group.private.k ?? ""));
      const bytes = own?.length === KEY_BYTES ? own : new Uint8Array(KEY_BYTES);
      const { key } = await importSealKey("acme.k1", bytes);
      for (const { tcId, jwe } of group.tests) {
        if (jwe === undefined) continue; // a JWS
        const text = typeof jwe === "string" ? jwe : JSON.stringify(jwe);
        assertEquals(await open(text, { purpose: "at", findKey: () => key }), null, `${tcId}`);
        seen++;
      }
    }
    assertEquals(seen, cases);
  });
}
