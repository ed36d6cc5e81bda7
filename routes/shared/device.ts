/**
 * A short description of a browser, for people who look at the list of their sessions.
 *
 * @module
 */

import { UserAgent } from "@std/http/user-agent";

/** Names browser and system, such as `Firefox on Linux`; `null` where neither can be told. */
export function describeDevice(userAgent: string | null): string | null {
  const { browser, os } = new UserAgent(userAgent?.slice(0, 512) ?? null);
  const names = [browser.name, os.name].filter((name) => name !== undefined);
  return names.length === 0 ? null : names.join(" on ");
}
