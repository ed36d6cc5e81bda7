import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { findRedirectUriFault } from "../../lib/token_service/client.ts";
import type { ClientChanges, ClientRegistration } from "../../lib/token_service/mod.ts";
import { createKit, SECRET } from "./kit.ts";

const GOOD: ClientRegistration = { name: "Reader", redirectUris: ["https://reader.example/cb"] };

Deno.test("clients.create() draws id and secret, and keeps only a hash of the secret", async () => {
  const { service, records } = await createKit();
  const { client, clientSecret } = await service.clients.create(GOOD);
  assertMatch(client.clientId, /^[0-9a-f]{32}$/);
  assertMatch(clientSecret!.reveal(), /^[A-Za-z0-9_-]{43}$/);
  assertEquals([client.grantTypes, client.isPublic, client.firstParty, client.idTokenAlg], [
    ["authorization_code"],
    false,
    false,
    "RS256",
  ]);
  const stored = await records.find<object>(["token_service", "client", client.clientId]);
  assert(!JSON.stringify(stored).includes(clientSecret!.reveal()));
  assertEquals("secretHash" in (await service.clients.find(client.clientId))!, false);
});

Deno.test("clients.create() gives a public client no secret", async () => {
  const { service } = await createKit();
  assertEquals((await service.clients.create({ ...GOOD, isPublic: true })).clientSecret, null);
});

Deno.test("clients.create() refuses what is not sound", async () => {
  const { service } = await createKit();
  const rows: readonly (readonly [string, Partial<ClientRegistration>])[] = [
    ["its name is empty", { name: " " }],
    ["its id has other", { clientId: "a b" }],
    ["its id has other", { clientId: "a".repeat(129) }],
    ["its id is taken", { clientId: "spa" }],
    ["its id is taken", { clientId: "user-ada" }],
    ["its secret has other", { clientSecret: "p%40ss" }],
    ["has a fragment", { redirectUris: ["https://reader.example/cb#f"] }],
    ["has a fragment", { postLogoutRedirectUris: ["https://reader.example/#"] }],
    ["it has no redirect URI", { redirectUris: [] }],
    ["unknown grant type", { grantTypes: ["password" as "authorization_code"] }],
    ["a public client cannot act for itself", { isPublic: true, grantTypes: ["client_credentials"] }],
    ["its default audience is not one of", { defaultAudience: "https://api.example/" }],
  ];
  for (const [state, changes] of rows) {
    await assertRejects(() => service.clients.create({ ...GOOD, ...changes }), TypeError, `Cannot register client: `);
    await assertRejects(() => service.clients.create({ ...GOOD, ...changes }), TypeError, state);
  }
});

Deno.test("findRedirectUriFault() lets through what a client can own and nothing else", () => {
  const good = [
    "https://client.test/cb",
    "https://client.test",
    "https://client.test:8443/cb?tenant=a%20b",
    "http://127.0.0.1:8787/cb",
    "http://localhost/cb",
    "http://[::1]:1/cb",
    "com.example.app:/cb",
  ];
  for (const uri of good) assertEquals(findRedirectUriFault(uri), null, uri);
  const bad = [
    "",
    "/cb",
    "//client.test/cb",
    "https:",
    "https://client.test/cb#",
    "https://user@client.test/cb",
    "https://u:p@client.test/cb",
    "https://*.client.test/cb",
    "https://client.test/cb ",
    "https://client.test/c\u0000b",
    "https://client.test\\@evil.test/",
    "https://client.test/é",
    "https://client.test/cb?code=x",
    "https://client.test/cb?a=1&%73tate=x",
    "http://client.test/cb",
    "http://127.0.0.1.evil.test/cb",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "blob:https://client.test/x",
    "about:blank",
    "vbscript:x",
    "urn:ietf:wg:oauth:2.0:oob",
    "myapp:/cb",
    `https://client.test/${"a".repeat(2000)}`,
  ];
  for (const uri of bad) assertNotEquals(findRedirectUriFault(uri), null, uri);
});

Deno.test("clients.update() changes what is named and checks the whole", async () => {
  const { service, pass, now } = await createKit();
  pass(5);
  const changed = await service.clients.update("web", { name: "New", isDisabled: true });
  assertEquals([changed?.name, changed?.isDisabled, changed?.updatedAt], ["New", true, now()]);
  assertEquals(changed?.redirectUris, ["https://client.test/cb"]);
  assertEquals(await service.clients.update("nobody", { name: "x" }), null);
  await assertRejects(() => service.clients.update("web", { redirectUris: ["http://evil.test/"] }), TypeError);
  const oddly = { audiences: ["https://other.test/"], defaultAudience: "https://third.test/" } satisfies ClientChanges;
  await assertRejects(() => service.clients.update("web", oddly), TypeError, "default audience");
  assertEquals((await service.clients.find("web"))?.name, "New");
});

Deno.test("clients.update() loses no change when two are made at once", async () => {
  const { service } = await createKit();
  await Promise.all([
    service.clients.update("web", { name: "A" }),
    service.clients.update("web", { isDisabled: true }),
    service.clients.update("web", { vendorId: "globex" }),
  ]);
  const client = await service.clients.find("web");
  assertEquals([client?.name, client?.isDisabled, client?.vendorId], ["A", true, "globex"]);
});

Deno.test("clients.list() begins with the newest", async () => {
  const { service, pass } = await createKit();
  pass(1);
  await service.clients.create({ ...GOOD, clientId: "later" });
  const ids = (await service.clients.list()).map(({ clientId }) => clientId);
  assertEquals([ids[0], ids.length], ["later", 5]);
});

Deno.test("clients.remove() says whether there was a client", async () => {
  const { service } = await createKit();
  assertEquals([await service.clients.remove("web"), await service.clients.remove("web")], [true, false]);
  assertEquals(await service.clients.find("web"), null);
});

Deno.test("clients.rotateSecret() replaces the secret at once", async () => {
  const { service } = await createKit();
  const secret = await service.clients.rotateSecret("web");
  assertEquals((await service.clients.authenticate("web", secret!.reveal()))?.clientId, "web");
  assertEquals(await service.clients.authenticate("web", SECRET), null);
  assertEquals(await service.clients.rotateSecret("spa"), null);
  assertEquals(await service.clients.rotateSecret("nobody"), null);
});

Deno.test("clients.authenticate() asks confidential clients for their secret, public ones for none", async () => {
  const { service } = await createKit();
  const rows: readonly (readonly [string, string | null, boolean])[] = [
    ["web", SECRET, true],
    ["web", null, false],
    ["web", "", false],
    ["web", `${SECRET} `, false],
    ["spa", null, true],
    ["spa", "ignored", true],
    ["nobody", SECRET, false],
    ["a".repeat(5000), SECRET, false],
    ["", null, false],
  ];
  for (const [id, secret, isKnown] of rows) {
    assertEquals(await service.clients.authenticate(id, secret) !== null, isKnown, `${id} ${secret}`);
  }
  await service.clients.update("web", { isDisabled: true });
  assertEquals(await service.clients.authenticate("web", SECRET), null);
});
