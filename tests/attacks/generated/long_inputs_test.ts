/**
 * Neighbours of the cases about load: the longest text that gets in, in every place where somebody reads a text, made of
 * whatever makes patterns go back and forth. The rule: no input costs more than its length.
 *
 * @module
 */

import { assert } from "@std/assert";
import { sendRequest } from "../../support/raw_http.ts";
import { PATHS } from "../names.ts";
import { createStage } from "../stage.ts";
import { ACME, withWorld, type World } from "../world.ts";

/** What is repeated, and what the whole ends with. */
const PATTERNS: readonly (readonly [part: string, end: string])[] = [
  ...[" ", "\t", "a ", " a", ",", ", ", ";", "; ", "=", "a=", "a=b; ", '"', '\\"', "(", "/", "a/", ".", "a.", "-", "_"]
    .map((part) => [part, "!"] as const),
  ...["%", "%20", "%25", "+", "&", "a=1&", "a&", "[", "0", "a", "eyJ", "Bearer ", "*/*, ", "text/html;q=0.1, "]
    .map((part) => [part, "~"] as const),
];

/** As long as it may be beside a session's cookies: more than 32 KB of headers are refused unread. */
const LONG = 24_000;

/** A path and query may be shorter. */
const LONG_TARGET = 15_000;

interface Place {
  readonly host?: string;
  readonly method?: string;
  readonly target: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string;
}

const FORM = ["Content-Type", "application/x-www-form-urlencoded"] as const;

/** Headers that are read here. */
const HEADERS = [
  ...["Cookie", "Authorization", "Accept", "Accept-Language", "Origin", "Referer", "User-Agent", "Content-Type"],
  ...["Connection", "Upgrade", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Purpose", "X-Request-Id", "X-CSRF"],
  ...[
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "If-None-Match",
    "Access-Control-Request-Headers",
    "Sec-WebSocket-Protocol",
  ],
];

const LOGIN_PARAMETERS = [
  "returnTo",
  "login_hint",
  "ui_locales",
  "prompt",
  "scope",
  "audience",
  "app_state",
  "max_age",
  "x",
];
const CALLBACK_PARAMETERS = ["state", "code", "iss", "error", "error_description"];
const AUTHORIZE_PARAMETERS = [
  ...["client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge", "prompt", "max_age"],
  ...["acr_values", "claims", "request", "id_token_hint"],
];
const TOKEN_PARAMETERS = [
  "grant_type",
  "client_id",
  "client_secret",
  "code",
  "code_verifier",
  "refresh_token",
  "scope",
];

/** Every place, filled with a text. */
const PLACES: readonly ((text: (length: number) => string) => readonly Place[])[] = [
  (text) => HEADERS.map((name) => ({ target: "/api/x", headers: [[name, text(LONG)]] })),
  (text) =>
    ["at", "__Host-rt", "__Host-tx-abcdefgh", "other"].map((name) => ({
      target: PATHS.session!,
      headers: [["Cookie", `${name}=${text(LONG)}`]],
    })),
  (text) => ["Basic ", "Bearer ", ""].map((scheme) => authorized(ACME_HOST, "/api/x", `${scheme}${text(LONG)}`)),
  (text) => LOGIN_PARAMETERS.map((name) => ({ target: `${PATHS.login}?${queryOf(name, text(LONG_TARGET))}` })),
  (text) => CALLBACK_PARAMETERS.map((name) => ({ target: `${PATHS.callback}?${queryOf(name, text(LONG_TARGET))}` })),
  (
    text,
  ) => [{ target: `/api/${encodeURI(text(LONG_TARGET)).slice(0, LONG_TARGET)}` }, { target: `/api/x?${raw(text)}` }],
  (text) => [{ target: `/auth/${encodeURIComponent(text(200)).slice(0, 1000)}/login` }],
  (text) =>
    ["logout_token", "x"].map((name) => ({
      method: "POST",
      target: PATHS.bclogout!,
      headers: [FORM],
      body: queryOf(name, text(LONG)),
    })),
  (text) =>
    AUTHORIZE_PARAMETERS.map((name) => ({ host: OP_HOST, target: `/authorize?${queryOf(name, text(LONG_TARGET))}` })),
  (text) =>
    TOKEN_PARAMETERS.map((name) => ({
      host: OP_HOST,
      method: "POST",
      target: "/oauth/token",
      headers: [FORM],
      body: queryOf(name, text(LONG)),
    })),
  (text) =>
    ["Basic ", "Bearer ", "Bearer"].map((scheme) => authorized(OP_HOST, "/oauth/userinfo", `${scheme}${text(LONG)}`)),
];

const ACME_HOST = new URL(ACME.publicUrl).host;
const OP_HOST = "id.test";

function authorized(host: string, target: string, value: string): Place {
  return { host, target, headers: [["Authorization", value]] };
}

function queryOf(name: string, text: string): string {
  return `${new URLSearchParams([[name, text]])}`;
}

function raw(text: (length: number) => string): string {
  return text(LONG_TARGET).replaceAll(/[^!-~]/g, "");
}

/** Milliseconds that an answer may take, whatever the input (do-06, do-08, do-09). */
const MAX_MS = 50;

Deno.test("no long input takes longer than 50 ms, or is our fault", async () => {
  await withWorld(async (world) => {
    const { browser } = await createStage(world).signedIn("alice");
    const cookie = browser.jar.header(new URL(ACME.publicUrl))!;
    // Everything has been used once before it is timed.
    for (const place of placesOf([" ", "!"])) await time(world, place, cookie);
    for (const pattern of PATTERNS) {
      for (const place of placesOf(pattern)) {
        let fastest = Infinity;
        // A machine may be busy with something else: only what is slow every time is slow.
        for (let i = 0; i < 3 && fastest > MAX_MS; i++) fastest = Math.min(fastest, await time(world, place, cookie));
        assert(fastest <= MAX_MS, `${fastest} ms: ${JSON.stringify(place).slice(0, 200)}`);
      }
    }
  });
});

/** Long as they may be, and as long as parameters are read at all (contract, section 2.1). */
const CAPS = [Infinity, 2000];

function placesOf([part, end]: readonly [string, string]): readonly Place[] {
  const text = (length: number) => part.repeat(Math.floor(length / part.length)) + end;
  return CAPS.flatMap((cap) => PLACES.flatMap((fill) => fill((length) => text(Math.min(length, cap)))));
}

/** Milliseconds that an answer takes. Where nothing else is said about cookies, they are alice's. */
async function time(world: World, place: Place, cookie: string): Promise<number> {
  const { host = ACME_HOST, headers = [], ...request } = place;
  const isSignedIn = host === ACME_HOST && !headers.some(([name]) => name === "Cookie");
  const all = isSignedIn ? [...headers, ["Cookie", cookie] as const] : headers;
  const began = performance.now();
  const { status } = await sendRequest(world.app.port, { host, headers: all, ...request });
  assert(status < 500, `${status}: ${JSON.stringify(place).slice(0, 200)}`);
  return performance.now() - began;
}
