/**
 * The tokens that a token service really handed out, and a scan that finds any piece of them.
 *
 * @module
 */

import type { Fetch } from "../../lib/outbound.ts";

/** What a token handler asked for and was given. */
export interface TokenWatch {
  /** To be used instead of the `fetch` that is watched. */
  readonly fetch: Fetch;
  /** Every access, refresh and ID token, newest last. */
  readonly tokens: { readonly access: string[]; readonly refresh: string[]; readonly id: string[] };
  /** The grant of each token request. */
  readonly grants: string[];
  /** What APIs were shown as `Authorization`. */
  readonly shown: string[];
}

/** Watches a `fetch` for tokens. */
export function watchTokens(fetch: Fetch): TokenWatch {
  const tokens = { access: [] as string[], refresh: [] as string[], id: [] as string[] };
  const grants: string[] = [];
  const shown: string[] = [];
  return {
    tokens,
    grants,
    shown,
    async fetch(input, init) {
      const grant = new URLSearchParams(`${init?.body ?? ""}`).get("grant_type");
      const authorization = new Headers(init?.headers).get("authorization");
      const response = await fetch(input, init);
      if (grant === null) {
        if (authorization?.startsWith("Bearer ")) shown.push(authorization);
        return response;
      }
      grants.push(grant);
      const answer = await response.clone().json();
      if (answer.access_token) tokens.access.push(answer.access_token);
      if (answer.refresh_token) tokens.refresh.push(answer.refresh_token);
      if (answer.id_token) tokens.id.push(answer.id_token);
      return response;
    },
  };
}

/** Characters in a row of which a piece of a token consists. */
const PIECE = 24;

/**
 * Creates a scan for tokens: it finds every text that holds 35 characters of one in a row, as they are or in base64.
 *
 * @param tokens What to look for.
 * @param known Tokens whose pieces do not count: issuer and subject stand in the ID token and in the access token.
 * @returns Tells whether a text holds a piece of a token.
 */
export function createTokenScan(tokens: readonly string[], known: readonly string[] = []): (text: string) => boolean {
  const pieces = tokens.flatMap(cut).filter((piece) => !known.some((token) => token.includes(piece)));
  const needles = pieces.flatMap((piece) => [piece, ...base64Forms(piece)]);
  return (text) => needles.some((needle) => text.includes(needle));
}

/** Overlapping pieces, so that there is a whole one in every 35 characters. */
function cut(token: string): readonly string[] {
  const starts = Array.from({ length: Math.ceil((token.length - PIECE) / 12) }, (_, i) => i * 12);
  return [...starts, token.length - PIECE].map((start) => token.slice(start, start + PIECE));
}

/** What a piece looks like in base64, at each of the three places where it can stand; without the edges that neighbours change. */
function base64Forms(piece: string): readonly string[] {
  return [0, 1, 2].map((offset) => {
    const form = btoa("\0".repeat(offset) + piece).replace(/=+$/, "");
    return form.slice(Math.ceil(offset * 4 / 3), Math.floor((offset + piece.length) * 4 / 3));
  });
}
