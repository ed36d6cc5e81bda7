/**
 * What the demo finds when it starts (contract, section 8). The names and passwords are published: documents and tests use
 * them, and the demo cannot leave loopback.
 *
 * @module
 */

import { drawToken, type Random } from "../../lib/random.ts";
import type { TokenService } from "../../lib/token_service/mod.ts";
import type { Cloakroom } from "../cloakroom.ts";
import type { DemoLogin } from "./page.ts";

/** Password of the demo's users. */
const PASSWORD = "open sesame";

/** Its PBKDF2 hash, so that no start has to wait for it. */
const PASSWORD_HASH = "pbkdf2-sha256$600000$9OWqJkC1Dv_6cdvryuXEPA$ccY7FjJSO_8jxm1mg6oRx9GOoXRbuGSFDDSnkwT-IgA";

/** The demo's users. */
const USERS = [
  { sub: "user-ada", email: "ada@example.com", name: "Ada Lovelace", given_name: "Ada", family_name: "Lovelace" },
  { sub: "user-bo", email: "bo@example.com", name: "Bo Ek", given_name: "Bo", family_name: "Ek" },
];

/** The demo's management client. */
export const DEMO_MANAGEMENT_CLIENT = { id: "demo-management", secret: "demo-secret-on-loopback-only" } as const;

/** Everything that a management client may do. */
export const MANAGEMENT_SCOPES: readonly string[] = [
  "read:vendors",
  "write:vendors",
  "read:sessions",
  "write:sessions",
  "write:keys",
  "write:links",
  "write:session-tokens",
];

/** Who may sign in. */
export const DEMO_LOGINS: readonly DemoLogin[] = USERS.map(({ email }) => ({ email, password: PASSWORD }));

/** Where the parts of the demo listen, without a slash at the end. */
export interface DemoPlaces {
  /** The token handler and the page, under each name that a browser may use. */
  readonly apps: readonly string[];
  /** The demo API. */
  readonly api: string;
  /** Audience of management tokens. */
  readonly managementAudience: string;
}

/** Seeds vendor `acme`, its client, two users and the management client. */
export async function seedDemo(
  parts: { readonly cloakroom: Cloakroom; readonly tokenService: TokenService; readonly random: Random },
  places: DemoPlaces,
): Promise<void> {
  const { cloakroom, tokenService, random } = parts;
  const clientSecret = drawToken(random);
  const landings = places.apps.map((app) => `${app}/`);
  await Promise.all([
    ...USERS.map(({ sub, email, name, ...names }) =>
      tokenService.users.create({
        sub,
        email,
        name,
        passwordHash: PASSWORD_HASH,
        claims: { ...names, email_verified: true },
      })
    ),
    tokenService.clients.create({
      clientId: "acme-web",
      clientSecret,
      name: "Acme Daily",
      redirectUris: places.apps.map((app) => `${app}/auth/acme/callback`),
      postLogoutRedirectUris: landings,
      grantTypes: ["authorization_code", "refresh_token"],
      scopes: ["openid", "profile", "email", "offline_access"],
      audiences: [places.api],
      firstParty: true,
      vendorId: "acme",
    }),
    tokenService.clients.create({
      clientId: DEMO_MANAGEMENT_CLIENT.id,
      clientSecret: DEMO_MANAGEMENT_CLIENT.secret,
      name: "Demo management",
      grantTypes: ["client_credentials"],
      scopes: MANAGEMENT_SCOPES,
      audiences: [places.managementAudience],
      defaultAudience: places.managementAudience,
    }),
    cloakroom.saveVendor("acme", {
      clientId: "acme-web",
      clientSecret,
      audience: places.api,
      upstreams: ["/entitlements", "/contracts", "/profile"].map((path) => ({ path, target: places.api })),
      postLogoutRedirects: landings,
    }),
  ]);
}
