/**
 * A token service that lives inside the benchmark's server process: it issues tokens at once, so that sessions can be made
 * through the real login without a second server in the way.
 *
 * @module
 */

import { exportJWK, generateKeyPair, SignJWT } from "@panva/jose";
import type { Fetch } from "../../lib/outbound.ts";

const ISSUER = "https://id.example/";

/** Answers calls to the issuer by itself and passes all others on. The code is the nonce, the user, and nothing more. */
export function createProviderFetch(): Fetch {
  const keys = generateKeyPair("ES256");

  async function answer(path: string, init?: RequestInit): Promise<unknown> {
    const { privateKey, publicKey } = await keys;
    if (path.endsWith("openid-configuration")) {
      return {
        issuer: ISSUER,
        authorization_endpoint: `${ISSUER}authorize`,
        token_endpoint: `${ISSUER}token`,
        jwks_uri: `${ISSUER}jwks`,
        response_types_supported: ["code"],
        code_challenge_methods_supported: ["S256"],
      };
    }
    if (path.endsWith("jwks")) return { keys: [{ ...await exportJWK(publicKey), kid: "k", alg: "ES256", use: "sig" }] };
    const form = new URLSearchParams(String(init?.body));
    const [nonce = "", sub = ""] = (form.get("code") ?? "").split("~");
    const sign = (claims: Record<string, unknown>, typ: string, audience: string) =>
      new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: "k", typ }).setIssuer(ISSUER).setSubject(sub)
        .setAudience(audience).setIssuedAt().setExpirationTime("1h").sign(privateKey);
    return {
      access_token: await sign({ client_id: "acme-web", scope: "openid" }, "at+jwt", "https://api.example"),
      token_type: "Bearer",
      expires_in: 3600,
      refresh_token: `ort_${crypto.randomUUID()}`,
      id_token: await sign({ nonce, name: "Bench" }, "JWT", "acme-web"),
    };
  }

  return async (input, init) => {
    if (!input.startsWith(ISSUER)) return await fetch(input, init);
    return Response.json(await answer(new URL(input).pathname, init));
  };
}
