/**
 * Grants, and the codes and tokens that hang on them.
 *
 * A grant is one approval by one person for one client. Everything issued under it names it and is worth something only
 * as long as it exists, so revoking is one deletion and kills exactly that. Each operation that must happen at most once
 * is one conditional commit: whoever loses gets `false`.
 *
 * What has been used stays until the grant ends, because a second use is how theft shows.
 *
 * @module
 */

import type { Records, Stored } from "../store/records.ts";
import { listAll } from "./list_all.ts";
import { accessTokenKey, codeKey, grantKey, grantOfUserKey, refreshTokenKey, replayKey } from "./record_keys.ts";

/** One approval by one person for one client. */
export interface GrantRecord {
  /** Its id. */
  readonly id: string;
  /** The client. */
  readonly clientId: string;
  /** The person. */
  readonly sub: string;
  /** What was approved. */
  readonly scopes: readonly string[];
  /** The API that its tokens are for; `null` if only the token service itself. */
  readonly audience: string | null;
  /** The browser session it was given in. */
  readonly sid: string;
  /** When the person's password was checked, in seconds since 1970. */
  readonly authTime: number;
  /** When it was given, in seconds since 1970. */
  readonly createdAt: number;
  /** When everything under it ends at the latest, in seconds since 1970. Refreshing does not move it. */
  readonly expiresAt: number;
}

/** An authorization code. */
export interface CodeRecord {
  /** Its grant. */
  readonly grantId: string;
  /** The client it was issued to. */
  readonly clientId: string;
  /** Where it was sent. */
  readonly redirectUri: string;
  /** The `S256` challenge that its redeemer has to meet. */
  readonly challenge: string;
  /** What the ID token has to repeat. */
  readonly nonce: string | null;
  /** Its end, in seconds since 1970. */
  readonly expiresAt: number;
  /** Whether it has been redeemed. */
  readonly isUsed: boolean;
}

/** An access token, opaque or JWT. */
export interface AccessTokenRecord {
  /** Its grant; `null` where a client acts for itself. */
  readonly grantId: string | null;
  /** The client it was issued to. */
  readonly clientId: string;
  /** Whom it stands for. */
  readonly sub: string;
  /** What it allows. */
  readonly scopes: readonly string[];
  /** The API it is for. */
  readonly audience: string | null;
  /** When it was issued, in seconds since 1970. */
  readonly createdAt: number;
  /** Its end, in seconds since 1970. */
  readonly expiresAt: number;
}

/** A refresh token. What it allows stands in its grant: a successor can neither narrow nor widen it. */
export interface RefreshTokenRecord {
  /** Its grant. */
  readonly grantId: string;
  /** The client it was issued to. */
  readonly clientId: string;
  /** Its end if it is not used before, in seconds since 1970; that of its grant may come first. */
  readonly expiresAt: number;
  /** Whether a successor exists. */
  readonly isUsed: boolean;
}

/** A record under the hash of its token. */
export interface Hashed<T> {
  /** Hash of the token. */
  readonly hash: string;
  /** What it stands for. */
  readonly record: T;
}

/** New tokens that are saved together. */
export interface IssuedPair {
  /** The access token. */
  readonly access: Hashed<AccessTokenRecord>;
  /** The refresh token, if there is one. */
  readonly refresh: Hashed<RefreshTokenRecord> | null;
}

/** Remembers grants, codes and tokens. */
export interface TokenStore {
  /** Saves a grant and the code that stands for it; both go when the code expires, unless it is redeemed. */
  saveApproval(grant: GrantRecord, code: Hashed<CodeRecord>): Promise<void>;
  /** Finds a code, used or not. */
  findCode(hash: string): Promise<Stored<CodeRecord> | null>;
  /** Makes a code worthless. */
  burnCode(hash: string): Promise<void>;
  /** Marks a code as used and saves what it was exchanged for; `false` if it was used or its grant revoked meanwhile. */
  exchangeCode(code: Stored<CodeRecord>, grant: Stored<GrantRecord>, issued: IssuedPair): Promise<boolean>;
  /** Finds a refresh token, used or not. */
  findRefreshToken(hash: string): Promise<Stored<RefreshTokenRecord> | null>;
  /** Marks a refresh token as used and saves its successors; `false` if it was used or its grant revoked meanwhile. */
  rotate(token: Stored<RefreshTokenRecord>, grant: Stored<GrantRecord>, successors: Successors): Promise<boolean>;
  /** Finds the sealed answer that a refresh token was exchanged for, while it may be repeated. */
  findReplay(hash: string): Promise<string | null>;
  /** Saves an access token without a grant. */
  saveAccessToken(token: Hashed<AccessTokenRecord>): Promise<void>;
  /** Finds a living access token. */
  findAccessToken(hash: string): Promise<AccessTokenRecord | null>;
  /** Makes an access token worthless. */
  revokeAccessToken(hash: string): Promise<void>;
  /** Finds a living grant. */
  findGrant(grantId: string): Promise<Stored<GrantRecord> | null>;
  /** Ends a grant and with it everything issued under it. */
  revokeGrant(grantId: string): Promise<void>;
  /** Ends every grant of a user. */
  revokeGrantsOf(sub: string): Promise<void>;
}

/** What a refresh token is exchanged for. */
export interface Successors extends IssuedPair {
  /** The sealed answer and when it stops being repeated; `null` if it is never repeated. */
  readonly replay: { readonly sealed: string; readonly expiresAt: number } | null;
}

/** Creates the store. */
export function createTokenStore(records: Records): TokenStore {
  function setGrant(grant: GrantRecord, expiresAt: number) {
    return [
      { key: grantKey(grant.id), value: grant, expiresAt },
      { key: grantOfUserKey(grant.sub, grant.id), value: true, expiresAt },
    ];
  }

  function setPair({ access, refresh }: IssuedPair, grant: GrantRecord) {
    const sets: { key: readonly string[]; value: unknown; expiresAt: number }[] = [
      { key: accessTokenKey(access.hash), value: access.record, expiresAt: access.record.expiresAt },
    ];
    if (refresh !== null) {
      sets.push({ key: refreshTokenKey(refresh.hash), value: refresh.record, expiresAt: grant.expiresAt });
    }
    return sets;
  }

  const checkOf = ({ key, version }: Stored<unknown>) => ({ key, version });

  async function findGrant(grantId: string): Promise<Stored<GrantRecord> | null> {
    return await records.find<GrantRecord>(grantKey(grantId));
  }

  async function revokeGrant(grantId: string): Promise<void> {
    const stored = await findGrant(grantId);
    if (stored !== null) {
      await records.commit({ deletes: [stored.key, grantOfUserKey(stored.value.sub, grantId)] });
    }
  }

  return {
    async saveApproval(grant: GrantRecord, { hash, record }: Hashed<CodeRecord>): Promise<void> {
      const { expiresAt } = record;
      await records.commit({
        sets: [...setGrant(grant, expiresAt), { key: codeKey(hash), value: record, expiresAt }],
      });
    },

    async findCode(hash: string): Promise<Stored<CodeRecord> | null> {
      return await records.find<CodeRecord>(codeKey(hash));
    },

    async burnCode(hash: string): Promise<void> {
      await records.commit({ deletes: [codeKey(hash)] });
    },

    async exchangeCode(code: Stored<CodeRecord>, grant: Stored<GrantRecord>, issued: IssuedPair): Promise<boolean> {
      const { expiresAt } = grant.value;
      return await records.commit({
        checks: [checkOf(code), checkOf(grant)],
        sets: [
          ...setGrant(grant.value, expiresAt),
          { key: code.key, value: { ...code.value, isUsed: true }, expiresAt },
          ...setPair(issued, grant.value),
        ],
      });
    },

    async findRefreshToken(hash: string): Promise<Stored<RefreshTokenRecord> | null> {
      return await records.find<RefreshTokenRecord>(refreshTokenKey(hash));
    },

    async rotate(token: Stored<RefreshTokenRecord>, grant: Stored<GrantRecord>, successors: Successors) {
      const { replay } = successors;
      const hash = token.key.at(-1)!;
      return await records.commit({
        checks: [checkOf(token), checkOf(grant)],
        sets: [
          { key: token.key, value: { ...token.value, isUsed: true }, expiresAt: grant.value.expiresAt },
          ...setPair(successors, grant.value),
          ...replay === null ? [] : [{ key: replayKey(hash), value: replay.sealed, expiresAt: replay.expiresAt }],
        ],
      });
    },

    async findReplay(hash: string): Promise<string | null> {
      return (await records.find<string>(replayKey(hash)))?.value ?? null;
    },

    async saveAccessToken({ hash, record }: Hashed<AccessTokenRecord>): Promise<void> {
      await records.commit({ sets: [{ key: accessTokenKey(hash), value: record, expiresAt: record.expiresAt }] });
    },

    async findAccessToken(hash: string): Promise<AccessTokenRecord | null> {
      return (await records.find<AccessTokenRecord>(accessTokenKey(hash)))?.value ?? null;
    },

    async revokeAccessToken(hash: string): Promise<void> {
      await records.commit({ deletes: [accessTokenKey(hash)] });
    },

    findGrant,
    revokeGrant,

    async revokeGrantsOf(sub: string): Promise<void> {
      for await (const { key } of listAll(records, grantOfUserKey(sub, "").slice(0, -1))) {
        await revokeGrant(key.at(-1)!);
      }
    },
  };
}
