/**
 * Looks for tokens in everything that a browser received and a script could reach.
 *
 * @module
 */

import { createTokenScan, type TokenWatch } from "../support/tokens.ts";
import type { Traffic } from "../support/traffic.ts";

/** Where to look, and for what. */
export interface ScanOptions {
  readonly tokens: TokenWatch["tokens"];
  readonly traffic: Traffic;
  /** What a script could reach, each time that somebody looked. */
  readonly reach: readonly Readonly<Record<string, string>>[];
}

/** What was found. */
export interface Findings {
  /** Places and addresses that hold a piece of an access or refresh token. */
  readonly secrets: readonly string[];
  /** The same for ID tokens. */
  readonly idTokens: readonly string[];
  /** Characters that were searched. */
  readonly searched: number;
}

/** Looks for tokens. */
export function findTokens({ tokens, traffic, reach }: ScanOptions): Findings {
  const contents = [
    ...reach.flatMap((places) => Object.entries(places)),
    ...traffic.exchanges.map(({ method, url, requestHeaders, headers, body }) =>
      [new URL(url).pathname, [method, url, ...requestHeaders, ...headers, body].join("\n")] as const
    ),
  ];
  const hasSecret = createTokenScan([...tokens.access, ...tokens.refresh], tokens.id);
  const hasIdToken = createTokenScan(tokens.id);
  return {
    secrets: contents.filter(([, content]) => hasSecret(content)).map(([place]) => place),
    idTokens: contents.filter(([, content]) => hasIdToken(content)).map(([place]) => place),
    searched: contents.reduce((sum, [, content]) => sum + content.length, 0),
  };
}
