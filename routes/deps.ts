/**
 * Everything that the routes need from outside: the single list of what the composition root has to provide.
 *
 * @module
 */

import type { Clock } from "../lib/clock.ts";
import type { KeySets } from "../lib/jwt/mod.ts";
import type { Logger } from "../lib/log.ts";
import type { MetadataDirectory } from "../lib/oauth/mod.ts";
import type { Fetch } from "../lib/outbound.ts";
import type { Random } from "../lib/random.ts";
import type { OnceStore } from "../lib/store/mod.ts";
import type { RefreshCalls } from "../lib/token_handler/refresh.ts";
import type { Sessions } from "../lib/token_handler/sessions.ts";
import type { Streams } from "../lib/token_handler/streams.ts";
import type { VendorKeys } from "../lib/token_handler/vendor_keys.ts";
import type { VendorDirectory } from "../lib/token_handler/vendors.ts";
import type { TrustedProxies } from "./shared/proxies.ts";

/** Who may manage vendors. */
export interface ManagementAccess {
  /** Issuer of the management tokens. */
  readonly issuer: string;
  /** The audience that they must be meant for. */
  readonly audience: string;
}

/** What only the runtime can do about WebSockets. */
export interface WebSockets {
  /** Opens one to an upstream. */
  dial(
    address: string,
    options: { readonly protocols: string[]; readonly headers: [name: string, value: string][] },
  ): WebSocket;
  /** Turns a request into one; `protocol` is empty where none was agreed. Nobody may read the request any more. */
  upgrade(request: Request, protocol: string): { readonly socket: WebSocket; readonly response: Response };
}

/** What the application is made of. */
export interface AppDeps {
  /** The tenants. */
  readonly vendors: VendorDirectory;
  /** Their sealing keys. */
  readonly keys: VendorKeys;
  /** Sessions of their users. */
  readonly sessions: Sessions;
  /** Calls with refresh tokens. */
  readonly calls: RefreshCalls;
  /** Marks of what may be used once. */
  readonly once: OnceStore;
  /** What token services say about themselves. */
  readonly metadata: MetadataDirectory;
  /** Their keys. */
  readonly keySets: KeySets;
  /** Calls to token services and upstreams. */
  readonly fetch: Fetch;
  /** WebSockets; none where the runtime offers nothing. */
  readonly webSockets?: WebSockets;
  /** Streams that are open. */
  readonly streams: Streams;
  /** Time. */
  readonly now: Clock;
  /** Randomness. */
  readonly random: Random;
  /** The log. */
  readonly log: Logger;
  /** Whose forwarded headers count. */
  readonly trustedProxies: TrustedProxies;
  /** `CLOAKROOM_LOOPBACK_COOKIES=plain`. */
  readonly plainLoopbackCookies: boolean;
  /** Whether vendors may name loopback servers: demo and development only. */
  readonly insecureAllowLoopback: boolean;
  /** Who may manage vendors; `null` = nobody. */
  readonly management: ManagementAccess | null;
  /** Takes work that goes on after the answer, so that a shutdown can wait for it. */
  readonly background: (work: Promise<unknown>) => void;
  /** Tells whether the service can do its work now: the store answers, and it is not shutting down. */
  readonly isReady: () => Promise<boolean>;
  /** Pages of the demo by path; none in a configured service. */
  readonly demoPages?: ReadonlyMap<string, () => Promise<Response>>;
}
