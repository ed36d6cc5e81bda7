/**
 * WebSockets that cross the proxy: what a handshake asks for, and how the end of one side is told to the other
 * ([RFC 6455](https://www.rfc-editor.org/rfc/rfc6455)).
 *
 * @module
 */

/** Bytes that may wait for a side that reads slowly; then both are closed. WebSockets have no other back-pressure. */
export const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/** 16 bytes in base64. */
const KEY_REGEXP = /^[A-Za-z0-9+/]{22}==$/;
const PROTOCOL_REGEXP = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Tells whether a request wants to become a WebSocket. Other upgrades (`h2c`) mean nothing here and are not passed on. */
export function isWebSocketHandshake(method: string, headers: Headers): boolean {
  return method === "GET" && headers.get("upgrade")?.toLowerCase() === "websocket" &&
    tokensOf(headers.get("connection")).some((token) => token.toLowerCase() === "upgrade");
}

/** Tells whether the rest of a handshake is as it has to be (section 4.2.1). */
export function isSoundHandshake(headers: Headers): boolean {
  return headers.get("sec-websocket-version") === "13" && KEY_REGEXP.test(headers.get("sec-websocket-key") ?? "");
}

/** The subprotocols of a handshake in order; `null` if the header cannot be read. */
export function readProtocols(headers: Headers): readonly string[] | null {
  const header = headers.get("sec-websocket-protocol");
  const protocols = tokensOf(header);
  const isGood = protocols.every((name) => PROTOCOL_REGEXP.test(name)) && new Set(protocols).size === protocols.length;
  return isGood ? protocols : null;
}

function tokensOf(header: string | null): readonly string[] {
  return header?.split(",").map((token) => token.trim()) ?? [];
}

/** The end of a connection. */
export interface Closing {
  /** A code of RFC 6455, section 7.4; 1005 = it gave none, 1006 or 0 = it broke. */
  readonly code: number;
  /** Its words. */
  readonly reason: string;
}

/** The streams of a session end with it; 1008 is "policy violation", which is how browsers' code is told to sign in. */
export const SESSION_OVER: Closing = { code: 1008, reason: "session ended" };

/** The service stops: 1001 is "going away", after which clients connect again. */
export const GOING_AWAY: Closing = { code: 1001, reason: "service restarts" };

/** One side reads more slowly than the other one writes. */
export const TOO_SLOW: Closing = { code: 1008, reason: "too slow" };

/** What the browser is told when the upstream ends. Codes that may not be sent say that something broke (1011). */
export function closingForBrowser({ code, reason }: Closing): Closing {
  if (code === 1005) return { code: 1000, reason: "" };
  const maySend = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1013) || (code >= 3000 && code <= 4999);
  return maySend ? { code, reason } : { code: 1011, reason: "upstream broke off" };
}

/**
 * What the upstream is told when the browser, or we, end. A client may only send 1000 and codes of the application; for
 * everything else it closes without one.
 */
export function closingForUpstream({ code, reason }: Closing): Closing | null {
  return code === 1000 || (code >= 3000 && code <= 4999) ? { code, reason } : null;
}
