/**
 * The steps that verifying any token has in common. What can be seen from the text comes first, so that a token which is
 * not meant for us costs neither a fetch nor a signature.
 *
 * @module
 */

import { type JsonObject, readJsonObject, readUtf8 } from "../encoding.ts";
import { hasTypedClaims, type JwtClaims, type TokenRefusal } from "./claims.ts";
import { type CompactToken, readCompact, verifySignature } from "./compact.ts";
import type { KeySetFault, KeySets } from "./key_sets.ts";

/** What verifying a token leads to. */
export type TokenVerdict =
  | {
    /** Signature and claims are as they should be. */
    readonly kind: "verified";
    /** What the token says. */
    readonly claims: JwtClaims;
    /** Its header. */
    readonly header: JsonObject;
  }
  | {
    /** The token is not good, and will not be later. */
    readonly kind: "refused";
    /** Why, for logs. */
    readonly reason: TokenRefusal;
  }
  | {
    /** The issuer's keys could not be had, so nobody can say: an outage, not a refusal. */
    readonly kind: "unavailable";
    /** Why, for logs. */
    readonly reason: KeySetFault;
  };

/** How to verify a token. */
export interface VerifySteps {
  /** Where keys come from. */
  readonly keySets: KeySets;
  /** Address of the issuer's keys. */
  readonly jwksUri: string;
  /** The allowed algorithms. */
  readonly algorithms: readonly string[];
  /** Whether the token may be about a session alone, without `sub`. */
  readonly isSubjectOptional?: boolean;
  /** Checks type and claims; `null` if nothing is wrong. */
  readonly decide: (token: CompactToken, claims: JwtClaims) => TokenRefusal | null | Promise<TokenRefusal | null>;
}

/** Verifies a token. */
export async function verifyToken(text: string, steps: VerifySteps): Promise<TokenVerdict> {
  const { keySets, jwksUri, algorithms, isSubjectOptional, decide } = steps;
  const reading = readCompact(text, algorithms);
  if (reading.kind === "refused") return reading;
  const { token } = reading;
  const claims = readJsonObject(readUtf8(token.payload) ?? "");
  if (claims === null) return { kind: "refused", reason: "malformed" };
  if (!hasTypedClaims(claims, isSubjectOptional)) return { kind: "refused", reason: "claim" };
  const refusal = await decide(token, claims);
  if (refusal !== null) return { kind: "refused", reason: refusal };
  const lookup = await keySets.find(jwksUri, token);
  // Waiting does not make an issuer trustworthy that has given its keys away.
  if (lookup.kind === "unavailable" && lookup.reason === "exposed") return { kind: "refused", reason: "key_exposed" };
  if (lookup.kind === "unavailable") return lookup;
  if (lookup.kind !== "found") return { kind: "refused", reason: `key_${lookup.kind}` };
  if (!await verifySignature(token, lookup.key)) return { kind: "refused", reason: "signature" };
  return { kind: "verified", claims, header: token.header };
}
