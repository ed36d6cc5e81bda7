import { assert, assertEquals, assertRejects } from "@std/assert";
import type { UserRegistration } from "../../lib/token_service/mod.ts";
import { createKit } from "./kit.ts";

const GOOD: UserRegistration = { email: "Bo@Example.com ", name: "Bo", password: "open sesame" };

Deno.test("users.create() finds the user again under any spelling of the address, without the password", async () => {
  const { service, records } = await createKit();
  const user = await service.users.create(GOOD);
  assertEquals(user.email, "bo@example.com");
  assertEquals(await service.users.findByEmail(" BO@example.COM"), user);
  assertEquals(await service.users.find(user.sub), user);
  assertEquals("passwordHash" in user, false);
  const stored = await records.find<{ passwordHash: string }>(["token_service", "user", user.sub]);
  assert(stored!.value.passwordHash.startsWith("pbkdf2-sha256$1$"));
  assertEquals([await service.users.find("nobody"), await service.users.findByEmail("nobody@example.com")], [
    null,
    null,
  ]);
});

Deno.test("users.create() takes a hash that was made before", async () => {
  const { service } = await createKit();
  const passwordHash = "pbkdf2-sha256$1$AAECAwQFBgcICQoLDA0ODw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  await service.users.create({ email: "bo@example.com", name: "Bo", passwordHash });
  assertEquals(
    (await service.signIn({ email: "bo@example.com", password: "x", clientAddress: "::1" })).kind,
    "refused",
  );
});

Deno.test("users.create() refuses what is not sound", async () => {
  const { service } = await createKit();
  const rows: readonly (readonly [string, Partial<UserRegistration>])[] = [
    ["its e-mail address is not one", { email: "ada" }],
    ["its e-mail address is not one", { email: "a b@example.com" }],
    ["its sub has other", { sub: "a b" }],
    ["its sub has other", { sub: "a".repeat(256) }],
    ["its e-mail address or sub is taken", { email: "ADA@example.com" }],
    ["its e-mail address or sub is taken", { sub: "user-ada" }],
    ["its e-mail address or sub is taken", { sub: "spa" }],
  ];
  for (const [state, changes] of rows) {
    await assertRejects(() => service.users.create({ ...GOOD, ...changes }), TypeError, `Cannot create user: ${state}`);
  }
  const { password: _, ...without } = GOOD;
  await assertRejects(() => service.users.create(without), TypeError, "neither password nor hash");
  await assertRejects(() => service.users.create({ ...without, passwordHash: "plain" }), TypeError, "as password hash");
});
