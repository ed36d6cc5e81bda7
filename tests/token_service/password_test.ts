import { assert, assertEquals, assertFalse, assertNotEquals } from "@std/assert";
import { createPasswordHash, isPasswordHash, verifyPassword } from "../../lib/token_service/mod.ts";

// Python: hashlib.pbkdf2_hmac("sha256", b"open sesame", bytes(range(16)), 1000)
const FOREIGN = "pbkdf2-sha256$1000$AAECAwQFBgcICQoLDA0ODw$BMM-2dChHJ08jvZzI01cu-RhUTAJqDHgYJFfx3n7t5s";

Deno.test("verifyPassword() accepts a hash that another implementation made", async () => {
  assert(await verifyPassword("open sesame", FOREIGN));
  assertFalse(await verifyPassword("open Sesame", FOREIGN));
});

Deno.test("createPasswordHash() salts: the same password gives another hash each time", async () => {
  const [a, b] = await Promise.all([1, 2].map(() => createPasswordHash("x", { rounds: 1 })));
  assertNotEquals(a, b);
  assert(await verifyPassword("x", a!) && await verifyPassword("x", b!));
});

Deno.test("verifyPassword() takes composed and decomposed letters for the same", async () => {
  assert(await verifyPassword("caf\u0065\u0301", await createPasswordHash("caf\u00e9", { rounds: 1 })));
});

Deno.test("verifyPassword() refuses every text that is not a hash of ours", async () => {
  const good = await createPasswordHash("x", { rounds: 1 });
  const parts = good.split("$");
  const bad = [
    "",
    "x",
    good.replace("sha256", "sha1"),
    good.replace("$1$", "$0$"),
    good.replace("$1$", "$-1$"),
    good.replace("$1$", "$100000000$"),
    `${good}A`,
    good.slice(0, -1),
    [...parts.slice(0, 2), parts[2] + "=", parts[3]].join("$"),
    [...parts.slice(0, 2), parts[2]!.slice(0, -1) + "B", parts[3]].join("$"),
  ];
  for (const hash of bad) assertFalse(await verifyPassword("x", hash), hash);
  assertEquals([isPasswordHash(good), isPasswordHash("x")], [true, false]);
});
