/**
 * The decisions of a token handler, for those who build their own routes: what a login asks for, what a callback is worth,
 * what two cookies amount to.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { decideFreshness } from "@cloakroom/token-handler/token-handler";
 *
 * const now = 1_800_000_000;
 * assertEquals(decideFreshness(now + 3600, now), "fresh");
 * assertEquals(decideFreshness(now + 30, now), "due");
 * assertEquals(decideFreshness(now - 1, now), "dead");
 * ```
 *
 * @module
 */

export {
  type AuthorizationResponse,
  type CallbackFacts,
  type CallbackOutcome,
  decideCallback,
  readAuthorizationResponse,
} from "./callback.ts";
export { logoutAddress, type LogoutNavigation, type LogoutTarget, mayLogout } from "./logout.ts";
export {
  type CookieOutcome,
  decideCookies,
  decideFreshness,
  decideSession,
  type Presented,
  type PresentedCookies,
  type SessionOutcome,
} from "./session.ts";
export { type AccessTicket, readAccessTicket, readRefreshTicket, type RefreshTicket } from "./tickets.ts";
export type { Transaction } from "./transaction.ts";
export { mergeClaims, pickClaims } from "./userinfo.ts";
