/**
 * Making tokens. Nothing is stored here; the grants do that, together with what they use up.
 *
 * Access tokens are JWTs (RFC 9068) where they are meant for an API, and opaque `oat_…` texts where they are meant for the
 * token service alone. Both are recognised by their hash when they come back.
 *
 * @module
 */

import { SignJWT } from "@panva/jose";
import { hashOf, type JsonObject } from "../encoding.ts";
import { drawToken } from "../random.ts";
import { accessTokenHashOf, userClaimsOf } from "./claims.ts";
import type { Client } from "./client.ts";
import type { Context } from "./context.ts";
import type { SigningAlg } from "./signing_keys.ts";
import type { AccessTokenRecord, GrantRecord, Hashed, IssuedPair, RefreshTokenRecord } from "./token_store.ts";
import type { User } from "./user.ts";

/** The answer of the token endpoint. */
export interface TokenResponse {
  /** The access token. */
  readonly access_token: string;
  /** How to present it. */
  readonly token_type: "Bearer";
  /** Seconds until it ends. */
  readonly expires_in: number;
  /** What it allows; absent if nothing in particular. */
  readonly scope?: string;
  /** What the next access token is had with. */
  readonly refresh_token?: string;
  /** Who signed in. */
  readonly id_token?: string;
}

/** A new token and the record that will recognise it. */
export interface Issued<T> extends Hashed<T> {
  /** The token. */
  readonly token: string;
}

/** What an access token is about. */
export interface AccessTokenOrder {
  /** The client it is for. */
  readonly client: Pick<Client, "clientId" | "vendorId">;
  /** The grant it belongs to; `null` where a client acts for itself. */
  readonly grantId: string | null;
  /** Whom it stands for. */
  readonly sub: string;
  /** What it allows. */
  readonly scopes: readonly string[];
  /** The API it is for; `null` makes it opaque. */
  readonly audience: string | null;
  /** Seconds until it ends. */
  readonly lifeSeconds: number;
}

/** Makes an access token. */
export async function issueAccessToken(
  context: Context,
  { client, grantId, sub, scopes, audience, lifeSeconds }: AccessTokenOrder,
): Promise<Issued<AccessTokenRecord>> {
  const createdAt = context.now();
  const expiresAt = createdAt + lifeSeconds;
  const { clientId, vendorId } = client;
  const token = audience === null ? `oat_${drawToken(context.random)}` : await sign(context, {
    alg: "RS256",
    typ: "at+jwt",
    claims: {
      iss: context.issuer,
      sub,
      aud: audience,
      client_id: clientId,
      iat: createdAt,
      exp: expiresAt,
      jti: drawToken(context.random, 16),
      ...(scopes.length > 0 && { scope: scopes.join(" ") }),
      ...(vendorId !== null && { vendor_id: vendorId }),
    },
  });
  const record: AccessTokenRecord = { grantId, clientId, sub, scopes, audience, createdAt, expiresAt };
  return { token, hash: await hashOf(token), record };
}

/** What the tokens of a person are about. */
export interface PersonOrder {
  /** The client they are for. */
  readonly client: Client;
  /** The person. */
  readonly user: User;
  /** The grant they belong to. */
  readonly grant: GrantRecord;
  /** What the access token allows: the grant's scopes, or fewer. */
  readonly scopes: readonly string[];
  /** What the client asked the ID token to repeat; `null` on refresh. */
  readonly nonce: string | null;
}

/** The tokens of a person, and the answer that carries them. */
export interface PersonTokens extends IssuedPair {
  /** The answer. */
  readonly response: TokenResponse;
}

/** Makes everything that a grant entitles its client to at once. */
export async function issueForPerson(context: Context, order: PersonOrder): Promise<PersonTokens> {
  const { client, user, grant, scopes } = order;
  const access = await issueAccessToken(context, {
    client,
    grantId: grant.id,
    sub: user.sub,
    scopes,
    audience: grant.audience,
    lifeSeconds: context.lifetimes.accessToken,
  });
  const refresh = client.grantTypes.includes("refresh_token") ? await issueRefreshToken(context, grant) : null;
  const response: TokenResponse = {
    ...createTokenResponse(access),
    ...(refresh !== null && { refresh_token: refresh.token }),
    ...(scopes.includes("openid") && { id_token: await issueIdToken(context, order, access.token) }),
  };
  return { access, refresh, response };
}

async function issueRefreshToken(context: Context, grant: GrantRecord): Promise<Issued<RefreshTokenRecord>> {
  const token = `ort_${drawToken(context.random)}`;
  const record: RefreshTokenRecord = {
    grantId: grant.id,
    clientId: grant.clientId,
    expiresAt: context.now() + context.lifetimes.refreshTokenIdle,
    isUsed: false,
  };
  return { token, hash: await hashOf(token), record };
}

async function issueIdToken(context: Context, order: PersonOrder, accessToken: string): Promise<string> {
  const { client, user, grant, scopes, nonce } = order;
  const iat = context.now();
  return await sign(context, {
    alg: client.idTokenAlg,
    typ: "JWT",
    claims: {
      ...userClaimsOf(user, scopes),
      iss: context.issuer,
      sub: user.sub,
      aud: client.clientId,
      iat,
      exp: iat + context.lifetimes.idToken,
      auth_time: grant.authTime,
      sid: grant.sid,
      at_hash: await accessTokenHashOf(accessToken),
      ...(nonce !== null && { nonce }),
    },
  });
}

async function sign(
  { signingKeys }: Context,
  { alg, typ, claims }: { readonly alg: SigningAlg; readonly typ: string; readonly claims: JsonObject },
): Promise<string> {
  const { kid, privateKey } = await signingKeys.active(alg);
  return await new SignJWT({ ...claims }).setProtectedHeader({ alg, kid, typ }).sign(privateKey);
}

/** The answer that carries an access token alone. */
export function createTokenResponse({ token, record }: Issued<AccessTokenRecord>): TokenResponse {
  return {
    access_token: token,
    token_type: "Bearer",
    expires_in: record.expiresAt - record.createdAt,
    ...(record.scopes.length > 0 && { scope: record.scopes.join(" ") }),
  };
}
