/**
 * What the routes of the token service share.
 *
 * @module
 */

import type { TokenService } from "../../lib/token_service/mod.ts";

/** Dependencies of the routes. */
export interface TokenServiceDeps {
  /** What decides and remembers. */
  readonly service: TokenService;
  /** The path that everything stands under, with a slash at both ends. */
  readonly base: string;
  /** The peer's address. */
  readonly clientAddress: (request: Request) => string;
}
