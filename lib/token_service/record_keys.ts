/**
 * The schema: where each kind of record of the token service stands, what it holds and how long it lives. Secrets appear
 * as hashes only, and every kind has a prefix of its own, so that a handle shown as another kind is simply not there.
 *
 * @module
 */

import type { RecordKey } from "../store/records.ts";

const ROOT = "token_service";

/** `ClientRecord`, until removed. */
export const clientKey = (clientId: string): RecordKey => [ROOT, "client", clientId];

/** `UserRecord`, until removed. */
export const userKey = (sub: string): RecordKey => [ROOT, "user", sub];

/** The `sub` of the user whose e-mail address has that hash, until the user is removed. */
export const userByEmailKey = (hash: string): RecordKey => [ROOT, "user_by_email", hash];

/** `BrowserSession`, until its end. */
export const sessionKey = (hash: string): RecordKey => [ROOT, "session", hash];

/** `true` for each browser session of a user, until that session's end. */
export const sessionOfUserKey = (sub: string, hash: string): RecordKey => [ROOT, "session_of_user", sub, hash];

/** `GrantRecord`, until the code expires or, once that is redeemed, until the tokens' absolute end. */
export const grantKey = (grantId: string): RecordKey => [ROOT, "grant", grantId];

/** `true` for each grant of a user, as long as the grant. */
export const grantOfUserKey = (sub: string, grantId: string): RecordKey => [ROOT, "grant_of_user", sub, grantId];

/** `CodeRecord`, until it expires or, once redeemed, as long as the grant: a second use must be seen. */
export const codeKey = (hash: string): RecordKey => [ROOT, "code", hash];

/** `AccessTokenRecord`, until the token expires. */
export const accessTokenKey = (hash: string): RecordKey => [ROOT, "access_token", hash];

/** `RefreshTokenRecord`, as long as the grant: a second use must be seen. */
export const refreshTokenKey = (hash: string): RecordKey => [ROOT, "refresh_token", hash];

/** The sealed answer that a refresh token was exchanged for, for as long as it is repeated. */
export const replayKey = (hash: string): RecordKey => [ROOT, "replay", hash];

/** `AttemptsRecord`, until failed attempts are forgotten. */
export const attemptsKey = (hash: string): RecordKey => [ROOT, "attempts", hash];

/** `SigningKeyRecord`, until retired. */
export const signingKeyKey = (alg: string, kid: string): RecordKey => [ROOT, "signing_key", alg, kid];

/** The `kid` that signs, one an algorithm. */
export const activeSigningKeyKey = (alg: string): RecordKey => [ROOT, "active_signing_key", alg];
