/**
 * A token service in memory for tests: four clients, two people, a clock that stands still until it is moved.
 *
 * @module
 */

import { assertEquals, assertExists } from "@std/assert";
import { type JsonObject, readJsonObject } from "../../lib/encoding.ts";
import type { LogEvent } from "../../lib/log.ts";
import { challengeOf } from "../../lib/pkce.ts";
import { createMemoryRecords } from "../../lib/store/memory/mod.ts";
import type { Records } from "../../lib/store/records.ts";
import {
  createSigningKeys,
  createTokenService,
  type SigningKeys,
  type TokenService,
  type TokenServiceOptions,
} from "../../lib/token_service/mod.ts";
import { createTokenServiceApp, type TokenServiceApp } from "../../routes/token_service/mod.ts";

export const ISSUER = "https://id.test/";
export const REDIRECT_URI = "https://client.test/cb";
export const VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
export const CHALLENGE = await challengeOf(VERIFIER);
export const SECRET = "a-secret-of-the-web-client";
export const API = "https://api.acme.test/";

/** Making an RSA key takes half a second: one set for all tests of a file. */
const signingKeys: SigningKeys = createSigningKeys();

export interface Kit {
  readonly service: TokenService;
  readonly app: TokenServiceApp;
  readonly records: Records;
  /** Everything that was logged. */
  readonly events: LogEvent[];
  /** Moves the clock. */
  pass(seconds: number): void;
  now(): number;
  /** Sends a request. A path stands below the issuer; a body object becomes a form. */
  send(path: string, init?: Sent): Promise<Response>;
}

export interface Sent {
  readonly method?: string;
  readonly form?: Readonly<Record<string, string>> | readonly (readonly [string, string])[];
  readonly body?: BodyInit;
  readonly headers?: Readonly<Record<string, string>>;
  readonly address?: string;
}

export async function createKit(options: Partial<TokenServiceOptions> = {}): Promise<Kit> {
  let time = 1_800_000_000;
  const now = () => time;
  const records = options.records ?? createMemoryRecords(now);
  const events: LogEvent[] = [];
  const service = createTokenService({
    issuer: ISSUER,
    records,
    signingKeys,
    now,
    passwordRounds: 1,
    log: (event) => events.push(event),
    ...options,
  });
  const app = createTokenServiceApp(service, {
    clientAddress: (request) => request.headers.get("x-test-address") ?? "192.0.2.1",
    log: (event) => events.push(event),
  });
  const person = {
    redirectUris: [REDIRECT_URI],
    postLogoutRedirectUris: ["https://client.test/", "https://client.test/bye?x=1"],
    grantTypes: ["authorization_code", "refresh_token"],
    scopes: ["openid", "profile", "email", "read:articles"],
    audiences: [API],
    firstParty: true,
  } as const;
  await service.clients.create({ ...person, clientId: "spa", name: "The single page", isPublic: true });
  await service.clients.create({ ...person, clientId: "web", name: "The web site", clientSecret: SECRET });
  await service.clients.create({ ...person, clientId: "outsider", name: "Somebody else", firstParty: false });
  await service.clients.create({
    clientId: "machine",
    clientSecret: SECRET,
    name: "The machine",
    grantTypes: ["client_credentials"],
    scopes: ["read:vendors", "write:vendors", "openid"],
    audiences: ["https://api.test/management", API],
    vendorId: "acme",
  });
  for (const name of ["ada", "mallory"]) {
    const claims = {
      email_verified: true,
      given_name: name,
      locale: "en",
      sub: "forged",
      iss: "forged",
      role: "admin",
    };
    await service.users.create({
      sub: `user-${name}`,
      email: `${name}@example.com`,
      name,
      password: "open sesame",
      claims,
    });
  }
  return {
    service,
    app,
    records,
    events,
    now,
    pass: (seconds) => void (time += seconds),
    async send(path: string, { method, form, body, headers, address }: Sent = {}): Promise<Response> {
      const pairs = form === undefined ? undefined : Array.isArray(form) ? form : Object.entries(form);
      const content = pairs === undefined ? body : new URLSearchParams(pairs as [string, string][]);
      return await app.fetch(
        new Request(new URL(path.replace(/^\//, ""), service.issuer), {
          method: method ?? (content === undefined ? "GET" : "POST"),
          headers: { ...headers, ...(address !== undefined && { "x-test-address": address }) },
          ...(content !== undefined && { body: content }),
        }),
      );
    },
  };
}

/** A good authorization request of the single-page client, with changes; `null` leaves a parameter out. */
export function authorizePath(changes: Readonly<Record<string, string | null>> = {}): string {
  const good = {
    client_id: "spa",
    redirect_uri: REDIRECT_URI,
    response_type: "code",
    scope: "openid profile email",
    state: "s",
    nonce: "n",
    code_challenge: CHALLENGE,
    code_challenge_method: "S256",
  };
  const entries = Object.entries({ ...good, ...changes }).filter((entry): entry is [string, string] =>
    entry[1] !== null
  );
  return `/authorize?${new URLSearchParams(entries)}`;
}

/** A browser at the token service: keeps its cookies as `__Host-` cookies are kept. */
export class Visitor {
  readonly cookies = new Map<string, string>();

  constructor(readonly kit: Kit, readonly address = "192.0.2.1") {}

  async send(path: string, init: Sent = {}): Promise<Response> {
    const cookie = [...this.cookies].map((pair) => pair.join("=")).join("; ");
    const headers = { ...init.headers, ...(cookie !== "" && { cookie }) };
    const response = await this.kit.send(path, { ...init, headers, address: this.address });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value, attributes] = /^([^=]+)=([^;]*)(; .*)$/.exec(line)!;
      assertEquals(attributes!.replace("; Max-Age=0", ""), "; Path=/; Secure; HttpOnly; SameSite=Lax");
      if (attributes!.includes("Max-Age=0")) this.cookies.delete(name!);
      else this.cookies.set(name!, value!);
    }
    return response;
  }

  /** Fills the form of a page in and sends it. */
  async submit(page: Response, fields: Readonly<Record<string, string>> = {}): Promise<Response> {
    const text = await page.text();
    const action = /<form method="post" action="([^"]+)"/.exec(text)?.[1];
    assertExists(action, "expected a page with a form");
    const inputs = [...text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)];
    const hidden = inputs.map(([, name, value]) => [name!, unescape(value!)] as const);
    return await this.send(action, { form: { ...Object.fromEntries(hidden), ...fields } });
  }

  /** Asks for a code, signing in where asked to; answers where the browser is sent. */
  async authorize(changes: Readonly<Record<string, string | null>> = {}, email = "ada@example.com"): Promise<URL> {
    const first = await this.send(authorizePath(changes));
    const answer = first.status === 200 ? await this.submit(first, { email, password: "open sesame" }) : first;
    const location = answer.headers.get("location");
    assertExists(location, `expected a redirect, got ${answer.status}`);
    await answer.body?.cancel();
    return new URL(location);
  }

  /** Signs in and answers the code. */
  async code(changes: Readonly<Record<string, string | null>> = {}, email = "ada@example.com"): Promise<string> {
    const code = (await this.authorize(changes, email)).searchParams.get("code");
    assertExists(code);
    return code;
  }

  /** Signs in and answers the tokens. */
  async tokens(changes: Readonly<Record<string, string | null>> = {}, email = "ada@example.com"): Promise<Tokens> {
    return await redeem(this.kit, await this.code(changes, email), {
      client_id: changes.client_id ?? "spa",
      ...(changes.client_id === "web" && { client_secret: SECRET }),
    });
  }
}

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly id_token: string;
  readonly expires_in: number;
  readonly scope: string;
}

/** A good redemption of a code, with changes. */
export function codeForm(code: string, changes: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    grant_type: "authorization_code",
    client_id: "spa",
    redirect_uri: REDIRECT_URI,
    code,
    code_verifier: VERIFIER,
    ...changes,
  };
}

/** Redeems a code and expects tokens. */
export async function redeem(kit: Kit, code: string, changes: Readonly<Record<string, string>> = {}): Promise<Tokens> {
  const response = await kit.send("/oauth/token", { form: codeForm(code, changes) });
  const body = await response.json();
  assertEquals(response.status, 200, JSON.stringify(body));
  return body;
}

/** Refreshes as the single-page client. */
export async function refresh(kit: Kit, token: string, changes: Readonly<Record<string, string>> = {}) {
  const form = { grant_type: "refresh_token", client_id: "spa", refresh_token: token, ...changes };
  const response = await kit.send("/oauth/token", { form });
  return { status: response.status, body: await response.json() };
}

/** Status of the userinfo endpoint for a token. */
export async function userinfoStatus(kit: Kit, token: string): Promise<number> {
  const response = await kit.send("/userinfo", { headers: { authorization: `Bearer ${token}` } });
  await response.body?.cancel();
  return response.status;
}

/** Header and claims of a JWT, unverified. */
export function readJwt(token: string): { readonly header: JsonObject; readonly claims: JsonObject } {
  const [header, claims] = token.split(".").slice(0, 2).map((part) =>
    readJsonObject(new TextDecoder().decode(Uint8Array.fromBase64(part, { alphabet: "base64url" })))
  );
  return { header: header!, claims: claims! };
}

/** Checks the form of an OAuth error: registered code, printable description, not kept. */
export async function assertRefused(response: Response, status: number, error: string): Promise<void> {
  const body = await response.json();
  assertEquals([response.status, body.error], [status, error]);
  assertEquals(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(body.error_description), true, body.error_description);
  assertEquals(response.headers.get("cache-control"), "no-store");
  assertEquals(response.headers.get("content-type"), "application/json");
}

function unescape(text: string): string {
  return text.replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&lt;", "<").replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
