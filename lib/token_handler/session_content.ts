/**
 * The sealed part of a session record: what nobody may read who has only the database.
 *
 * @module
 */

import { isJsonObject, type JsonObject } from "../encoding.ts";
import type { TokenPair } from "./tokens.ts";
import type { VendorKeys } from "./vendor_keys.ts";

/** Largest sealed content; the store splits it over several records. */
const MAX_SEALED_LENGTH = 400_000;

/** What the session record keeps sealed. */
export interface SessionContent {
  /** Claims about the user. */
  readonly claims: JsonObject;
  /** The newest ID token, for logout; `null` where it would not fit. */
  readonly idToken: string | null;
  /** What the tokens were granted; empty where nobody said. */
  readonly scope: string;
  /** The API that the tokens were asked for; `null` where the vendor names none. */
  readonly audience: string | null;
  /** Text of the page that `userinfo` has not handed back yet. */
  readonly appState: string | null;
  /** The newest tokens: for good where `isKept`, else until the browser has shown that it got them. */
  readonly tokens: TokenPair | null;
  /** Whether the tokens stay here, and the cookies are handles only. */
  readonly isKept: boolean;
  /** The newest generation that the browser has shown in cookies which carry it, and when it did so first. */
  readonly shown: ShownGeneration;
}

/** A generation that a browser has shown to have. */
export interface ShownGeneration {
  /** Which. */
  readonly generation: number;
  /** When for the first time, in seconds since 1970. */
  readonly at: number;
}

/** Which record the content belongs to. */
export interface SessionName {
  /** The tenant. */
  readonly vendorId: string;
  /** The session. */
  readonly id: string;
}

/** Seals content for one session. Throws `RangeError` if it is larger than any token service has reason for. */
export async function sealContent(keys: VendorKeys, name: SessionName, content: SessionContent): Promise<string> {
  const sealed = await keys.seal(name.vendorId, "session", { sid: name.id, ...content });
  if (sealed.length <= MAX_SEALED_LENGTH) return sealed;
  throw new RangeError(`Cannot keep a session: its content needs ${sealed.length} of ${MAX_SEALED_LENGTH} characters`);
}

/** Opens the content of one session; `null` if it was not sealed for this very session. */
export async function openContent(
  keys: VendorKeys,
  name: SessionName,
  sealed: string,
): Promise<SessionContent | null> {
  const content = await keys.open(name.vendorId, "session", sealed);
  if (content === null || content.sid !== name.id || !isJsonObject(content.claims)) return null;
  const { claims, idToken, scope, audience, appState, tokens, isKept, shown } = content;
  return {
    claims,
    idToken: typeof idToken === "string" ? idToken : null,
    scope: typeof scope === "string" ? scope : "",
    audience: typeof audience === "string" ? audience : null,
    appState: typeof appState === "string" ? appState : null,
    tokens: isJsonObject(tokens) ? tokens as unknown as TokenPair : null,
    isKept: isKept === true,
    shown: isJsonObject(shown) ? shown as unknown as ShownGeneration : { generation: 1, at: 0 },
  };
}
