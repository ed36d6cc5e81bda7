import { assert, assertEquals, assertFalse, assertRejects, assertThrows } from "@std/assert";
import { createMemoryRecords } from "../../lib/store/memory/mod.ts";
import { createSigningKeys, type KeyWrap } from "../../lib/token_service/mod.ts";

/** Not a seal, but enough to see that it is used. */
const wrap: KeyWrap = {
  seal: (text) => Promise.resolve(`wrapped:${btoa(text)}`),
  open: (text) => Promise.resolve(text.startsWith("wrapped:") ? atob(text.slice(8)) : null),
  isCurrent: (text) => text.startsWith("wrapped:"),
};

async function verifies(key: CryptoKey, jwk: JsonWebKey): Promise<boolean> {
  const algorithm = jwk.kty === "RSA"
    ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }
    : { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const data = new TextEncoder().encode("x");
  const publicKey = await crypto.subtle.importKey("jwk", jwk, algorithm, false, ["verify"]);
  return await crypto.subtle.verify(algorithm, publicKey, await crypto.subtle.sign(algorithm, key, data), data);
}

Deno.test("keys in memory sign, are published without their private half, and cannot be taken out", async () => {
  const keys = createSigningKeys();
  const jwks = await keys.jwks();
  assertEquals(jwks.map(({ alg, use, kty }) => [alg, use, kty]), [["RS256", "sig", "RSA"], ["ES256", "sig", "EC"]]);
  for (const [i, alg] of (["RS256", "ES256"] as const).entries()) {
    const { kid, privateKey } = await keys.active(alg);
    const jwk = jwks[i]!;
    assertEquals(jwk.kid, kid);
    assertFalse(privateKey.extractable);
    assert(await verifies(privateKey, jwk));
    for (const member of ["d", "p", "q", "dp", "dq", "qi", "k"]) assertFalse(member in jwk, member);
  }
});

Deno.test("stored keys are wrapped, outlive the process, and are the same for processes that start at once", async () => {
  const records = createMemoryRecords();
  const processes = [1, 2, 3].map(() => createSigningKeys({ records, wrap }));
  const active = await Promise.all(processes.map((keys) => keys.active("ES256")));
  assertEquals(new Set(active.map(({ kid }) => kid)).size, 1);
  const later = createSigningKeys({ records, wrap });
  const { kid, privateKey } = await later.active("ES256");
  assertEquals(kid, active[0]!.kid);
  assertFalse(privateKey.extractable);
  const stored = await records.find<{ wrapped: string; publicJwk: JsonWebKey }>([
    "token_service",
    "signing_key",
    "ES256",
    kid,
  ]);
  assert(await verifies(privateKey, stored!.value.publicJwk));
  assert(stored!.value.wrapped.startsWith("wrapped:"));
  assertFalse("d" in stored!.value.publicJwk);
});

Deno.test("a wrap that does not fit is reported, and asked again the next time", async () => {
  const records = createMemoryRecords();
  await createSigningKeys({ records, wrap }).active("ES256");
  let isOpen = false;
  const keys = createSigningKeys({
    records,
    wrap: { ...wrap, open: (text) => isOpen ? wrap.open(text) : Promise.resolve(null) },
  });
  await assertRejects(() => keys.active("ES256"), TypeError, "the wrap does not fit");
  isOpen = true;
  await keys.active("ES256");
});

Deno.test("a key moves to the present wrap when it is next loaded, and stays the same key", async () => {
  const records = createMemoryRecords();
  const former = await createSigningKeys({ records, wrap }).active("ES256");
  const next: KeyWrap = {
    seal: (text) => Promise.resolve(`again:${btoa(text)}`),
    open: (text) => text.startsWith("again:") ? Promise.resolve(atob(text.slice(6))) : wrap.open(text),
    isCurrent: (text) => text.startsWith("again:"),
  };
  const openOnlyNext = {
    ...next,
    open: (text: string) => next.isCurrent(text) ? next.open(text) : Promise.resolve(null),
  };
  await assertRejects(() => createSigningKeys({ records, wrap: openOnlyNext }).active("ES256"), TypeError);
  assertEquals((await createSigningKeys({ records, wrap: next }).active("ES256")).kid, former.kid);
  assertEquals((await createSigningKeys({ records, wrap: openOnlyNext }).active("ES256")).kid, former.kid);
});

Deno.test("createSigningKeys() refuses to store private keys without a wrap", () => {
  assertThrows(() => createSigningKeys({ records: createMemoryRecords() }), TypeError, "both a store and a wrap");
  assertThrows(() => createSigningKeys({ wrap }), TypeError, "both a store and a wrap");
});
