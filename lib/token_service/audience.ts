/**
 * Which API a token is for.
 *
 * Auth0 calls the parameter `audience`, [RFC 8707](https://www.rfc-editor.org/rfc/rfc8707) calls it `resource`.
 *
 * @module
 */

import type { Client } from "./client.ts";
import { type OAuthRefusal, refuse } from "./errors.ts";
import type { RequestParameters } from "./parameters.ts";

/** The API; `null` if the token is for the token service alone. */
export type AudienceOutcome = { readonly kind: "audience"; readonly audience: string | null } | OAuthRefusal;

/** Decides which API a token is for. */
export function decideAudience(
  parameters: RequestParameters,
  client: Pick<Client, "audiences" | "defaultAudience">,
): AudienceOutcome {
  const resource = parameters.get("resource");
  const asked = parameters.get("audience") ?? resource;
  const isOne = !parameters.repeated.has("resource") && (resource === null || resource === asked);
  if (!isOne) return refuse("invalid_target", "One token can be for one resource only");
  if (asked === null) return { kind: "audience", audience: client.defaultAudience };
  if (!client.audiences.includes(asked)) return refuse("invalid_target", "The client may not ask for this audience");
  return { kind: "audience", audience: asked };
}
