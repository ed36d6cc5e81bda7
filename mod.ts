/**
 * Cloakroom: leave your tokens at the door, carry a ticket.
 *
 * A multi-tenant OAuth token handler (Backend for Frontend) for browser apps: it signs users in with the authorization
 * code flow and PKCE, seals their tokens into `HttpOnly` cookies, refreshes them, and forwards API calls with the access
 * token. A script in the page never sees a token.
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
 *   clientSecret: "secret-from-your-provider",
 *   upstreams: [{ path: "/api", target: "https://backend.example" }],
 * });
 * // Deno.serve((request, info) => cloakroom.fetch(request, info.remoteAddr.hostname));
 * const answer = await cloakroom.fetch(new Request("https://www.example/auth/acme/userinfo"));
 * assertEquals(answer.status, 401);
 * ```
 *
 * Users sign in at `/auth/acme/login` and out at `/auth/acme/logout`; `/auth/acme/userinfo` says who is signed in; calls
 * to `/api/…` go to the upstream with the user's access token. At the provider, `/auth/acme/callback` has to be registered
 * as a redirect address.
 *
 * The library reads no environment, opens no database, prints nothing and listens nowhere. Its parts can be used alone:
 *
 * | entry point | what |
 * |---|---|
 * | `./pkce` | Code verifiers and challenges |
 * | `./seal` | Sealing with AES-GCM: values that only we can read and write |
 * | `./jwt` | ID tokens, access tokens and logout tokens of other issuers |
 * | `./oauth` | The client's half of OAuth: metadata, authorization, tokens, revocation |
 * | `./token-handler` | The decisions of a token handler, for routes of one's own |
 * | `./vendor` | Settings, return targets, hosts and upstreams of a tenant |
 * | `./token-service` | A small OAuth and OpenID Connect server, without HTTP |
 * | `./store`, `./store/kv` | What is remembered, in memory or on Deno KV |
 * | `./server`, `./serve` | The service, for `deno run` and `deno serve` |
 *
 * @module
 */

export { type Cloakroom, type CloakroomOptions, createCloakroom } from "./routes/cloakroom.ts";
export type { ManagementAccess, WebSockets } from "./routes/deps.ts";
export type { Clock } from "./lib/clock.ts";
export { type LogEvent, type Logger, silentLogger } from "./lib/log.ts";
export type { ClientAuthentication } from "./lib/oauth/mod.ts";
export type { Fetch } from "./lib/outbound.ts";
export { describeProblem, type ProblemCode, problemCodes, type ProblemText } from "./lib/problem.ts";
export type { Random } from "./lib/random.ts";
export { Secret } from "./lib/secret.ts";
export { createMemoryRecords, type KeyState, type Records, type VendorRecord } from "./lib/store/mod.ts";
export type { VendorKeyInfo, VendorKeys } from "./lib/token_handler/vendor_keys.ts";
export type {
  Vendor,
  VendorChange,
  VendorChangeOutcome,
  VendorDefaults,
  VendorDirectory,
  VendorSaveOptions,
} from "./lib/token_handler/vendors.ts";
export type { Upstream, VendorSettings } from "./lib/vendor/mod.ts";
