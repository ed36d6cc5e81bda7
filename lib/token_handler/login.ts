/**
 * The beginning of a sign-in: which wishes of the page are passed on, and what is remembered until the callback.
 *
 * @module
 */

import type { AuthorizationRequest } from "../oauth/mod.ts";
import { challengeOf, createVerifier } from "../pkce.ts";
import { drawToken, type Random } from "../random.ts";
import { readReturnTarget } from "../vendor/mod.ts";
import { readParameters } from "./parameters.ts";
import type { Transaction } from "./transaction.ts";
import type { Vendor } from "./vendors.ts";

/** Names under which pages give the return target. */
export const RETURN_NAMES = ["returnTo", "return_to", "returnUrl", "redirectUrl", "redirect_uri"] as const;

/** Parameters that go to the token service as they are. */
const PASSED_ON = [
  "login_hint",
  "ui_locales",
  "organization",
  "prompt",
  "screen_hint",
  "connection",
  "max_age",
  "acr_values",
] as const;

/** Longest `app_state`. */
const MAX_APP_STATE_LENGTH = 1024;

/** Printable text without control characters: all that a passed-on parameter may be. */
// deno-lint-ignore no-control-regex
const CONTROL_REGEXP = /[\u0000-\u001f\u007f]/;

/** What a login request asks for. */
export interface LoginRequest {
  /** Where to go afterwards: absolute and checked. */
  readonly returnTo: string;
  /** Scopes, space-separated, within the vendor's list. */
  readonly scope: string;
  /** Audience, within the vendor's list. */
  readonly audience: string | null;
  /** Opaque text of the page. */
  readonly appState: string | null;
  /** Parameters that are passed on. */
  readonly passedOn: Readonly<Record<string, string>>;
}

/** What reading a login request leads to. */
export type LoginReading =
  | { readonly kind: "read"; readonly request: LoginRequest }
  | Extract<ReturnReading, { kind: "refused" }>;

/** What a return target is measured against. */
export interface ReturnOptions {
  /** The vendor, whose origins are allowed. */
  readonly vendor: Vendor;
  /** The vendor's own origin. */
  readonly ownOrigin: string;
}

/** What reading a return target leads to. */
export type ReturnReading =
  | { readonly kind: "read"; readonly returnTo: string }
  | { readonly kind: "refused"; readonly code: "parameter_refused" | "return_target_refused" };

/** Reads the return target among the parameters, under any of its names; the default is the root of the own origin. */
export function readReturnParameter(search: URLSearchParams, options: ReturnOptions): ReturnReading {
  const given = readParameters(search, RETURN_NAMES);
  if (given === null || given.size > 1) return { kind: "refused", code: "parameter_refused" };
  const { vendor: { allowedOrigins }, ownOrigin } = options;
  const [asked = "/"] = given.values();
  const returnTo = readReturnTarget(asked, { ownOrigin, allowedOrigins });
  if (returnTo !== null) return { kind: "read", returnTo };
  // `redirect_uri` is an alias, but also what somebody sends who wants to steer the authorization request: ignore it then.
  if (given.has("redirect_uri")) return { kind: "read", returnTo: `${ownOrigin}/` };
  return { kind: "refused", code: "return_target_refused" };
}

/**
 * Reads a login request.
 *
 * @param search The query.
 * @param options What return targets are measured against.
 * @returns What it asks for, or why it is refused.
 */
export function readLoginRequest(search: URLSearchParams, options: ReturnOptions): LoginReading {
  const { vendor } = options;
  const target = readReturnParameter(search, options);
  if (target.kind === "refused") return target;
  const parameters = readParameters(search, [...PASSED_ON, "scope", "audience", "app_state"]);
  if (parameters === null || [...parameters.values()].some((value) => CONTROL_REGEXP.test(value))) {
    return { kind: "refused", code: "parameter_refused" };
  }
  const appState = parameters.get("app_state") ?? null;
  if (appState !== null && appState.length > MAX_APP_STATE_LENGTH) {
    return { kind: "refused", code: "parameter_refused" };
  }
  const passedOn: Record<string, string> = {};
  for (const name of PASSED_ON) {
    const value = parameters.get(name);
    if (value !== undefined) passedOn[name] = value;
  }
  const audience = parameters.get("audience") ?? "";
  return {
    kind: "read",
    request: {
      returnTo: target.returnTo,
      scope: scopeWithin(vendor.scopes, parameters.get("scope")),
      audience: vendor.audience.includes(audience) ? audience : vendor.audience[0] ?? null,
      appState,
      passedOn,
    },
  };
}

/** The asked scopes where all of them are allowed, otherwise the vendor's own list; always with `openid`. */
function scopeWithin(allowed: readonly string[], asked: string | undefined): string {
  const scopes = asked?.split(" ").filter((scope) => scope !== "") ?? [];
  const isWithin = scopes.length > 0 && scopes.every((scope) => allowed.includes(scope));
  return [...new Set(["openid", ...(isWithin ? scopes : allowed)])].join(" ");
}

/** A sign-in that has begun. */
export interface BegunLogin {
  /** What goes into the sealed cookie. */
  readonly transaction: Transaction;
  /** What goes to the token service. */
  readonly authorization: AuthorizationRequest;
}

/** Begins a sign-in: draws state, nonce and verifier, and says what to ask and what to remember. */
export async function beginLogin(
  request: LoginRequest,
  options: { readonly vendor: Vendor; readonly redirectUri: string; readonly now: number; readonly random: Random },
): Promise<BegunLogin> {
  const { vendor, redirectUri, now, random } = options;
  const state = drawToken(random);
  const nonce = drawToken(random);
  const codeVerifier = createVerifier(random);
  return {
    transaction: {
      vendorId: vendor.id,
      issuer: vendor.issuer,
      clientId: vendor.clientId,
      state,
      nonce,
      codeVerifier,
      redirectUri,
      returnTo: request.returnTo,
      scope: request.scope,
      audience: request.audience,
      appState: request.appState,
      createdAt: now,
    },
    authorization: {
      clientId: vendor.clientId,
      redirectUri,
      scope: request.scope,
      state,
      nonce,
      codeChallenge: await challengeOf(codeVerifier),
      ...(request.audience === null ? {} : { audience: request.audience }),
      extra: request.passedOn,
    },
  };
}
