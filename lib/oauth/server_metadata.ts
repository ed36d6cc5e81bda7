/**
 * What an authorization server says about itself
 * ([OpenID Connect Discovery](https://openid.net/specs/openid-connect-discovery-1_0.html),
 * [RFC 8414](https://www.rfc-editor.org/rfc/rfc8414)): fetched, read strictly, remembered.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import type { JsonObject } from "../encoding.ts";
import { type Fetch, type OutboundAnswer, sendForJson } from "../outbound.ts";
import { createRemoteCache, type Load } from "../remote_cache.ts";
import { type EndpointOptions, readEndpoint } from "./endpoint.ts";

/** The part of a server's metadata that is used here. */
export interface ServerMetadata {
  /** The issuer, exactly as it writes itself. */
  readonly issuer: string;
  /** Where users are sent to sign in. */
  readonly authorizationEndpoint: string;
  /** Where codes and refresh tokens are redeemed. */
  readonly tokenEndpoint: string;
  /** Where the issuer's keys are. */
  readonly jwksUri: string;
  /** Where tokens are revoked (RFC 7009). */
  readonly revocationEndpoint: string | null;
  /** Where users are sent to sign out. */
  readonly endSessionEndpoint: string | null;
  /** Where the claims of a user are. */
  readonly userinfoEndpoint: string | null;
  /** Where authorization requests can be left beforehand (RFC 9126). */
  readonly pushedAuthorizationRequestEndpoint: string | null;
  /** Whether every authorization response carries `iss` (RFC 9207). */
  readonly responseIssSupported: boolean;
  /** Whether PKCE with S256 is offered; `null` where nothing is announced. */
  readonly pkceS256Supported: boolean | null;
  /** How clients may authenticate at the token endpoint; `null` where nothing is announced. */
  readonly tokenEndpointAuthMethods: readonly string[] | null;
  /** How ID tokens may be signed; `null` where nothing is announced. */
  readonly idTokenAlgorithms: readonly string[] | null;
}

/** Why metadata is refused. */
export type MetadataRefusal =
  /** What was asked for cannot be an issuer: an `https` address of a named host without query and fragment. */
  | "issuer"
  /** The document speaks for another issuer. */
  | "issuer_mismatch"
  /** An endpoint is missing, or is not an `https` address of a named host. */
  | "endpoint"
  /** A member has the wrong type. */
  | "malformed";

/** What looking for metadata leads to. */
export type MetadataLookup =
  | { readonly kind: "found"; readonly metadata: ServerMetadata }
  /** The server cannot be reached, or does not answer with metadata. */
  | { readonly kind: "unavailable" }
  /** The server answers with metadata that must not be used. */
  | { readonly kind: "refused"; readonly reason: MetadataRefusal };

/** Metadata by issuer. */
export interface MetadataDirectory {
  /** Finds the metadata of an issuer. */
  find(issuer: string): Promise<MetadataLookup>;
}

/** How metadata is fetched and remembered. */
export interface MetadataDirectoryOptions extends EndpointOptions {
  /** Sends the requests. */
  readonly fetch: Fetch;
  /** Seconds since 1970. */
  readonly now?: Clock;
  /** Milliseconds until a document must have arrived; 5,000 by default. */
  readonly timeoutMs?: number;
  /** Largest document in bytes; 512 KiB by default. */
  readonly maxBytes?: number;
  /** How long a document counts as current; 600 by default. */
  readonly maxAgeSeconds?: number;
  /** How long a document is used while its server fails; 86,400 by default. */
  readonly staleSeconds?: number;
  /** How many issuers are remembered; 1,000 by default. */
  readonly maxIssuers?: number;
}

/**
 * Creates an empty directory; one for the whole process is right.
 *
 * A document that fails to arrive, or arrives changed for the worse, does not replace a good one.
 *
 * @param options How metadata is fetched and remembered.
 * @returns The directory.
 */
export function createMetadataDirectory(options: MetadataDirectoryOptions): MetadataDirectory {
  const { fetch, timeoutMs = 5000, maxBytes = 524_288, maxIssuers = 1000, ...rest } = options;

  async function load(issuer: string): Promise<Load<ServerMetadata, MetadataRefusal | "unavailable">> {
    for (const url of wellKnownAddresses(issuer)) {
      const init = { headers: { accept: "application/json" } };
      const answer = await sendForJson(fetch, { url, init }, { timeoutMs, maxBytes });
      if (answer.kind === "answered" && answer.status === 200 && answer.json !== null) {
        return readServerMetadata(answer.json, { ...rest, issuer });
      }
      if (!isNotThere(answer)) break;
    }
    return { kind: "failed", reason: "unavailable" };
  }

  const cache = createRemoteCache(load, { ...rest, maxEntries: maxIssuers });

  return {
    async find(issuer) {
      if (!isIssuer(issuer, rest)) return { kind: "refused", reason: "issuer" };
      const { value, failure } = await cache.find(issuer);
      if (value !== null) return { kind: "found", metadata: value };
      if (failure === null || failure === "unavailable") return { kind: "unavailable" };
      return { kind: "refused", reason: failure };
    },
  };
}

/**
 * Reads a metadata document.
 *
 * @param document The JSON document.
 * @param options The issuer it has to speak for, and what endpoints may be.
 * @returns The metadata, or why it is refused.
 */
export function readServerMetadata(
  document: JsonObject,
  options: EndpointOptions & { readonly issuer: string },
): Load<ServerMetadata, MetadataRefusal> {
  if (document.issuer !== options.issuer) return { kind: "failed", reason: "issuer_mismatch" };
  const endpoint = (name: string) => isAbsent(document[name]) ? null : readEndpoint(document[name], options);
  const authorizationEndpoint = endpoint("authorization_endpoint");
  const tokenEndpoint = endpoint("token_endpoint");
  const jwksUri = endpoint("jwks_uri");
  const optional = {
    revocationEndpoint: endpoint("revocation_endpoint"),
    endSessionEndpoint: endpoint("end_session_endpoint"),
    userinfoEndpoint: endpoint("userinfo_endpoint"),
    pushedAuthorizationRequestEndpoint: endpoint("pushed_authorization_request_endpoint"),
  };
  if (!authorizationEndpoint || !tokenEndpoint || !jwksUri || Object.values(optional).includes(undefined)) {
    return { kind: "failed", reason: "endpoint" };
  }
  const { authorization_response_iss_parameter_supported: responseIssSupported = false } = document;
  const challengeMethods = readNames(document.code_challenge_methods_supported);
  const tokenEndpointAuthMethods = readNames(document.token_endpoint_auth_methods_supported);
  const idTokenAlgorithms = readNames(document.id_token_signing_alg_values_supported);
  if (
    typeof responseIssSupported !== "boolean" || challengeMethods === undefined ||
    tokenEndpointAuthMethods === undefined || idTokenAlgorithms === undefined
  ) return { kind: "failed", reason: "malformed" };
  return {
    kind: "loaded",
    value: {
      issuer: options.issuer,
      authorizationEndpoint,
      tokenEndpoint,
      jwksUri,
      ...optional as { readonly [name in keyof typeof optional]: string | null },
      responseIssSupported,
      pkceS256Supported: challengeMethods?.includes("S256") ?? null,
      tokenEndpointAuthMethods,
      idTokenAlgorithms,
    },
  };
}

/** Some servers write `null` where they have nothing to say. */
function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

/** A list of names; `null` where there is none, `undefined` where it is something else. */
function readNames(value: unknown): readonly string[] | null | undefined {
  if (isAbsent(value)) return null;
  return Array.isArray(value) && value.every((name) => typeof name === "string") ? value : undefined;
}

function isIssuer(issuer: string, options: EndpointOptions): boolean {
  return !/[?#]/.test(issuer) && readEndpoint(issuer, options) !== undefined;
}

/** OpenID Connect appends the well-known path to the issuer, RFC 8414 (section 3.1) inserts it behind the host. */
function wellKnownAddresses(issuer: string): readonly [string, string] {
  const { origin } = new URL(issuer);
  const path = new URL(issuer).pathname.replace(/\/$/, "");
  return [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
}

/** Whether an answer says that there is no document at this address, rather than that something is broken. */
function isNotThere(answer: OutboundAnswer): boolean {
  return answer.kind === "answered" && answer.status < 500 && answer.status !== 429;
}
