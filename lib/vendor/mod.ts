/**
 * Vendors: the tenants of a token handler, their settings, hosts, return targets and upstreams.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { readReturnTarget } from "@cloakroom/token-handler/vendor";
 *
 * const options = { ownOrigin: "https://api.site.test", allowedOrigins: ["https://www.site.test"] };
 * assertEquals(readReturnTarget("/news?page=2", options), "https://api.site.test/news?page=2");
 * assertEquals(readReturnTarget("//evil.test", options), null);
 * ```
 *
 * @module
 */

export { isHost, isLoopbackName, nameOfHost, registrableDomainOf } from "./hosts.ts";
export { readOrigin, readReturnTarget, type ReturnTargetOptions } from "./origins.ts";
export {
  type ClientAuthMethod,
  type ReadSettingsOptions,
  readVendorSettings,
  type SettingsFault,
  type SettingsOutcome,
  type VendorSettings,
} from "./settings.ts";
export { matchUpstream, type Upstream, type UpstreamMatch } from "./upstreams.ts";
export { isVendorId } from "./vendor_id.ts";
