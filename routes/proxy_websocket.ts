/**
 * WebSockets through the proxy (contract, section 3): judged like any call before the upstream is dialled, joined message
 * by message, ended with the session.
 *
 * @module
 */

import {
  type Closing,
  closingForBrowser,
  closingForUpstream,
  GOING_AWAY,
  isSoundHandshake,
  MAX_WAITING_BYTES,
  readProtocols,
  SESSION_OVER,
  TOO_SLOW,
} from "../lib/proxy/websocket.ts";
import type { Upstream } from "../lib/vendor/mod.ts";
import type { AppDeps, WebSockets } from "./deps.ts";
import { setSessionCookies } from "./shared/cookies.ts";
import { readBearer, readCredentials } from "./shared/credentials.ts";
import { headersFor, respondFailedCall, upstreamAddress, watchCall } from "./shared/upstream_call.ts";
import { isAllowedOrigin, respondVisitProblem, type Visit } from "./shared/visit.ts";

/** Milliseconds until an accepted connection must be there. */
const UPGRADE_MS = 5000;

/** Answers a handshake, and forwards whatever both sides say from then on. */
export async function forwardWebSocket(deps: AppDeps, visit: Visit, upstream: Upstream): Promise<Response> {
  const { request } = visit.edge;
  const { headers } = request;
  const protocols = readProtocols(headers);
  if (protocols === null || !isSoundHandshake(headers)) return await respondVisitProblem(visit, "request_malformed");
  // No CORS here: browsers send the cookies with any page's handshake, so that only the origin tells pages apart.
  const origin = headers.get("origin");
  const isOwn = origin === null ? readBearer(headers) !== null : isAllowedOrigin(visit, origin);
  if (!isOwn) return await respondVisitProblem(visit, "origin_refused");
  const credentials = await readCredentials(deps, visit, { upstream, judge: () => null });
  if (credentials instanceof Response) return credentials;
  if (deps.webSockets === undefined) return await respondVisitProblem(visit, "websocket_unsupported");

  const watched = watchCall(upstream, request);
  const dialled = dial(deps.webSockets, {
    address: upstreamAddress(upstream, visit).replace(/^http/, "ws"),
    protocols,
    headers: headersFor(visit, credentials.authorization),
    signal: watched.signal,
  });
  const isOpen = await dialled.opening;
  watched.end();
  if (!isOpen) return await respondFailedCall(deps, visit, { upstream, isTimeout: watched.isTimedOut });

  const { socket, response } = deps.webSockets.upgrade(request, dialled.socket.protocol);
  const end = join(socket, dialled);
  // Where the browser leaves just now, its side never opens, and nobody says so.
  const timer = setTimeout(() => end(GOING_AWAY), UPGRADE_MS);
  for (const event of ["open", "close"]) socket.addEventListener(event, () => clearTimeout(timer));
  const leave = deps.streams.open(credentials.owner, (why) => end(why === "stopping" ? GOING_AWAY : SESSION_OVER));
  for (const side of [socket, dialled.socket]) side.addEventListener("close", leave);
  response.headers.set("x-request-id", visit.edge.requestId);
  if (credentials.cookies !== null) setSessionCookies(response.headers, visit.jar, credentials.cookies);
  return response;
}

/** An upstream that was dialled. */
interface Dialled {
  readonly socket: WebSocket;
  /** Whether the connection came about. */
  readonly opening: Promise<boolean>;
  /** What it says. */
  readonly messages: Messages;
}

function dial(
  { dial }: WebSockets,
  { address, protocols, headers, signal }: {
    readonly address: string;
    readonly protocols: readonly string[];
    readonly headers: [string, string][];
    readonly signal: AbortSignal;
  },
): Dialled {
  const socket = dial(address, { protocols: [...protocols], headers });
  const messages = takeMessages(socket);
  const { promise: opening, resolve } = Promise.withResolvers<boolean>();
  socket.addEventListener("open", () => resolve(true));
  socket.addEventListener("close", () => resolve(false));
  signal.addEventListener("abort", () => socket.close());
  return { socket, opening, messages };
}

/** Joins two sides, of which the upstream's is open. Answers what ends both. */
function join(browser: WebSocket, { socket: upstream, messages }: Dialled): (closing: Closing) => void {
  function end(closing: Closing): void {
    close(browser, closing);
    close(upstream, closingForUpstream(closing));
  }
  const tooSlow = () => end(TOO_SLOW);
  takeMessages(browser).sendTo(upstream, tooSlow);
  browser.addEventListener("open", () => messages.sendTo(browser, tooSlow));
  browser.addEventListener("close", (event) => close(upstream, closingForUpstream(event)));
  upstream.addEventListener("close", (event) => close(browser, closingForBrowser(event)));
  return end;
}

function close(socket: WebSocket, closing: Closing | null): void {
  // The browser's side has no say before it is open.
  if (socket.readyState === WebSocket.CONNECTING) socket.addEventListener("open", () => close(socket, closing));
  else if (closing === null) socket.close();
  else socket.close(closing.code, closing.reason);
}

/** What one side says. It waits here until there is another side to take it. */
interface Messages {
  /** Sends it to the other side from now on; `onFlood` is called if that side takes it too slowly. */
  sendTo(other: WebSocket, onFlood: () => void): void;
}

function takeMessages(socket: WebSocket): Messages {
  const waiting: (string | ArrayBuffer)[] = [];
  let waitingBytes = 0;
  let send = (message: string | ArrayBuffer) => {
    waitingBytes += typeof message === "string" ? message.length : message.byteLength;
    if (waitingBytes <= MAX_WAITING_BYTES) waiting.push(message);
    else socket.close();
  };
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", ({ data }) => send(data));
  return {
    sendTo(other, onFlood): void {
      send = (message) => {
        if (other.readyState !== WebSocket.OPEN) return;
        if (other.bufferedAmount > MAX_WAITING_BYTES) onFlood();
        else other.send(message);
      };
      waiting.forEach(send);
    },
  };
}
