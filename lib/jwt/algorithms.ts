/**
 * The signature algorithms that exist here, with everything that Web Crypto has to be told about them.
 *
 * None of them takes a shared secret, so no public key can be mistaken for one.
 *
 * @module
 */

/** A signature algorithm ([RFC 7518, section 3.1](https://www.rfc-editor.org/rfc/rfc7518#section-3.1), RFC 8037, RFC 9864). */
export type SignatureAlgorithm =
  | "RS256"
  | "RS384"
  | "RS512"
  | "PS256"
  | "PS384"
  | "PS512"
  | "ES256"
  | "ES384"
  | "ES512"
  | "EdDSA"
  | "Ed25519";

/** What there is to know about an algorithm. */
export interface AlgorithmFacts {
  /** Key type it needs: `kty` of the JWK. */
  readonly kty: "RSA" | "EC" | "OKP";
  /** Curve it needs: `crv` of the JWK; `null` where keys have none. */
  readonly crv: string | null;
  /** Digest that belongs to it, also for `at_hash`. */
  readonly hash: "SHA-256" | "SHA-384" | "SHA-512";
  /** What `crypto.subtle.verify` takes. */
  readonly parameters: AlgorithmIdentifier | EcdsaParams | RsaPssParams;
}

const facts: Readonly<Record<SignatureAlgorithm, AlgorithmFacts>> = {
  RS256: rsa("SHA-256", { name: "RSASSA-PKCS1-v1_5" }),
  RS384: rsa("SHA-384", { name: "RSASSA-PKCS1-v1_5" }),
  RS512: rsa("SHA-512", { name: "RSASSA-PKCS1-v1_5" }),
  // RFC 7518, section 3.5: the salt is as long as the digest.
  PS256: rsa("SHA-256", { name: "RSA-PSS", saltLength: 32 }),
  PS384: rsa("SHA-384", { name: "RSA-PSS", saltLength: 48 }),
  PS512: rsa("SHA-512", { name: "RSA-PSS", saltLength: 64 }),
  ES256: ecdsa("SHA-256", "P-256"),
  ES384: ecdsa("SHA-384", "P-384"),
  ES512: ecdsa("SHA-512", "P-521"),
  EdDSA: ed25519(),
  Ed25519: ed25519(),
};

/** All algorithms; also what is allowed where a caller names none. */
export const signatureAlgorithms: readonly SignatureAlgorithm[] = Object.keys(facts) as SignatureAlgorithm[];

/** Tells whether a value names an algorithm of ours: not `none`, not HMAC, and in exactly this spelling. */
export function isSignatureAlgorithm(value: unknown): value is SignatureAlgorithm {
  return typeof value === "string" && Object.hasOwn(facts, value);
}

/** The facts about an algorithm. */
export function factsOf(algorithm: SignatureAlgorithm): AlgorithmFacts {
  return facts[algorithm];
}

function rsa(hash: AlgorithmFacts["hash"], parameters: AlgorithmFacts["parameters"]): AlgorithmFacts {
  return { kty: "RSA", crv: null, hash, parameters };
}

function ecdsa(hash: AlgorithmFacts["hash"], crv: string): AlgorithmFacts {
  return { kty: "EC", crv, hash, parameters: { name: "ECDSA", hash } };
}

function ed25519(): AlgorithmFacts {
  return { kty: "OKP", crv: "Ed25519", hash: "SHA-512", parameters: { name: "Ed25519" } };
}
