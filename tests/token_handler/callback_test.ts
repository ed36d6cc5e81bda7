import { assertEquals } from "@std/assert";
import {
  type AuthorizationResponse,
  type CallbackFacts,
  decideCallback,
  readAuthorizationResponse,
} from "../../lib/token_handler/callback.ts";
import type { Transaction } from "../../lib/token_handler/transaction.ts";

const NOW = 1_800_000_000;
const STATE = "S".repeat(43);
const ISSUER = "https://id.site.test/";
const REDIRECT_URI = "https://api.site.test/auth/acme/callback";

const transaction: Transaction = {
  vendorId: "acme",
  issuer: ISSUER,
  clientId: "web-app",
  state: STATE,
  nonce: "N".repeat(43),
  codeVerifier: "V".repeat(43),
  redirectUri: REDIRECT_URI,
  returnTo: "https://www.site.test/",
  scope: "openid",
  audience: null,
  appState: null,
  createdAt: NOW - 30,
};

const response: AuthorizationResponse = {
  state: STATE,
  code: "the code",
  error: null,
  errorDescription: null,
  issuer: ISSUER,
};

const facts: CallbackFacts = {
  response,
  transaction,
  vendor: { id: "acme", issuer: ISSUER, clientId: "web-app" },
  redirectUri: REDIRECT_URI,
  issuerAnnounced: true,
  now: NOW,
};

const failedResponse: AuthorizationResponse = { ...response, code: null, error: "access_denied" };

Deno.test("decideCallback() redeems the code of a sign-in that began here", () => {
  const redeem = { kind: "redeem", code: "the code", transaction } as const;
  assertEquals(decideCallback(facts), redeem);
  const withoutIssuer = { ...facts, issuerAnnounced: false, response: { ...response, issuer: null } };
  assertEquals(decideCallback(withoutIssuer), redeem);
  assertEquals(decideCallback({ ...facts, issuerAnnounced: false }), redeem);
  const old = { ...transaction, createdAt: NOW - 599 };
  assertEquals(decideCallback({ ...facts, transaction: old }), { ...redeem, transaction: old });
});

Deno.test("decideCallback() refuses where one fact is wrong, with a code and with an error alike", async (t) => {
  const vendor = facts.vendor;
  const rows: Readonly<Record<string, readonly [changed: Partial<CallbackFacts>, reason: string]>> = {
    "no transaction": [{ transaction: null }, "transaction"],
    "another state": [{ transaction: { ...transaction, state: `${STATE.slice(0, -1)}X` } }, "state"],
    "a longer state": [{ transaction: { ...transaction, state: `${STATE}S` } }, "state"],
    "a state that only begins alike": [{ transaction: { ...transaction, state: STATE.slice(0, 8) } }, "state"],
    "ten minutes old": [{ transaction: { ...transaction, createdAt: NOW - 600 } }, "expired"],
    "a day old": [{ transaction: { ...transaction, createdAt: NOW - 86_400 } }, "expired"],
    "from the future": [{ transaction: { ...transaction, createdAt: NOW + 601 } }, "expired"],
    "another vendor's": [{ transaction: { ...transaction, vendorId: "globex" } }, "vendor"],
    "at another vendor": [{ vendor: { ...vendor, id: "globex" } }, "vendor"],
    "the vendor's issuer changed": [{ vendor: { ...vendor, issuer: "https://new.site.test/" } }, "vendor"],
    "the vendor's client changed": [{ vendor: { ...vendor, clientId: "other" } }, "vendor"],
    "another redirect URI": [{ redirectUri: "https://evil.test/auth/acme/callback" }, "vendor"],
  };
  for (const [what, [changed, reason]] of Object.entries(rows)) {
    await t.step(what, () => {
      const refused = { kind: "refused", reason };
      assertEquals(decideCallback({ ...facts, ...changed }) as unknown, refused);
      assertEquals(decideCallback({ ...facts, response: failedResponse, ...changed }) as unknown, refused);
    });
  }
});

Deno.test("decideCallback() believes an answer only of the issuer that was asked", async (t) => {
  const issuers: Readonly<Record<string, string | null>> = {
    "missing though announced": null,
    "another": "https://evil-idp.test/",
    "without its slash": "https://id.site.test",
    "in capitals": "https://ID.site.test/",
    "empty": "",
    "with a space": `${ISSUER} `,
  };
  for (const [what, issuer] of Object.entries(issuers)) {
    await t.step(what, () => {
      for (const good of [response, failedResponse]) {
        assertEquals(decideCallback({ ...facts, response: { ...good, issuer } }), {
          kind: "refused",
          reason: "issuer",
        });
      }
      if (issuer === null) return;
      const unannounced = { ...facts, issuerAnnounced: false, response: { ...response, issuer } };
      assertEquals(decideCallback(unannounced), { kind: "refused", reason: "issuer" });
    });
  }
});

Deno.test("decideCallback() hands on errors as codes, and descriptions as plain words", () => {
  const rows: readonly (readonly [error: string, description: string | null, code: string, words: string | null])[] = [
    ["access_denied", null, "access_denied", null],
    ["login_required", "Sign in first.", "login_required", "Sign in first."],
    [
      "server_error",
      "It's (really) 100% down, sorry; ask https://help.test/?a=b#c",
      "server_error",
      "It's (really) 100% down, sorry; ask https://help.test/?a=b#c",
    ],
    ["<script>alert(1)</script>", "<script>alert(1)</script>", "server_error", null],
    ["ACCESS_DENIED", '"quoted"', "server_error", null],
    ["access denied", "a&b", "server_error", null],
    ["a".repeat(65), "x".repeat(257), "server_error", null],
    ["error\nSet-Cookie: a=b", "line\nfeed", "server_error", null],
    ["", "", "server_error", null],
    ["access_denied", "ünicode", "access_denied", null],
    ["access_denied", "back\\slash", "access_denied", null],
  ];
  for (const [error, errorDescription, code, words] of rows) {
    assertEquals(decideCallback({ ...facts, response: { ...failedResponse, error, errorDescription } }), {
      kind: "failed",
      transaction,
      error: code,
      errorDescription: words,
    });
  }
});

Deno.test("readAuthorizationResponse() reads code or error", () => {
  const read = (query: string) => readAuthorizationResponse(new URLSearchParams(query));
  assertEquals(read(`code=a%20b&state=${STATE}&iss=https%3A%2F%2Fid.site.test%2F&session_state=x&x=1&x=2`), {
    state: STATE,
    code: "a b",
    error: null,
    errorDescription: null,
    issuer: ISSUER,
  });
  assertEquals(read(`error=access_denied&error_description=No.&state=${STATE}`), {
    state: STATE,
    code: null,
    error: "access_denied",
    errorDescription: "No.",
    issuer: null,
  });
});

Deno.test("readAuthorizationResponse() refuses what cannot be an answer to us", async (t) => {
  const rows: Readonly<Record<string, string>> = {
    "nothing": "",
    "no state": "code=a",
    "empty state": "code=a&state=",
    "short state": `code=a&state=${STATE.slice(1)}`,
    "long state": `code=a&state=${STATE}S`,
    "state of other letters": `code=a&state=${"%2B".repeat(43)}`,
    "state with a line feed": `code=a&state=${STATE}%0A`,
    "state twice": `code=a&state=${STATE}&state=${STATE}`,
    "neither code nor error": `state=${STATE}`,
    "code and error": `code=a&error=access_denied&state=${STATE}`,
    "code twice": `code=a&code=a&state=${STATE}`,
    "two codes": `code=a&code=b&state=${STATE}`,
    "error twice": `error=a&error=b&state=${STATE}`,
    "description twice": `error=a&error_description=b&error_description=c&state=${STATE}`,
    "issuer twice": `code=a&iss=a&iss=a&state=${STATE}`,
    "empty code": `code=&state=${STATE}`,
    "code with a control character": `code=a%00b&state=${STATE}`,
    "code beyond ASCII": `code=%C3%BC&state=${STATE}`,
    "long code": `code=${"a".repeat(2049)}&state=${STATE}`,
    "long issuer": `code=a&iss=${"a".repeat(2049)}&state=${STATE}`,
    "a list": `code[]=a&state=${STATE}`,
  };
  for (const [what, query] of Object.entries(rows)) {
    await t.step(what, () => assertEquals(readAuthorizationResponse(new URLSearchParams(query)), null));
  }
});
