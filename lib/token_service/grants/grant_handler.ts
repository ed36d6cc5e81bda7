/**
 * What every grant of the token endpoint looks like.
 *
 * @module
 */

import type { Client } from "../client.ts";
import type { OAuthRefusal } from "../errors.ts";
import type { TokenResponse } from "../issue.ts";
import type { RequestParameters } from "../parameters.ts";

/** What a token request leads to. */
export type TokenOutcome = { readonly kind: "issued"; readonly response: TokenResponse } | OAuthRefusal;

/** Exchanges what an authenticated client shows for tokens. */
export type GrantHandler = (client: Client, parameters: RequestParameters) => Promise<TokenOutcome>;
