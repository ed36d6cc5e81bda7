import { assertEquals } from "@std/assert";
import { logoutAddress, type LogoutTarget, mayLogout } from "../../lib/token_handler/logout.ts";
import { mergeClaims, pickClaims } from "../../lib/token_handler/userinfo.ts";

const OWN = "s".repeat(43);
const OTHER = "o".repeat(43);

Deno.test("mayLogout() wants the browser's own site, or the session by name (contract, section 2.6)", () => {
  const rows: readonly (readonly [own: string | null, asked: string | null, fetchSite: string | null, may: boolean])[] =
    [
      [OWN, null, "same-origin", true],
      [OWN, null, "same-site", true],
      [OWN, null, "none", true],
      [OWN, null, "cross-site", false],
      [OWN, null, null, false],
      [OWN, null, "", false],
      [OWN, null, "Same-Origin", false],
      [OWN, null, "same-origin, cross-site", false],
      [OWN, OWN, "cross-site", true],
      [OWN, OWN, null, true],
      [OWN, OTHER, "cross-site", false],
      [OWN, OTHER, null, false],
      [OWN, "", null, false],
      [OWN, OWN.slice(1), "cross-site", false],
      // An address from before the last sign-in, opened on one's own page.
      [OWN, OTHER, "same-origin", true],
      [OWN, "", "same-site", true],
      // No session came along: on the way from another site the browser keeps Strict cookies back.
      [null, null, "cross-site", false],
      [null, OTHER, "cross-site", false],
      [null, null, "same-origin", true],
      [null, OTHER, null, true],
    ];
  for (const [own, asked, fetchSite, may] of rows) {
    assertEquals(mayLogout({ own, asked, fetchSite }), may, JSON.stringify({ own, asked, fetchSite }));
  }
});

const target: LogoutTarget = {
  clientId: "web-app",
  authHostname: null,
  endSessionEndpoint: "https://id.site.test/oidc/logout",
  idToken: "a.b.c",
  returnTo: "https://www.site.test/bye?a=b&c=d#e",
  registered: [],
};

Deno.test("logoutAddress() leads to the token service, and back", () => {
  const back = "https%3A%2F%2Fwww.site.test%2Fbye%3Fa%3Db%26c%3Dd%23e";
  const rows: Readonly<Record<string, readonly [Partial<LogoutTarget>, string]>> = {
    "end_session_endpoint": [
      {},
      `https://id.site.test/oidc/logout?id_token_hint=a.b.c&client_id=web-app&post_logout_redirect_uri=${back}`,
    ],
    "no ID token": [
      { idToken: null },
      `https://id.site.test/oidc/logout?client_id=web-app&post_logout_redirect_uri=${back}`,
    ],
    "an endpoint with a query": [
      { endSessionEndpoint: "https://id.site.test/logout?tenant=1", idToken: null },
      `https://id.site.test/logout?tenant=1&client_id=web-app&post_logout_redirect_uri=${back}`,
    ],
    "authHostname": [
      { authHostname: "auth.site.test" },
      `https://auth.site.test/v2/logout?client_id=web-app&returnTo=${back}`,
    ],
    "neither": [{ endSessionEndpoint: null }, target.returnTo],
    "a registered target": [
      { authHostname: "auth.site.test", registered: ["https://x.test/", target.returnTo] },
      `https://auth.site.test/v2/logout?client_id=web-app&returnTo=${back}`,
    ],
    "a target that is not registered": [
      { authHostname: "auth.site.test", registered: ["https://x.test/", "https://y.test/"] },
      "https://auth.site.test/v2/logout?client_id=web-app&returnTo=https%3A%2F%2Fx.test%2F",
    ],
    "a target that is not registered, without a token service": [
      { endSessionEndpoint: null, registered: ["https://x.test/"] },
      target.returnTo,
    ],
  };
  for (const [what, [changed, address]] of Object.entries(rows)) {
    assertEquals(logoutAddress({ ...target, ...changed }), address, what);
  }
});

Deno.test("pickClaims() shows what the vendor lists, and never a token", () => {
  const claims = { sub: "ada", name: "Ada", admin: true, access_token: "a", id_token: "b", refresh_token: "c" };
  assertEquals(pickClaims(claims, ["sub", "name", "email", "toString", "__proto__"]), { sub: "ada", name: "Ada" });
  assertEquals(pickClaims(claims, ["access_token", "id_token", "refresh_token"]), {});
  assertEquals(pickClaims(claims, []), {});
  assertEquals(pickClaims({ sub: "ada", address: { city: "x" }, roles: ["a"] }, ["address", "roles"]), {
    address: { city: "x" },
    roles: ["a"],
  });
});

Deno.test("mergeClaims() lets the ID token win, and drops what is about the token", () => {
  const idToken = {
    iss: "i",
    aud: "a",
    exp: 1,
    iat: 1,
    nbf: 1,
    nonce: "n",
    azp: "a",
    at_hash: "h",
    c_hash: "h",
    jti: "j",
    sub: "ada",
    name: "Ada",
    sid: "s",
    auth_time: 1,
  };
  assertEquals(mergeClaims(idToken, null), { sub: "ada", name: "Ada", sid: "s", auth_time: 1 });
  assertEquals(mergeClaims(idToken, { sub: "eve", name: "Eve", email: "ada@example.com" }), {
    sub: "ada",
    name: "Ada",
    email: "ada@example.com",
    sid: "s",
    auth_time: 1,
  });
  const merged = mergeClaims(JSON.parse('{"sub":"ada","__proto__":{"admin":true}}'), null);
  assertEquals((merged as { admin?: unknown }).admin, undefined);
});
