/**
 * Scopes: reading them, and which of them a client may have.
 *
 * @module
 */

/** Asks for tokens that outlive the visit; every client may name it, its grant types decide what follows. */
export const OFFLINE_ACCESS = "offline_access";

/** Scopes of OpenID Connect: about a person, so never for a client that acts for itself. */
export const OIDC_SCOPES: readonly string[] = ["openid", "profile", "email"];

/** One scope ([RFC 6749, section 3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)). */
const SCOPE_REGEXP = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** Reads a list separated by any number of spaces; `null` if a member cannot be a scope. */
export function readScopes(text: string): readonly string[] | null {
  const scopes = [...new Set(text.split(" ").filter((scope) => scope !== ""))];
  return scopes.every((scope) => SCOPE_REGEXP.test(scope)) ? scopes : null;
}

/**
 * Decides which scopes a person's authorization may carry.
 *
 * @param requested What was asked for; `null` if nothing was.
 * @param allowed What the client is registered for.
 * @param options What stands in for a request without scope.
 * @returns The scopes; `null` if the request goes beyond what the client may ask.
 */
export function decideUserScopes(
  requested: string | null,
  allowed: readonly string[],
  options: { readonly defaultScopes: readonly string[] },
): readonly string[] | null {
  if (requested === null) return options.defaultScopes.filter((scope) => isAllowed(scope, allowed));
  const scopes = readScopes(requested);
  if (scopes === null || !scopes.every((scope) => isAllowed(scope, allowed))) return null;
  const isAboutPerson = scopes.some((scope) => OIDC_SCOPES.includes(scope));
  return isAboutPerson && !scopes.includes("openid") ? null : scopes;
}

/**
 * Decides which scopes a client gets that acts for itself.
 *
 * @param requested What was asked for; `null` asks for everything the client is registered for.
 * @param allowed What the client is registered for.
 * @returns The scopes; `null` if the request goes beyond them or asks about a person.
 */
export function decideClientScopes(requested: string | null, allowed: readonly string[]): readonly string[] | null {
  const own = allowed.filter((scope) => scope !== OFFLINE_ACCESS && !OIDC_SCOPES.includes(scope));
  if (requested === null) return own;
  const scopes = readScopes(requested);
  return scopes?.every((scope) => own.includes(scope)) ? scopes : null;
}

/** Tells whether a client may name a scope. */
export function isAllowed(scope: string, allowed: readonly string[]): boolean {
  return scope === OFFLINE_ACCESS || allowed.includes(scope);
}
