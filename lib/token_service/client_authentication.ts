/**
 * Which client is calling, and whether it can prove it.
 *
 * @module
 */

import { readUtf8 } from "../encoding.ts";
import { type AttemptSubject, networkOf } from "./attempts.ts";
import type { Client } from "./client.ts";
import type { Context } from "./context.ts";
import { type OAuthRefusal, refuse, refuseForNow } from "./errors.ts";
import type { RequestParameters } from "./parameters.ts";

/** A call to an endpoint that clients use directly. */
export interface ClientCall {
  /** The `Authorization` header; `null` if there is none. */
  readonly authorization: string | null;
  /** The parameters of the body. */
  readonly parameters: RequestParameters;
  /** The peer's address. */
  readonly clientAddress: string;
}

/** What a client says about itself. */
export interface ClientCredentials {
  /** Tells it from a refusal. */
  readonly kind: "credentials";
  /** Who it says it is. */
  readonly clientId: string;
  /** What it shows; `null` if nothing. */
  readonly secret: string | null;
}

/** Wrong secrets that one address may show for one client before it has to wait. */
const FREE_SECRET_FAILURES = 20;

/** Tells whether an `Authorization` header is an attempt at HTTP Basic, which decides how a failure is answered. */
export function isBasic(authorization: string | null): boolean {
  return authorization !== null && /^basic(?: |$)/i.test(authorization);
}

/**
 * Reads the credentials of a call: HTTP Basic or the body, never both
 * ([OAuth 2.1, section 2.4](https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1#section-2.4)). A body `client_id`
 * beside Basic is no second method as long as it says the same.
 *
 * @param authorization The `Authorization` header; `null` if there is none.
 * @param parameters The parameters of the body.
 * @returns What the client says about itself, or why that cannot be heard.
 */
export function readClientCredentials(
  authorization: string | null,
  parameters: RequestParameters,
): ClientCredentials | OAuthRefusal {
  const clientId = parameters.get("client_id");
  const secret = parameters.get("client_secret");
  if (parameters.get("client_assertion") !== null || parameters.get("client_assertion_type") !== null) {
    return refuse("invalid_client", "Client assertions are not supported");
  }
  if (!isBasic(authorization)) {
    if (clientId === null) return refuse("invalid_client", "Missing client authentication");
    return { kind: "credentials", clientId, secret };
  }
  if (secret !== null) return refuse("invalid_request", "More than one method of client authentication");
  const basic = readBasic(authorization!.slice("basic ".length));
  if (basic === null) return refuse("invalid_client", "Malformed Basic credentials");
  if (clientId !== null && clientId !== basic.clientId) {
    return refuse("invalid_request", "The body names another client than the Authorization header");
  }
  return { kind: "credentials", ...basic };
}

/** Both halves are form-encoded first ([RFC 6749, section 2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)). */
function readBasic(value: string): { readonly clientId: string; readonly secret: string } | null {
  try {
    const text = readUtf8(Uint8Array.fromBase64(value.trim()));
    const colon = text?.indexOf(":") ?? -1;
    if (text === null || colon < 1) return null;
    const decode = (half: string) => decodeURIComponent(half.replaceAll("+", "%20"));
    return { clientId: decode(text.slice(0, colon)), secret: decode(text.slice(colon + 1)) };
  } catch {
    return null;
  }
}

/** Finds out which client is calling. */
export async function authenticateClient(
  context: Context,
  { authorization, parameters, clientAddress }: ClientCall,
): Promise<{ readonly kind: "client"; readonly client: Client } | OAuthRefusal> {
  const { clients, attempts, log } = context;
  const credentials = readClientCredentials(authorization, parameters);
  if (credentials.kind === "refused") return credentials;
  const { clientId, secret } = credentials;
  const subjects: readonly AttemptSubject[] = [
    { kind: "client", id: `${networkOf(clientAddress)} ${clientId}`, free: FREE_SECRET_FAILURES },
  ];
  const wait = secret === null ? 0 : await attempts.findWait(subjects);
  if (wait > 0) return refuseForNow(wait);
  const client = await clients.authenticate(clientId, secret);
  if (client !== null) return { kind: "client", client };
  if (secret !== null) await attempts.take(subjects);
  log({ level: "warn", event: "client_refused" });
  return refuse("invalid_client", "Unknown client or wrong client authentication");
}
