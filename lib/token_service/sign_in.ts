/**
 * Checking a password.
 *
 * An unknown address costs the same work and gets the same answer as a wrong password, so nobody learns from the form who
 * has an account.
 *
 * @module
 */

import { encodeBase64Url } from "../encoding.ts";
import { type AttemptSubject, networkOf } from "./attempts.ts";
import type { Context } from "./context.ts";
import { verifyPassword } from "./password.ts";
import { normalizeEmail } from "./user.ts";

/** What was typed, and where it came from. */
export interface SignInAttempt {
  /** The e-mail address. */
  readonly email: string;
  /** The password. */
  readonly password: string;
  /** The peer's address. */
  readonly clientAddress: string;
}

/** What an attempt leads to. */
export type SignInOutcome =
  | { readonly kind: "signed_in"; readonly sub: string }
  | { readonly kind: "refused" }
  | { readonly kind: "wait"; readonly seconds: number };

/** Wrong passwords for one account before each further one costs a wait. */
const FREE_ACCOUNT_FAILURES = 10;

/** Wrong passwords from one network, whatever the account. */
const FREE_ADDRESS_FAILURES = 50;

/** Longer texts are not passwords but a way to keep us busy. */
const MAX_PASSWORD_LENGTH = 1024;

/** Checks a password. */
export async function signIn(
  { users, attempts, passwordRounds, log }: Context,
  { email, password, clientAddress }: SignInAttempt,
): Promise<SignInOutcome> {
  const subjects: readonly AttemptSubject[] = [
    { kind: "account", id: normalizeEmail(email), free: FREE_ACCOUNT_FAILURES },
    { kind: "address", id: networkOf(clientAddress), free: FREE_ADDRESS_FAILURES },
  ];
  const seconds = await attempts.take(subjects);
  if (seconds > 0) {
    log({ level: "warn", event: "sign_in_blocked" });
    return { kind: "wait", seconds };
  }
  const user = await users.findRecordByEmail(email);
  const isRight = await verifyPassword(
    password.slice(0, MAX_PASSWORD_LENGTH),
    user?.passwordHash ?? nobodysHash(passwordRounds),
  );
  if (user === null || !isRight || password.length > MAX_PASSWORD_LENGTH) {
    log({ level: "info", event: "sign_in_refused" });
    return { kind: "refused" };
  }
  await attempts.forgive(subjects, "account");
  return { kind: "signed_in", sub: user.sub };
}

/** Looks like the hash of a new user and belongs to no password that anybody knows. */
function nobodysHash(rounds: number): string {
  const zeros = (length: number) => encodeBase64Url(new Uint8Array(length));
  return `pbkdf2-sha256$${rounds}$${zeros(16)}$${zeros(32)}`;
}
