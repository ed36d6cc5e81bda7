import { assertEquals } from "@std/assert";
import { createKit } from "./kit.ts";

Deno.test("signIn() does the same work for an unknown address as for a wrong password", async () => {
  const { service } = await createKit({ passwordRounds: 3 });
  await service.users.create({ email: "bo@example.com", name: "Bo", password: "open sesame" });
  const rounds: number[] = [];
  const derive = crypto.subtle.deriveBits;
  crypto.subtle.deriveBits = function (...call: Parameters<SubtleCrypto["deriveBits"]>) {
    rounds.push((call[0] as Pbkdf2Params).iterations);
    return derive.apply(this, call);
  };
  try {
    for (const email of ["bo@example.com", "nobody@example.com", "not an address", ""]) {
      assertEquals(await service.signIn({ email, password: "wrong", clientAddress: "::1" }), { kind: "refused" });
    }
  } finally {
    crypto.subtle.deriveBits = derive;
  }
  assertEquals(rounds, [3, 3, 3, 3]);
});
