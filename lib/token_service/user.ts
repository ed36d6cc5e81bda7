/**
 * Users: the people who sign in.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import { hashOf, type JsonObject } from "../encoding.ts";
import { drawToken, type Random } from "../random.ts";
import type { Records } from "../store/records.ts";
import { createPasswordHash, isPasswordHash } from "./password.ts";
import { clientKey, userByEmailKey, userKey } from "./record_keys.ts";

/** What is said when a user is created: `password` or, for seeds, `passwordHash`. */
export interface UserRegistration {
  /** How tokens name the user; drawn at random unless given. */
  readonly sub?: string;
  /** The address to sign in with. */
  readonly email: string;
  /** The name to show. */
  readonly name: string;
  /** The password. */
  readonly password?: string;
  /** The password as `createPasswordHash` made it. */
  readonly passwordHash?: string;
  /** More OpenID Connect claims, such as `given_name` or `email_verified`. */
  readonly claims?: JsonObject;
}

/** A user. */
export interface User {
  /** How tokens name the user; never used again for anybody else. */
  readonly sub: string;
  /** The address to sign in with, in lower case. */
  readonly email: string;
  /** The name to show. */
  readonly name: string;
  /** More OpenID Connect claims. */
  readonly claims: JsonObject;
  /** When the user was created, in seconds since 1970. */
  readonly createdAt: number;
}

/** A user with the password's hash: for the sign-in alone. */
export interface UserRecord extends User {
  /** What `createPasswordHash` made. */
  readonly passwordHash: string;
}

/** Remembers users. */
export interface UserDirectory {
  /**
   * Creates a user.
   *
   * @throws {TypeError} If the registration is not sound, or its address or `sub` is taken.
   */
  create(registration: UserRegistration): Promise<User>;
  /** Finds a user by `sub`; `null` where there is none. */
  find(sub: string): Promise<User | null>;
  /** Finds a user by address, in whatever case it is typed; `null` where there is none. */
  findByEmail(email: string): Promise<User | null>;
}

/** What the sign-in needs on top. */
export interface UserStore extends UserDirectory {
  /** Finds a user with the password's hash. */
  findRecordByEmail(email: string): Promise<UserRecord | null>;
}

/** Creates the directory. */
export function createUserStore(options: {
  readonly records: Records;
  readonly random: Random;
  readonly now: Clock;
  readonly passwordRounds: number;
}): UserStore {
  const { records, random, now, passwordRounds } = options;

  async function findRecord(sub: string): Promise<UserRecord | null> {
    return (await records.find<UserRecord>(userKey(sub)))?.value ?? null;
  }

  async function findRecordByEmail(email: string): Promise<UserRecord | null> {
    const index = await records.find<string>(userByEmailKey(await hashOf(normalizeEmail(email))));
    return index === null ? null : await findRecord(index.value);
  }

  return {
    async create(registration: UserRegistration): Promise<User> {
      const { sub = drawToken(random, 16), name, password, claims = {} } = registration;
      const email = normalizeEmail(registration.email);
      if (!/^[^@\s]{1,64}@[^@\s]{1,255}$/.test(email)) fail("its e-mail address is not one");
      if (!/^[\x21-\x7e]{1,255}$/.test(sub)) fail("its sub has other than 1 to 255 printable ASCII characters");
      const passwordHash = password === undefined
        ? registration.passwordHash ?? fail("it has neither password nor hash")
        : await createPasswordHash(password, { rounds: passwordRounds, random });
      if (!isPasswordHash(passwordHash)) fail("expected pbkdf2-sha256$rounds$salt$hash as password hash");
      const user: User = { sub, email, name, claims, createdAt: now() };
      const keys = [userKey(sub), userByEmailKey(await hashOf(email))] as const;
      const created = await records.commit({
        // A user that has the id of a client could be taken for that client by whoever reads only `sub`.
        checks: [...keys, clientKey(sub)].map((key) => ({ key, version: null })),
        sets: [{ key: keys[0], value: { ...user, passwordHash } }, { key: keys[1], value: sub }],
      });
      if (!created) fail("its e-mail address or sub is taken");
      return user;
    },

    async find(sub: string): Promise<User | null> {
      return withoutPassword(await findRecord(sub));
    },

    async findByEmail(email: string): Promise<User | null> {
      return withoutPassword(await findRecordByEmail(email));
    },

    findRecordByEmail,
  };
}

/** One spelling an address. Mailboxes are told apart by case nowhere in practice. */
export function normalizeEmail(email: string): string {
  return email.normalize("NFC").trim().toLowerCase();
}

function withoutPassword(record: UserRecord | null): User | null {
  if (record === null) return null;
  const { passwordHash: _, ...user } = record;
  return user;
}

function fail(state: string): never {
  throw new TypeError(`Cannot create user: ${state}`);
}
