import { assertEquals } from "@std/assert";
import type { AuthorizationRequest } from "../../lib/token_service/mod.ts";
import { type AuthorizationFacts, decideAuthorization } from "../../lib/token_service/authorize.ts";
import { decideQuestion } from "../../lib/token_service/logout.ts";
import { isLive } from "../../lib/token_service/liveness.ts";
import { createKit } from "./kit.ts";

const { service } = await createKit();
const client = (await service.clients.find("spa"))!;
const SESSION = { sid: "sid", sub: "user-ada", authTime: 1000, expiresAt: 9000 };
const REQUEST: AuthorizationRequest = {
  client,
  redirectUri: client.redirectUris[0]!,
  state: null,
  scopes: ["openid"],
  audience: null,
  challenge: "x",
  nonce: null,
  prompt: new Set(),
  maxAge: null,
  loginHint: null,
  idTokenHint: null,
};
const FACTS: AuthorizationFacts = { session: SESSION, hint: null, isFresh: false, now: 1100 };
const ADA = { sub: "user-ada", sid: "other", clientId: "spa" };
const BO = { ...ADA, sub: "user-bo" };
const OUTSIDER = { ...client, firstParty: false };

Deno.test("decideAuthorization() asks where it must and never where it must not", () => {
  const none = new Set(["none"] as const);
  const rows: readonly (readonly [string, Partial<AuthorizationRequest>, Partial<AuthorizationFacts>, string])[] = [
    ["signed in", {}, {}, "issue"],
    ["nobody signed in", {}, { session: null }, "sign_in"],
    ["silent, signed in", { prompt: none }, {}, "issue"],
    ["silent, nobody", { prompt: none }, { session: null }, "login_required"],
    ["prompt=login", { prompt: new Set(["login"]) }, {}, "sign_in"],
    ["prompt=login, just done", { prompt: new Set(["login"]) }, { isFresh: true }, "issue"],
    ["prompt=select_account", { prompt: new Set(["select_account"]) }, {}, "sign_in"],
    ["prompt=create", { prompt: new Set(["create"]) }, {}, "sign_in"],
    ["prompt=consent of our own client", { prompt: new Set(["consent"]) }, {}, "issue"],
    ["recent enough", { maxAge: 100 }, {}, "issue"],
    ["too long ago", { maxAge: 99 }, {}, "sign_in"],
    ["too long ago, silent", { maxAge: 99, prompt: none }, {}, "login_required"],
    ["max_age=0, just done", { maxAge: 0 }, { isFresh: true, now: 1000 }, "issue"],
    ["the expected person", {}, { hint: ADA }, "issue"],
    ["another person", {}, { hint: BO }, "sign_in"],
    ["another person, silent", { prompt: none }, { hint: BO }, "login_required"],
    ["another person has just signed in", {}, { hint: BO, isFresh: true }, "login_required"],
    ["not our own client", { client: OUTSIDER }, {}, "consent"],
    ["not our own client, silent", { client: OUTSIDER, prompt: none }, {}, "consent_required"],
    ["not our own client, nobody signed in", { client: OUTSIDER }, { session: null }, "sign_in"],
  ];
  for (const [what, request, facts, expected] of rows) {
    const decision = decideAuthorization({ ...REQUEST, ...request }, { ...FACTS, ...facts });
    assertEquals(decision.kind === "refused" ? decision.error : decision.kind, expected, what);
  }
});

Deno.test("decideQuestion() ends only the session that the ID token belongs to without asking", () => {
  assertEquals(decideQuestion(null, null), "end");
  assertEquals(decideQuestion(SESSION, { ...ADA, sid: "sid" }), "end");
  assertEquals(decideQuestion(SESSION, null), "ask");
  assertEquals(decideQuestion(SESSION, ADA), "ask");
});

Deno.test("isLive() refuses what ended, and what belongs to a disabled, removed or replaced client", () => {
  const issued = { clientId: "spa", createdAt: 1000, expiresAt: 2000 };
  const living = { clientId: "spa", createdAt: 1000, isDisabled: false };
  assertEquals(isLive(issued, living, 1999), true);
  assertEquals(isLive(issued, living, 2000), false);
  assertEquals(isLive(issued, null, 1500), false);
  assertEquals(isLive(issued, { ...living, isDisabled: true }, 1500), false);
  assertEquals(isLive(issued, { ...living, createdAt: 1001 }, 1500), false);
  assertEquals(isLive(issued, { ...living, clientId: "web" }, 1500), false);
});
