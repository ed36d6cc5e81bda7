/**
 * Whether something issued earlier still counts.
 *
 * @module
 */

import type { Client } from "./client.ts";

/**
 * Tells whether something issued to a client still counts.
 *
 * A disabled client's tokens sleep, a removed client's are dead: where a new client got the old id, everything older than
 * the client belongs to its predecessor.
 *
 * @param issued When it was issued (a grant says `createdAt`, a token `issuedAt`) and when it ends.
 * @param client The client as it is now; `null` if it is gone.
 * @param now The present time.
 */
export function isLive(
  issued: { readonly clientId: string; readonly createdAt: number; readonly expiresAt: number },
  client: Pick<Client, "clientId" | "createdAt" | "isDisabled"> | null,
  now: number,
): boolean {
  return client !== null && !client.isDisabled && client.clientId === issued.clientId &&
    client.createdAt <= issued.createdAt && issued.expiresAt > now;
}
