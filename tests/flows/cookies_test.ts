/**
 * The two session cookies together: a request counts only if both are ours, whole, and of one session and vendor. Every
 * other combination gets one and the same answer.
 *
 * @module
 */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { compactDecrypt } from "@panva/jose";
import { flipBit, PARTS, reseal, withHeader } from "../attacks/sealed.ts";
import { cookieOf, createStage, type Stage } from "../attacks/stage.ts";
import { ACME, withWorld } from "../attacks/world.ts";

/** The cookies of one request. */
interface Pair {
  readonly at?: string;
  readonly rt?: string;
}

/** Endpoints that need a session. Userinfo is one of them where the vendor wants both cookies there too. */
const ENDPOINTS = [
  { method: "GET", path: "/api/entitlements" },
  { method: "POST", path: "/auth/acme/refresh" },
  { method: "GET", path: "/auth/acme/userinfo" },
  { method: "GET", path: "/auth/acme/sessions" },
];

Deno.test("cookies that do not belong together, or are not whole, are 401 with one answer for all", async (t) => {
  await withStage(async (stage) => {
    const { world } = stage;
    await world.cloakroom.saveVendor("acme", { ...ACME, userinfoWithAccessCookieAlone: false });
    const alice = await stage.signedIn("alice");
    const own = { at: cookieOf(alice, "at")!, rt: cookieOf(alice, "rt")! };
    const mallory = await stage.signedIn("mallory");
    const bob = await stage.signedIn("globex:bob");
    const again = await createStage(world).signedIn("alice");

    const wrong: Readonly<Record<string, Pair>> = {
      "nothing": {},
      "at without __Host-rt": { at: own.at },
      "at with another user's __Host-rt": { ...own, rt: cookieOf(mallory, "rt")! },
      "at with the __Host-rt of another session of the same user": { ...own, rt: cookieOf(again, "rt")! },
      "at with another vendor's __Host-rt": { ...own, rt: cookieOf(bob, "rt")! },
      "another vendor's at": { ...own, at: cookieOf(bob, "at")! },
      "at and __Host-rt in each other's place": { at: own.rt, rt: own.at },
      "at tampered in its header": { ...own, at: flipBit(own.at, PARTS.indexOf("header"), 3) },
      "at tampered in its encrypted key": { ...own, at: own.at.replace("..", ".AAAA.") },
      "at tampered in its IV": { ...own, at: flipBit(own.at, PARTS.indexOf("iv"), 0) },
      "at tampered in its ciphertext": { ...own, at: flipBit(own.at, PARTS.indexOf("ciphertext"), 9) },
      "at tampered in its tag": { ...own, at: flipBit(own.at, PARTS.indexOf("tag"), 15) },
      "at under a wrong typ": { ...own, at: withHeader(own.at, { typ: "rt" }) },
      "at really sealed under a wrong typ": { ...own, at: await reseal(world, own.at, (content) => content, "rt") },
      "at with an unknown kid": { ...own, at: withHeader(own.at, { kid: "acme.AAAAAAAA" }) },
      "__Host-rt with an unknown kid": { ...own, rt: withHeader(own.rt, { kid: "acme.AAAAAAAA" }) },
      "__Host-rt tampered": { ...own, rt: flipBit(own.rt, PARTS.indexOf("tag"), 0) },
    };

    for (const endpoint of ENDPOINTS) {
      const { method, path } = endpoint;
      const expected = await ask(stage, endpoint, wrong["nothing"]!);
      assertEquals(expected.status, 401);
      assertEquals(expected.body.code, "unauthenticated");
      for (const [what, pair] of Object.entries(wrong)) {
        await t.step(`${method} ${path}: ${what}`, async () => {
          const { setCookies, ...answer } = await ask(stage, endpoint, pair);
          const { setCookies: _none, ...plain } = expected;
          assertEquals(answer, plain);
          for (const line of setCookies) assert(/^(?:at|__Host-rt)=; .*Max-Age=0$/.test(line), line);
        });
      }
      await t.step(`${method} ${path}: control, both cookies`, async () => {
        assertEquals((await ask(stage, endpoint, own)).status, 200);
      });
    }
    assertEquals(world.upstream.calls.length, 1);
  });
});

async function ask(
  { world }: Stage,
  { method, path }: { readonly method: string; readonly path: string },
  { at, rt }: Pair,
) {
  const pairs = [...at === undefined ? [] : [`at=${at}`], ...rt === undefined ? [] : [`__Host-rt=${rt}`]];
  const headers = { "cookie": pairs.join("; "), "x-csrf": "1", "origin": "https://www.acme.test" };
  const response = await world.cloakroom.fetch(new Request(`${ACME.publicUrl}${path}`, { method, headers }));
  const { request_id, ...body } = await response.json();
  assertEquals(request_id ?? response.headers.get("x-request-id"), response.headers.get("x-request-id"));
  const setCookies = response.headers.getSetCookie();
  const others = [...response.headers].filter(([name]) => name !== "set-cookie" && name !== "x-request-id");
  return { status: response.status, headers: others, body, setCookies };
}

Deno.test("at opens with jose and the vendor's key, and holds what the contract says", async () => {
  await withStage(async (stage) => {
    const { cloakroom, idp, clock } = stage.world;
    const sealed = cookieOf(await stage.signedIn("alice"), "at")!;
    const key = await cloakroom.keys.exportActive("acme");
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, key.bytes);
    assertEquals(protectedHeader, { alg: "dir", enc: "A256GCM", kid: key.kid, typ: "at" });
    assertEquals(JSON.stringify(protectedHeader), `{"alg":"dir","enc":"A256GCM","kid":"${key.kid}","typ":"at"}`);
    const content = JSON.parse(new TextDecoder().decode(plaintext));
    assertEquals(Object.keys(content).sort(), ["access_token", "expires_at", "generation", "sid", "token_type"]);
    assertEquals(content.access_token, idp.issued.accessTokens.at(-1));
    assertEquals([content.token_type, content.expires_at, content.generation], ["Bearer", clock() + 3600, 1]);
    const other = await cloakroom.keys.exportActive("globex");
    assertNotEquals(key.kid, other.kid);
    assertNotEquals(key.bytes, other.bytes);
  });
});

Deno.test("every cookie has the attributes of the contract, and is cleared with the same", async () => {
  await withStage(async (stage) => {
    const browser = stage.world.openBrowser("alice");
    const { exchanges } = await browser.navigate(`${ACME.publicUrl}/auth/acme/login`);
    const set = exchanges.flatMap(({ headers }) => headers.getSetCookie());
    assertEquals(set.map(withoutValue), [
      "__Host-tx-*; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600",
      "at=*; Domain=.acme.test; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=86400",
      "__Host-rt=*; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=2592000",
      "signed_in=1; Domain=.acme.test; Path=/; Secure; SameSite=Lax; Max-Age=2592000",
      "__Host-tx-*; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
    ]);
    assertEquals(browser.jar.readable(new URL("https://www.acme.test/")), "signed_in=1");
    await browser.navigate(`${ACME.publicUrl}/auth/acme/logout`, { from: `${ACME.publicUrl}/` });
    assertEquals(browser.jar.all().filter(({ name }) => name !== "user"), []);
  });
});

function withoutValue(line: string): string {
  return line.replace(/^(__Host-tx-)[^;]*/, "$1*").replace(/^(at|__Host-rt)=[^;]+/, "$1=*");
}

async function withStage(run: (stage: Stage) => Promise<void>): Promise<void> {
  await withWorld((world) => run(createStage(world)));
}
