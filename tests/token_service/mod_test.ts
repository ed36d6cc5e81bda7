import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { createMemoryRecords } from "../../lib/store/memory/mod.ts";
import { createTokenService } from "../../lib/token_service/mod.ts";
import { API, createKit, readJwt, userinfoStatus, Visitor } from "./kit.ts";

Deno.test("createTokenService() refuses an issuer that cannot be one", () => {
  for (
    const issuer of ["", "id.test", "ftp://id.test/", "https://id.test/?a=1", "https://id.test/#", "https://u@id.test/"]
  ) {
    assertThrows(() => createTokenService({ issuer, records: createMemoryRecords() }), TypeError, "as issuer");
  }
});

Deno.test("createTokenService() reads, writes and makes nothing until it is asked", async () => {
  const refuse = () => Promise.reject(new Error("touched"));
  const keys = { active: refuse, jwks: refuse };
  const records = { find: refuse, list: refuse, commit: refuse };
  const service = createTokenService({ issuer: "https://id.test/", records, signingKeys: keys });
  assertEquals(service.metadata().issuer, "https://id.test/");
  await assertRejects(() => service.warm(), Error, "touched");
});

Deno.test("issueAccessToken() makes tokens that the service itself and APIs accept", async () => {
  const kit = await createKit();
  const opaque = await kit.service.issueAccessToken({ clientId: "spa", sub: "user-ada", scopes: ["openid"] });
  assertMatch(opaque, /^oat_[A-Za-z0-9_-]{43}$/);
  assertEquals(await userinfoStatus(kit, opaque), 200);
  const jwt = await kit.service.issueAccessToken({ clientId: "machine", audience: API, lifeSeconds: 5 });
  const { iat, exp, sub, aud, vendor_id } = readJwt(jwt).claims;
  assertEquals([sub, aud, vendor_id, (exp as number) - (iat as number)], ["machine", API, "acme", 5]);
  await assertRejects(() => kit.service.issueAccessToken({ clientId: "nobody" }), TypeError, "no client");
});

Deno.test("revokeAllForUser() ends sessions, codes and tokens of that user and of nobody else", async () => {
  const kit = await createKit();
  const [ada, bo] = [new Visitor(kit), new Visitor(kit)];
  const tokens = await ada.tokens();
  const others = await bo.tokens({}, "mallory@example.com");
  await kit.service.revokeAllForUser("user-ada");
  assertEquals(await userinfoStatus(kit, tokens.access_token), 401);
  assertEquals(await userinfoStatus(kit, others.access_token), 200);
  assertEquals(await kit.service.sessions.find(ada.cookies.get("__Host-sso")!), null);
});
