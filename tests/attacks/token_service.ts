/**
 * Our own token service at `id.test`: its clients `spa` and `web`, its users alice and mallory.
 *
 * @module
 */

import type { Clock } from "../../lib/clock.ts";
import { createMemoryRecords } from "../../lib/store/mod.ts";
import { type BreakableRecords, createBreakableRecords } from "../support/breakable_records.ts";
import { createKit, type Kit, type Tokens, Visitor } from "../token_service/kit.ts";

/** The token service's address, which its issuer is too. */
export const TOKEN_SERVICE = "https://id.test/";

/** The token service. */
export interface OwnTokenService {
  readonly kit: Kit;
  /** Where it keeps everything. */
  readonly records: BreakableRecords;
  /** Signs a user in; a second time, in another browser. */
  signIn(user: string): Promise<OwnUser>;
}

/** Somebody who is signed in there. */
export interface OwnUser {
  readonly visitor: Visitor;
  /** Tokens of client `spa`, obtained in the same browser. */
  readonly tokens: Tokens;
}

/** Starts it. */
export async function createOwnTokenService(now: Clock): Promise<OwnTokenService> {
  const records = createBreakableRecords(createMemoryRecords(now));
  const kit = await createKit({ issuer: TOKEN_SERVICE, records, now });
  const email = "alice@example.com";
  await kit.service.users.create({ sub: "user-alice", email, name: "Alice", password: "open sesame" });
  return {
    kit,
    records,
    async signIn(user: string): Promise<OwnUser> {
      const visitor = new Visitor(kit);
      return { visitor, tokens: await visitor.tokens({}, `${user}@example.com`) };
    },
  };
}
