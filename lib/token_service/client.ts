/**
 * Clients: who may ask for tokens, where answers go, and what may be asked.
 *
 * Everything is checked when a client is registered, so that the endpoints only ever compare with what stands here.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import { equalsConstantTime, hashOf } from "../encoding.ts";
import { drawToken, type Random } from "../random.ts";
import { Secret } from "../secret.ts";
import type { Records, Stored } from "../store/records.ts";
import { listAll } from "./list_all.ts";
import { clientKey, userKey } from "./record_keys.ts";
import type { SigningAlg } from "./signing_keys.ts";

/** What a client may exchange for tokens. */
export type GrantType = "authorization_code" | "refresh_token" | "client_credentials";

/** What is said when a client is registered. */
export interface ClientRegistration {
  /** Drawn at random unless given: unreserved characters only. */
  readonly clientId?: string;
  /** Drawn at random unless given; only for seeds. Unreserved characters only, because clients encode Basic differently. */
  readonly clientSecret?: string;
  /** What people are told they sign in to. */
  readonly name: string;
  /** Where codes may be sent: compared as texts, character by character. */
  readonly redirectUris?: readonly string[];
  /** Where the browser may be sent after a logout: compared as texts. */
  readonly postLogoutRedirectUris?: readonly string[];
  /** `authorization_code` unless given. Refresh tokens go only to clients that list `refresh_token`. */
  readonly grantTypes?: readonly GrantType[];
  /** Scopes the client may ask for. */
  readonly scopes?: readonly string[];
  /** Audiences the client may ask for. */
  readonly audiences?: readonly string[];
  /** The audience of requests that name none; one of `audiences`. */
  readonly defaultAudience?: string;
  /** A client that cannot keep a secret, such as a single-page or native application. */
  readonly isPublic?: boolean;
  /** A client of the operator's own: nobody is asked for consent. */
  readonly firstParty?: boolean;
  /** The tenant the client belongs to; written into its access tokens as `vendor_id`. */
  readonly vendorId?: string;
  /** How its ID tokens are signed; `RS256` unless given. */
  readonly idTokenAlg?: SigningAlg;
}

/** A registered client. */
export interface Client {
  /** Its id. */
  readonly clientId: string;
  /** What people are told they sign in to. */
  readonly name: string;
  /** Where codes may be sent. */
  readonly redirectUris: readonly string[];
  /** Where the browser may be sent after a logout. */
  readonly postLogoutRedirectUris: readonly string[];
  /** What it may exchange for tokens. */
  readonly grantTypes: readonly GrantType[];
  /** Scopes it may ask for. */
  readonly scopes: readonly string[];
  /** Audiences it may ask for. */
  readonly audiences: readonly string[];
  /** The audience of requests that name none. */
  readonly defaultAudience: string | null;
  /** Whether it has no secret. */
  readonly isPublic: boolean;
  /** Whether consent is taken for granted. */
  readonly firstParty: boolean;
  /** The tenant it belongs to. */
  readonly vendorId: string | null;
  /** How its ID tokens are signed. */
  readonly idTokenAlg: SigningAlg;
  /** A disabled client gets nothing, and what it has got is worth nothing while it is disabled. */
  readonly isDisabled: boolean;
  /** When it was registered, in seconds since 1970. */
  readonly createdAt: number;
  /** When it last changed, in seconds since 1970. */
  readonly updatedAt: number;
}

/** What can be changed later. */
export type ClientChanges = Partial<
  Pick<
    Client,
    | "name"
    | "redirectUris"
    | "postLogoutRedirectUris"
    | "grantTypes"
    | "scopes"
    | "audiences"
    | "defaultAudience"
    | "firstParty"
    | "vendorId"
    | "idTokenAlg"
    | "isDisabled"
  >
>;

/** A client and, this once, its secret. */
export interface CreatedClient {
  /** The client. */
  readonly client: Client;
  /** Its secret; `null` for a public client. Only a hash of it is kept. */
  readonly clientSecret: Secret | null;
}

/** Remembers clients. */
export interface ClientRegistry {
  /**
   * Registers a client.
   *
   * @throws {TypeError} If the registration is not sound, or its id is taken.
   */
  create(registration: ClientRegistration): Promise<CreatedClient>;
  /** Finds a client; `null` where there is none. */
  find(clientId: string): Promise<Client | null>;
  /** Lists all clients, newest first. */
  list(): Promise<readonly Client[]>;
  /**
   * Changes what is named and nothing else; `null` where there is no such client.
   *
   * @throws {TypeError} If the client would not be sound afterwards.
   */
  update(clientId: string, changes: ClientChanges): Promise<Client | null>;
  /** Removes a client; its tokens are worth nothing from now on. `false` where there was none. */
  remove(clientId: string): Promise<boolean>;
  /** Replaces the secret and answers the new one; `null` for a public or unknown client. */
  rotateSecret(clientId: string): Promise<Secret | null>;
  /**
   * Finds the client that a secret belongs to.
   *
   * @param clientId Who it says it is.
   * @param secret What it shows; `null` if nothing.
   * @returns The client; `null` if it is unknown, disabled, or the secret is not its own.
   */
  authenticate(clientId: string, secret: string | null): Promise<Client | null>;
}

interface ClientRecord extends Client {
  readonly secretHash: string | null;
}

/** Unreserved characters: the ones that every client encodes alike. The length keeps store keys short. */
const CREDENTIAL_REGEXP = /^[A-Za-z0-9\-._~]{1,128}$/;

const GRANT_TYPES: readonly GrantType[] = ["authorization_code", "refresh_token", "client_credentials"];

/** What an authorization answer consists of; a redirect URI that carries one of these would confuse the client. */
const ANSWER_PARAMETERS = ["code", "state", "iss", "error", "error_description", "error_uri", "response"];

/** Creates the registry. */
export function createClientRegistry(
  { records, random, now }: { readonly records: Records; readonly random: Random; readonly now: Clock },
): ClientRegistry {
  /** Is compared with where there is no client, so that an unknown id takes as long as a wrong secret. */
  const nobodysHash = drawToken(random);

  async function findStored(clientId: string): Promise<Stored<ClientRecord> | null> {
    return CREDENTIAL_REGEXP.test(clientId) ? await records.find<ClientRecord>(clientKey(clientId)) : null;
  }

  /** Reads, changes, and writes unless somebody else wrote meanwhile; then again. */
  async function change(clientId: string, apply: (record: ClientRecord) => ClientRecord): Promise<ClientRecord | null> {
    while (true) {
      const stored = await findStored(clientId);
      if (stored === null) return null;
      const { key, version } = stored;
      const value = { ...apply(stored.value), updatedAt: now() };
      if (await records.commit({ checks: [{ key, version }], sets: [{ key, value }] })) return value;
    }
  }

  return {
    async create(registration: ClientRegistration): Promise<CreatedClient> {
      const { clientId = random(16).toHex(), isPublic = false, clientSecret = drawToken(random) } = registration;
      const client: Client = {
        clientId,
        name: registration.name,
        redirectUris: registration.redirectUris ?? [],
        postLogoutRedirectUris: registration.postLogoutRedirectUris ?? [],
        grantTypes: registration.grantTypes ?? ["authorization_code"],
        scopes: registration.scopes ?? [],
        audiences: registration.audiences ?? [],
        defaultAudience: registration.defaultAudience ?? null,
        isPublic,
        firstParty: registration.firstParty ?? false,
        vendorId: registration.vendorId ?? null,
        idTokenAlg: registration.idTokenAlg ?? "RS256",
        isDisabled: false,
        createdAt: now(),
        updatedAt: now(),
      };
      checkClient(client);
      if (!CREDENTIAL_REGEXP.test(clientSecret)) fail("its secret has other than 1 to 128 unreserved characters");
      const record: ClientRecord = { ...client, secretHash: isPublic ? null : await hashOf(clientSecret) };
      const created = await records.commit({
        // A client that has the id of a user could be taken for that user by whoever reads only `sub`.
        checks: [{ key: clientKey(clientId), version: null }, { key: userKey(clientId), version: null }],
        sets: [{ key: clientKey(clientId), value: record }],
      });
      if (!created) fail("its id is taken");
      return { client, clientSecret: isPublic ? null : new Secret(clientSecret) };
    },

    async find(clientId: string): Promise<Client | null> {
      const stored = await findStored(clientId);
      return stored === null ? null : withoutSecret(stored.value);
    },

    async list(): Promise<readonly Client[]> {
      const found: Client[] = [];
      for await (const { value } of listAll<ClientRecord>(records, clientKey("").slice(0, -1))) {
        found.push(withoutSecret(value));
      }
      return found.toSorted((a, b) => b.createdAt - a.createdAt);
    },

    async update(clientId: string, changes: ClientChanges): Promise<Client | null> {
      const changed = await change(clientId, (record) => {
        const next = { ...record, ...changes };
        checkClient(next);
        return next;
      });
      return changed === null ? null : withoutSecret(changed);
    },

    async remove(clientId: string): Promise<boolean> {
      const stored = await findStored(clientId);
      if (stored === null) return false;
      const { key, version } = stored;
      return await records.commit({ checks: [{ key, version }], deletes: [key] });
    },

    async rotateSecret(clientId: string): Promise<Secret | null> {
      const secret = drawToken(random);
      const secretHash = await hashOf(secret);
      const changed = await change(
        clientId,
        (record) => record.secretHash === null ? record : { ...record, secretHash },
      );
      return changed?.secretHash === secretHash ? new Secret(secret) : null;
    },

    async authenticate(clientId: string, secret: string | null): Promise<Client | null> {
      const record = (await findStored(clientId))?.value ?? null;
      const isOwn = equalsConstantTime(await hashOf(secret ?? ""), record?.secretHash ?? nobodysHash);
      if (record === null || record.isDisabled) return null;
      return record.isPublic || isOwn ? withoutSecret(record) : null;
    },
  };
}

function withoutSecret({ secretHash: _, ...client }: ClientRecord): Client {
  return client;
}

function fail(state: string): never {
  throw new TypeError(`Cannot register client: ${state}`);
}

function checkClient(client: Client): void {
  if (!CREDENTIAL_REGEXP.test(client.clientId)) fail("its id has other than 1 to 128 unreserved characters");
  if (client.name.trim() === "") fail("its name is empty");
  for (const uri of [...client.redirectUris, ...client.postLogoutRedirectUris]) {
    const fault = findRedirectUriFault(uri);
    if (fault !== null) fail(`redirect URI ${JSON.stringify(uri)} ${fault}`);
  }
  for (const grantType of client.grantTypes) {
    if (!GRANT_TYPES.includes(grantType)) fail(`unknown grant type ${JSON.stringify(grantType)}`);
  }
  if (client.grantTypes.includes("authorization_code") && client.redirectUris.length === 0) {
    fail("it has no redirect URI");
  }
  if (client.isPublic && client.grantTypes.includes("client_credentials")) {
    fail("a public client cannot act for itself");
  }
  if (client.defaultAudience !== null && !client.audiences.includes(client.defaultAudience)) {
    fail("its default audience is not one of its audiences");
  }
}

/**
 * Says what is wrong with a redirect URI; `null` if nothing is.
 *
 * Allowed are `https`, `http` on loopback, and schemes in the form of a reversed domain name, which native applications
 * own ([RFC 8252, section 7](https://www.rfc-editor.org/rfc/rfc8252#section-7)).
 */
export function findRedirectUriFault(uri: string): string | null {
  if (!/^[\x21-\x7e]{1,2000}$/.test(uri) || /[\\*"<>]/.test(uri)) return "holds characters that no address needs";
  const url = URL.parse(uri);
  if (url === null) return "is not an absolute address";
  if (uri.includes("#")) return "has a fragment";
  if (url.username !== "" || url.password !== "") return "holds credentials";
  if (ANSWER_PARAMETERS.some((name) => url.searchParams.has(name))) return "holds a parameter of the answer";
  switch (url.protocol) {
    case "https:":
      return null;
    case "http:":
      return isLoopback(url.hostname) ? null : "is plain http to another machine";
    default:
      return /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(url.protocol) ? null : "has a scheme that nobody owns";
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}
