/**
 * A host belongs to one vendor: whoever else were served there would share its origin and its cookies.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { Secret } from "../../lib/secret.ts";
import { createMemoryRecords } from "../../lib/store/mod.ts";
import { createCloakroom } from "../../routes/cloakroom.ts";

const ISSUER = "https://idp.test/";

async function start() {
  const cloakroom = await createCloakroom({
    records: createMemoryRecords(),
    masterKey: new Secret(new Uint8Array(32).fill(1)),
    fetch: () => Promise.reject(new TypeError("nobody is called")),
  });
  await cloakroom.saveVendor("acme", { clientId: "acme", issuer: ISSUER, publicUrl: "https://app.acme.test" });
  return cloakroom;
}

const statusAt = async (cloakroom: Awaited<ReturnType<typeof start>>, url: string) =>
  (await cloakroom.fetch(new Request(url, { headers: { accept: "application/json" } }))).status;

Deno.test("no other vendor can claim a host, whether it is listed or the public address", async () => {
  const cloakroom = await start();
  for (const claim of [{ hosts: ["app.acme.test"] }, { publicUrl: "https://app.acme.test/evil" }]) {
    const save = () => cloakroom.saveVendor("evil", { clientId: "evil", issuer: ISSUER, ...claim });
    await assertRejects(save, TypeError, "another vendor uses app.acme.test");
  }
});

Deno.test("a vendor without hosts is not served at the host of another", async () => {
  const cloakroom = await start();
  await cloakroom.saveVendor("evil", { clientId: "evil", issuer: ISSUER });
  assertEquals(await statusAt(cloakroom, "https://app.acme.test/auth/evil/login"), 404);
  assertEquals(await statusAt(cloakroom, "https://app.acme.test/auth/acme/login"), 503, "the issuer is asked");
  assertEquals(await statusAt(cloakroom, "https://elsewhere.test/auth/evil/login"), 503);
});

Deno.test("a host is free again when its vendor gives it up", async () => {
  const cloakroom = await start();
  await cloakroom.saveVendor("acme", { clientId: "acme", issuer: ISSUER });
  await cloakroom.saveVendor("globex", { clientId: "globex", issuer: ISSUER, hosts: ["app.acme.test"] });
  assertEquals(await statusAt(cloakroom, "https://app.acme.test/auth/acme/login"), 404);
});
