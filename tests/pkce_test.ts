import { assert, assertEquals, assertFalse, assertMatch, assertRejects } from "@std/assert";
import { challengeOf, createVerifier, isChallenge, verifyVerifier } from "../lib/pkce.ts";

// RFC 7636, appendix B; the published bytes are in tests/vectors/rfc_test.ts too.
const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

Deno.test("createVerifier() draws 43 unreserved characters from 32 random bytes, new each time", () => {
  const drawn: number[] = [];
  const random = (length: number) => {
    drawn.push(length);
    return new Uint8Array(length).fill(drawn.length);
  };
  assertEquals(createVerifier(random), "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE");
  assertEquals(createVerifier(random), "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI");
  assertEquals(drawn, [32, 32]);
  assertEquals(new Set(Array.from({ length: 100 }, () => createVerifier())).size, 100);
  assertMatch(createVerifier(), /^[A-Za-z0-9_-]{43}$/);
});

Deno.test("challengeOf() takes verifiers of 43 to 128 unreserved characters", async () => {
  for (const good of [verifier, "~".repeat(43), "a.-_~".repeat(25), "A".repeat(128)]) {
    assertMatch(await challengeOf(good), /^[A-Za-z0-9_-]{43}$/);
  }
  for (
    const bad of [
      "",
      "a".repeat(42),
      "a".repeat(129),
      `${"a".repeat(42)} `,
      `${"a".repeat(43)}\n`,
      `${"a".repeat(42)}é`,
      `${"a".repeat(42)}+`,
    ]
  ) {
    await assertRejects(() => challengeOf(bad), RangeError, "43 to 128 unreserved characters");
  }
});

Deno.test("isChallenge() knows the form of an S256 challenge", () => {
  assert(isChallenge(challenge));
  for (
    const bad of [
      "",
      challenge.slice(1),
      `${challenge}A`,
      `${challenge}=`,
      challenge.replace("-", "+"),
      ` ${challenge}`,
    ]
  ) {
    assertFalse(isChallenge(bad), bad);
  }
});

Deno.test("verifyVerifier() accepts the verifier of a challenge and nothing else", async () => {
  assert(await verifyVerifier(verifier, challenge));
  const bad: readonly (readonly [string, string])[] = [
    [verifier.replace("d", "e"), challenge],
    [verifier, challenge.replace("E", "F")],
    [verifier, `${challenge}=`],
    [verifier, challenge.toLowerCase()],
    [verifier, ""],
    ["", ""],
    // `plain`, RFC 7636, section 4.6: does not exist here.
    [verifier, verifier],
    [challenge, challenge],
    // The right digest of something that is no verifier (RFC 7636, section 4.1).
    ["short", "-bAHi131ltLqGQEMABu9AJ5lHeLFfo-341XzHrnT9zk"],
  ];
  for (const [wrongVerifier, wrongChallenge] of bad) {
    assertFalse(await verifyVerifier(wrongVerifier, wrongChallenge), `${wrongVerifier} ${wrongChallenge}`);
  }
});
