import { assertEquals } from "@std/assert";
import { SignJWT } from "@panva/jose";
import { readIdTokenHint } from "../../lib/token_service/id_token_hint.ts";
import { createSigningKeys } from "../../lib/token_service/mod.ts";

const ISSUER = "https://id.test/";
const CLAIMS = { iss: ISSUER, sub: "user-ada", sid: "sid", aud: "spa", exp: 1 };

Deno.test("readIdTokenHint() reads ID tokens that we signed, however old, and nothing else", async () => {
  const signingKeys = createSigningKeys();
  const strangers = createSigningKeys();
  const sign = async (claims: Record<string, unknown>, typ = "JWT", keys = signingKeys) => {
    const { kid, privateKey } = await keys.active("ES256");
    return await new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid, typ }).sign(privateKey);
  };
  const read = (token: string) => readIdTokenHint({ signingKeys, issuer: ISSUER }, token);
  const good = await sign(CLAIMS);
  assertEquals(await read(good), { sub: "user-ada", sid: "sid", clientId: "spa" });
  const { sid: _, ...anonymous } = CLAIMS;
  const bad = [
    "",
    "eyJhbGciOiJub25lIn0.e30.",
    good.slice(0, -1),
    await sign(CLAIMS, "JWT", strangers),
    await sign(CLAIMS, "at+jwt"),
    await sign(CLAIMS, "logout+jwt"),
    await sign({ ...CLAIMS, iss: "https://evil.test/" }),
    await sign({ ...CLAIMS, sub: 1 }),
    await sign({ ...CLAIMS, aud: ["spa", "evil"] }),
    await sign(anonymous),
  ];
  for (const token of bad) assertEquals(await read(token), null, token);
});
