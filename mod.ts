/**
 * Cloakroom: leave your tokens at the door, carry a ticket.
 *
 * A multi-tenant OAuth token handler (Backend-for-Frontend) for browser apps: it runs the Authorization Code + PKCE login,
 * seals the tokens into HttpOnly cookies, refreshes them, and proxies API calls with a Bearer. JavaScript never sees a
 * token.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createCloakroom, createMemoryRecords, Secret } from "@cloakroom/token-handler";
 *
 * const cloakroom = await createCloakroom({
 *   records: createMemoryRecords(),
 *   masterKey: new Secret(crypto.getRandomValues(new Uint8Array(32))),
 * });
 * await cloakroom.saveVendor("acme", {
 *   issuer: "https://id.example/",
 *   clientId: "acme-web",
 *   clientSecret: "from your provider",
 *   upstreams: [{ path: "/api", target: "https://api.internal.example" }],
 * });
 * // Deno.serve((request, info) => cloakroom.fetch(request, info.remoteAddr.hostname));
 * const answer = await cloakroom.fetch(new Request("https://www.example/auth/acme/userinfo"));
 * assertEquals(answer.status, 401);
 * ```
 *
 * Signing in happens at `/auth/acme/login`, `/auth/acme/userinfo` says who is signed in, and calls to `/api/…` go to the
 * upstream with the user's access token.
 *
 * @module
 */

export { type Cloakroom, type CloakroomOptions, createCloakroom } from "./routes/cloakroom.ts";
export type { ManagementAccess } from "./routes/deps.ts";
export type { Clock } from "./lib/clock.ts";
export { type LogEvent, type Logger, silentLogger } from "./lib/log.ts";
export type { Fetch } from "./lib/outbound.ts";
export { describeProblem, type ProblemCode, problemCodes, type ProblemText } from "./lib/problem.ts";
export type { Random } from "./lib/random.ts";
export { Secret } from "./lib/secret.ts";
export { createMemoryRecords, type Records } from "./lib/store/mod.ts";
