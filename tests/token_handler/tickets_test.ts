import { assertEquals } from "@std/assert";
import { readParameters } from "../../lib/token_handler/parameters.ts";
import {
  type AccessTicket,
  readAccessTicket,
  readRefreshTicket,
  type RefreshTicket,
  writeAccessTicket,
  writeRefreshTicket,
} from "../../lib/token_handler/tickets.ts";
import { expiryOf } from "../../lib/token_handler/tokens.ts";
import { readTransaction, transactionNameOf, writeTransaction } from "../../lib/token_handler/transaction.ts";

const SID = "s".repeat(43);
const at: AccessTicket = { accessToken: "opaque", expiresAt: 1_800_000_000, sessionId: SID, generation: 3 };
const rt: RefreshTicket = { refreshToken: "opaque", sessionId: SID, generation: 3 };

Deno.test("tickets are written with the names of the contract", () => {
  assertEquals(writeAccessTicket(at), {
    access_token: "opaque",
    token_type: "Bearer",
    expires_at: 1_800_000_000,
    sid: SID,
    generation: 3,
  });
  assertEquals(writeRefreshTicket(rt), { refresh_token: "opaque", sid: SID, generation: 3 });
});

Deno.test("tickets are read as they were written, handles too", () => {
  for (const ticket of [at, { ...at, accessToken: null }, { ...at, generation: 1 }]) {
    assertEquals(readAccessTicket(JSON.parse(JSON.stringify(writeAccessTicket(ticket)))), ticket);
  }
  for (const ticket of [rt, { ...rt, refreshToken: null }]) {
    assertEquals(readRefreshTicket(JSON.parse(JSON.stringify(writeRefreshTicket(ticket)))), ticket);
  }
});

Deno.test("tickets of any other form are refused", async (t) => {
  const rows: readonly (readonly [member: string, values: readonly unknown[]])[] = [
    ["sid", [undefined, null, "", 7, SID.slice(1), `${SID}s`, `${SID.slice(1)}+`, `${SID}\n`, [SID]]],
    ["generation", [undefined, null, 0, -1, 1.5, "1", NaN, Infinity, 2 ** 53]],
    ["unknown", [1, null, ""]],
  ];
  const ofAccess: typeof rows = [
    ["access_token", ["", 7, ["opaque"], {}]],
    ["token_type", ["bearer", "DPoP", null, 7]],
    ["expires_at", [undefined, null, 0, -1, 1.5, "1800000000", NaN]],
  ];
  for (const [member, values] of [...rows, ...ofAccess]) {
    for (const value of values) {
      await t.step(`at with ${member} ${JSON.stringify(value)}`, () => {
        assertEquals(readAccessTicket({ ...writeAccessTicket(at), [member]: value }), null);
      });
    }
  }
  for (const [member, values] of [...rows, ["refresh_token", ["", 7, ["opaque"]]] as const]) {
    for (const value of values) {
      await t.step(`rt with ${member} ${JSON.stringify(value)}`, () => {
        assertEquals(readRefreshTicket({ ...writeRefreshTicket(rt), [member]: value }), null);
      });
    }
  }
});

Deno.test("neither ticket passes for the other", () => {
  assertEquals(readAccessTicket(writeRefreshTicket(rt)), null);
  assertEquals(readRefreshTicket(writeAccessTicket(at)), null);
});

const transaction = {
  vendorId: "acme",
  issuer: "https://id.site.test/",
  clientId: "web-app",
  state: "S".repeat(43),
  nonce: "N".repeat(43),
  codeVerifier: "V".repeat(43),
  redirectUri: "https://api.site.test/auth/acme/callback",
  returnTo: "https://www.site.test/",
  scope: "openid",
  audience: "urn:api",
  appState: "opaque",
  createdAt: 1_800_000_000,
};

Deno.test("a transaction is read as it was written", () => {
  for (const optional of [{ appState: "" }, { appState: null }, { audience: null }, {}]) {
    const written = JSON.parse(JSON.stringify(writeTransaction({ ...transaction, ...optional })));
    assertEquals(readTransaction(written), { ...transaction, ...optional });
  }
  assertEquals(transactionNameOf(transaction.state), "SSSSSSSS");
});

Deno.test("a transaction that lacks a member is refused", () => {
  const written = writeTransaction(transaction);
  for (const member of Object.keys(written).filter((member) => member !== "as" && member !== "aud")) {
    for (const value of [undefined, null, "", {}]) {
      assertEquals(readTransaction({ ...written, [member]: value }), null, member);
    }
  }
  assertEquals(readTransaction({ ...written, at: "1800000000" }), null);
});

Deno.test("readParameters() takes each known parameter once, and ignores the others", () => {
  const read = (query: string) => {
    const parameters = readParameters(new URLSearchParams(query), ["a", "b"]);
    return parameters === null ? null : Object.fromEntries(parameters);
  };
  assertEquals(read(""), {});
  assertEquals(read("a=1&c=2&c=3&A=4&a[]=5"), { a: "1" });
  assertEquals(read("a=&b=%20"), { a: "", b: " " });
  assertEquals(read(`a=${"x".repeat(2048)}&c=${"x".repeat(9999)}`), { a: "x".repeat(2048) });
  for (const query of ["a=1&a=1", "a&a", "b=1&a=2&b=3", `a=${"x".repeat(2049)}`, "%61=1&a=2"]) {
    assertEquals(read(query), null, query);
  }
});

Deno.test("expiryOf() gives five minutes to a token whose server does not tell", () => {
  assertEquals(expiryOf(3600, 1000), 4600);
  assertEquals(expiryOf(0, 1000), 1000);
  assertEquals(expiryOf(null, 1000), 1300);
});
