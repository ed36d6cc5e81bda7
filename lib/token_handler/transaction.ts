/**
 * A sign-in on its way: what has to be remembered between the login redirect and the callback. It travels sealed in a
 * cookie of its own, one per attempt, so that two tabs can sign in at once.
 *
 * @module
 */

import type { JsonObject } from "../encoding.ts";

/** Life of a sign-in attempt (RFC 6749, section 4.1.2 recommends 10 minutes at most for the code). */
export const TRANSACTION_SECONDS = 600;

/** Attempts of one browser that live at once; the oldest go first. */
export const MAX_TRANSACTIONS = 4;

/** What the callback needs to believe an answer. Every comparison there is with a value kept here. */
export interface Transaction {
  /** The tenant that the sign-in is for. */
  readonly vendorId: string;
  /** The issuer that was asked (RFC 9207: only its answer counts). */
  readonly issuer: string;
  /** The client that asked. */
  readonly clientId: string;
  /** Ties the answer to this browser. */
  readonly state: string;
  /** Ties the ID token to this attempt. */
  readonly nonce: string;
  /** Proves at the token endpoint that we asked (RFC 7636). */
  readonly codeVerifier: string;
  /** The redirect URI, byte for byte as it was sent. */
  readonly redirectUri: string;
  /** Where the browser goes afterwards; was checked, and is checked again. */
  readonly returnTo: string;
  /** The scope that was asked for; granted as a whole where the token service does not say otherwise. */
  readonly scope: string;
  /** The API that the tokens are asked for. */
  readonly audience: string | null;
  /** Opaque text of the page, handed back once by `userinfo`. */
  readonly appState: string | null;
  /** When the attempt began, in seconds since 1970. */
  readonly createdAt: number;
}

/** Which transaction cookie belongs to a state: its first eight characters. */
export function transactionNameOf(state: string): string {
  return state.slice(0, 8);
}

/** A transaction as it is sealed. */
export function writeTransaction(transaction: Transaction): JsonObject {
  return {
    v: transaction.vendorId,
    iss: transaction.issuer,
    cid: transaction.clientId,
    st: transaction.state,
    n: transaction.nonce,
    cv: transaction.codeVerifier,
    ru: transaction.redirectUri,
    rt: transaction.returnTo,
    sc: transaction.scope,
    aud: transaction.audience,
    as: transaction.appState,
    at: transaction.createdAt,
  };
}

/** Reads a transaction back; `null` if a member is missing. */
export function readTransaction(content: JsonObject): Transaction | null {
  const { v, iss, cid, st, n, cv, ru, rt, sc, aud, as, at } = content;
  const texts = [v, iss, cid, st, n, cv, ru, rt, sc];
  if (!texts.every((text) => typeof text === "string" && text !== "") || typeof at !== "number") return null;
  const [vendorId, issuer, clientId, state, nonce, codeVerifier, redirectUri, returnTo, scope] = texts as string[];
  return {
    vendorId: vendorId!,
    issuer: issuer!,
    clientId: clientId!,
    state: state!,
    nonce: nonce!,
    codeVerifier: codeVerifier!,
    redirectUri: redirectUri!,
    returnTo: returnTo!,
    scope: scope!,
    audience: typeof aud === "string" ? aud : null,
    appState: typeof as === "string" ? as : null,
    createdAt: at,
  };
}
