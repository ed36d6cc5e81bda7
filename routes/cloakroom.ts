/**
 * The whole token handler behind one function: stores and keys in, `fetch` out.
 *
 * @module
 */

import { type Clock, systemClock } from "../lib/clock.ts";
import { createKeySets } from "../lib/jwt/mod.ts";
import { type Logger, silentLogger } from "../lib/log.ts";
import { createMetadataDirectory } from "../lib/oauth/mod.ts";
import type { Fetch } from "../lib/outbound.ts";
import { type Random, systemRandom } from "../lib/random.ts";
import type { Secret } from "../lib/secret.ts";
import { createStores, type Records } from "../lib/store/mod.ts";
import { moveToMasterKey } from "../lib/token_handler/master_key_change.ts";
import { createRefreshCalls } from "../lib/token_handler/refresh.ts";
import { createServiceKeys } from "../lib/token_handler/service_keys.ts";
import { createSessions } from "../lib/token_handler/sessions.ts";
import { createStreams } from "../lib/token_handler/streams.ts";
import { createVendorKeys, type VendorKeys } from "../lib/token_handler/vendor_keys.ts";
import { createVendorDirectory, type VendorDefaults, type VendorDirectory } from "../lib/token_handler/vendors.ts";
import { isVendorId, readVendorSettings } from "../lib/vendor/mod.ts";
import { createApp } from "./app.ts";
import type { ManagementAccess, WebSockets } from "./deps.ts";
import { readTrustedProxies } from "./shared/proxies.ts";

/** What a token handler is made of. */
export interface CloakroomOptions {
  /** Where vendors and sessions are kept: `createMemoryRecords()` or `createKvRecords(kv)`. */
  readonly records: Records;
  /** 32 random bytes that wrap every key and secret in the store. Keep them outside the store. */
  readonly masterKey: Secret<Uint8Array<ArrayBuffer>>;
  /** Earlier master keys, which open what they wrapped until it is wrapped anew. */
  readonly formerMasterKeys?: readonly Secret<Uint8Array<ArrayBuffer>>[];
  /** What vendors get that do not say otherwise. */
  readonly defaults?: Partial<VendorDefaults>;
  /** Who may manage vendors over HTTP; nobody by default. */
  readonly management?: ManagementAccess | null;
  /** Calls to token services and upstreams; the platform's `fetch` by default. */
  readonly fetch?: Fetch;
  /** What the runtime offers for WebSockets: without it, handshakes are answered 501. */
  readonly webSockets?: WebSockets;
  /** Time; the system's by default. */
  readonly now?: Clock;
  /** Randomness; the system's by default. */
  readonly random?: Random;
  /** Receives log events; dropped by default. */
  readonly log?: Logger;
  /** Proxies whose `X-Forwarded-*` headers count: a number of hops, or CIDR ranges; none by default. */
  readonly trustedProxies?: string;
  /** Bytes that opened cookies and sessions may take in memory; 64 MiB by default. */
  readonly cacheBytes?: number;
  /** Drops `Secure` and the cookie prefix on plain-http loopback, for Safari. */
  readonly plainLoopbackCookies?: boolean;
  /** Accepts `http:` and loopback hosts for issuers, upstreams and pages: for development. */
  readonly insecureAllowLoopback?: boolean;
  /** Tells whether the service wants more requests; `false` while it is shutting down. */
  readonly isAccepting?: () => boolean;
  /** Pages of the demo. */
  readonly demoPages?: ReadonlyMap<string, () => Promise<Response>>;
}

/** A token handler. */
export interface Cloakroom {
  /** Answers a request. `clientAddress` is the peer's, for the log and for `X-Forwarded-For`. Never rejects. */
  fetch(request: Request, clientAddress?: string): Promise<Response>;
  /**
   * Saves the settings of a vendor, as `PUT /management/vendors/:id/token-handler` does.
   *
   * @throws {TypeError} If a setting is wrong; the message names every fault.
   */
  saveVendor(vendorId: string, settings: unknown): Promise<void>;
  /** The tenants. */
  readonly vendors: VendorDirectory;
  /** Their sealing keys. */
  readonly keys: VendorKeys;
  /** Ends WebSockets (1001) and server-sent events, which would otherwise go on for ever: before the service stops. */
  endStreams(): void;
  /** Waits for work that goes on after answers, such as revocations. */
  settle(): Promise<void>;
}

/**
 * Creates a token handler.
 *
 * @param options Store, master key, and what differs from the defaults.
 * @returns The token handler.
 * @throws {RangeError} If the master key does not have 32 bytes.
 * @throws {TypeError} If `trustedProxies` cannot be read.
 */
export async function createCloakroom(options: CloakroomOptions): Promise<Cloakroom> {
  const { records, fetch = (input, init) => globalThis.fetch(input, init), log = silentLogger } = options;
  const { now = systemClock, random = systemRandom, insecureAllowLoopback = false } = options;
  const trustedProxies = readTrustedProxies(options.trustedProxies ?? "0");
  if (trustedProxies === null) {
    throw new TypeError("Cannot create a token handler: trustedProxies is neither a number nor a list of ranges");
  }
  const masterKeys = [options.masterKey, ...options.formerMasterKeys ?? []].map((key) => key.reveal());
  const serviceKeys = await createServiceKeys(masterKeys, random);
  const stores = createStores(records);
  const keys = createVendorKeys({ store: stores.vendorKeys, serviceKeys, now, random });
  const defaults = { issuer: null, upstream: null, publicUrl: null, ...options.defaults };
  const vendors = createVendorDirectory({ store: stores.vendors, serviceKeys, defaults, now });
  const keySets = createKeySets({ fetch, now });
  const metadata = createMetadataDirectory({ fetch, now, insecureAllowHttpLoopback: insecureAllowLoopback });
  const calls = createRefreshCalls({ metadata, keySets, fetch, now, log });
  const running = new Set<Promise<unknown>>();

  function background(work: Promise<unknown>): void {
    const tracked = work.catch(() => log({ level: "error", event: "background_work_failed" }));
    running.add(tracked);
    tracked.finally(() => running.delete(tracked));
  }

  if (masterKeys.length > 1) background(moveToMasterKey({ store: stores.vendors, vendors, keys, log }));

  const { leases } = stores;
  const onEnded = (vendorId: string, sessionId: string) => streams.endSession(vendorId, sessionId);
  const sessions = createSessions({
    store: stores.sessions,
    leases,
    keys,
    calls,
    onEnded,
    background,
    now,
    random,
    ...(options.cacheBytes === undefined ? {} : { cacheBytes: options.cacheBytes }),
  });
  const streams = createStreams({ sessions, now });
  const app = createApp({
    vendors,
    keys,
    sessions,
    streams,
    once: stores.once,
    metadata,
    keySets,
    fetch,
    now,
    random,
    log,
    trustedProxies,
    insecureAllowLoopback,
    plainLoopbackCookies: options.plainLoopbackCookies ?? false,
    management: options.management ?? null,
    calls,
    background,
    async isReady() {
      await stores.vendors.listIds({ limit: 1 });
      return options.isAccepting?.() ?? true;
    },
    ...(options.webSockets === undefined ? {} : { webSockets: options.webSockets }),
    ...(options.demoPages === undefined ? {} : { demoPages: options.demoPages }),
  });

  return {
    fetch: app.fetch,
    vendors,
    keys,

    async saveVendor(vendorId: string, settings: unknown): Promise<void> {
      const refuse = (why: string) => new TypeError(`Cannot save vendor "${vendorId}": ${why}`);
      if (!isVendorId(vendorId)) throw refuse("expected an id of 1 to 64 characters of a-z 0-9 - _, no reserved word");
      const reading = readVendorSettings(settings, { insecureAllowLoopback });
      if (reading.kind === "refused") {
        throw refuse(reading.faults.map(({ pointer, detail }) => `${pointer} ${detail}`).join("; "));
      }
      const outcome = await vendors.save(vendorId, reading);
      switch (outcome.kind) {
        case "issuer_missing":
          throw refuse("/issuer missing, and there is no default issuer");
        case "secret_missing":
          throw refuse("/clientSecret missing: this clientAuthMethod needs one");
        case "host_taken":
          throw refuse(`/hosts another vendor uses ${outcome.host}`);
        case "conflict":
          throw refuse("somebody else saved it meanwhile");
      }
    },

    endStreams: streams.stop,

    async settle(): Promise<void> {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
