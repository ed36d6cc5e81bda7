/**
 * JSON Web Tokens of other issuers: are they genuine, meant for us, and of the kind we asked for?
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { exportJWK, generateKeyPair, SignJWT } from "@panva/jose";
 * import { createKeySets, verifyAccessToken } from "@cloakroom/token-handler/jwt";
 *
 * // An issuer that publishes one key.
 * const { publicKey, privateKey } = await generateKeyPair("ES256");
 * const keys = [{ ...await exportJWK(publicKey), kid: "k1" }];
 * const keySets = createKeySets({ fetch: () => Promise.resolve(Response.json({ keys })) });
 *
 * const token = await new SignJWT({ scope: "read:articles" })
 *   .setProtectedHeader({ alg: "ES256", kid: "k1", typ: "at+jwt" })
 *   .setIssuer("https://id.example/").setAudience("https://api.example").setSubject("ada")
 *   .setIssuedAt().setExpirationTime("5m").sign(privateKey);
 *
 * const options = {
 *   keySets,
 *   jwksUri: "https://id.example/.well-known/jwks.json",
 *   issuer: "https://id.example/",
 *   audience: "https://api.example",
 * };
 * const verdict = await verifyAccessToken(token, options);
 * assertEquals(verdict.kind === "verified" && verdict.claims.sub, "ada");
 *
 * assertEquals(
 *   await verifyAccessToken(token, { ...options, audience: "https://bank.example" }),
 *   { kind: "refused", reason: "audience" },
 * );
 * ```
 *
 * The caller names the algorithms, the issuer and the address of its keys; a token chooses none of them. Claims are
 * checked for their type before their value. Keys that cannot be fetched are an outage (`unavailable`), not a refusal.
 *
 * @module
 */

export type { Clock } from "../clock.ts";
export type { JsonObject } from "../encoding.ts";
export type { Fetch } from "../outbound.ts";
export { type AccessTokenExpectation, verifyAccessToken, type VerifyAccessTokenOptions } from "./access_token.ts";
export { type SignatureAlgorithm, signatureAlgorithms } from "./algorithms.ts";
export type { JwtClaims, TokenRefusal } from "./claims.ts";
export { type IdTokenExpectation, verifyIdToken, type VerifyIdTokenOptions } from "./id_token.ts";
export { verifyLogoutToken, type VerifyLogoutTokenOptions } from "./logout_token.ts";
export type { KeyQuery, KeySelection } from "./key_set.ts";
export { createKeySets, type KeyLookup, type KeySetFault, type KeySets, type KeySetsOptions } from "./key_sets.ts";
export type { TokenVerdict } from "./verify.ts";
