/**
 * Placeholders in the cases, replaced by the values that they stand for. One that is not known here fails the run.
 *
 * @module
 */

import { encodeBase64Url, readBase64Url, readJsonObject, readUtf8 } from "../../lib/encoding.ts";
import { rsaKey } from "../support/signing_key.ts";
import { PATHS } from "./names.ts";
import { spoil } from "./sealed.ts";
import { baseOf, type Begun, cookieOf, type Person, type Stage } from "./stage.ts";

/** Whose values the placeholders without a name mean. */
export interface Scope {
  readonly stage: Stage;
  /** Who calls. */
  readonly caller: Person | Begun | null;
}

/** A placeholder begins with a letter; other braces are text. */
const PLACEHOLDER_REGEXP = /\{([A-Za-z][^{}]*)\}/;

/** Replaces every placeholder in a value, however deep. */
export async function resolve<T>(value: T, scope: Scope): Promise<T> {
  if (typeof value === "string") return await resolveText(value, scope) as T;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return await Promise.all(value.map((item) => resolve(item, scope))) as T;
  const entries = Object.entries(value).map(async ([name, member]) => [name, await resolve(member, scope)]);
  return Object.fromEntries(await Promise.all(entries));
}

async function resolveText(text: string, scope: Scope): Promise<unknown> {
  const match = PLACEHOLDER_REGEXP.exec(text);
  if (match === null) return text;
  const value = await valueOf(match[1]!, scope);
  // A placeholder that is the whole text may stand for something else than text.
  if (match[0] === text) return value;
  const before = text.slice(0, match.index);
  return `${before}${value}${await resolveText(text.slice(match.index + match[0].length), scope)}`;
}

async function valueOf(placeholder: string, scope: Scope): Promise<unknown> {
  if (Object.hasOwn(PATHS, placeholder)) return PATHS[placeholder];
  if (Object.hasOwn(VALUES, placeholder)) return await VALUES[placeholder]!(scope);
  const [, name = "", rest = ""] = /^([a-z_]+):(.*)$/s.exec(placeholder) ?? [];
  if (Object.hasOwn(FORMS, name)) return await FORMS[name]!(rest, scope);
  throw new Error(`Unknown placeholder {${placeholder}}`);
}

const VALUES: Readonly<Record<string, (scope: Scope) => unknown>> = {
  code: ({ caller }) => begunOf(caller)?.code ?? encodeBase64Url(crypto.getRandomValues(new Uint8Array(24))),
  state: ({ caller }) => begunOf(caller, "{state}")!.state,
  random: () => crypto.randomUUID(),
  /** The good element of a key set: nothing else is patched element by element. */
  good: ({ stage }) => stage.world.idp.key.publicJwk,
  "attacker public jwk": async () => (await rsaKey("attacker")).publicJwk,
  "attacker cert": async () => btoa(JSON.stringify((await rsaKey("attacker")).publicJwk)),
};

const FORMS: Readonly<Record<string, (rest: string, scope: Scope) => unknown>> = {
  repeat: (rest) => repeat(rest),
  code: async (name, { stage }) => (await stage.begun(name)).code,
  state: async (name, { stage }) => (await stage.begun(name)).state,
  cookies: async (name, { stage }) => {
    const person = await stage.signedIn(name);
    return person.browser.jar.header(new URL(baseOf(person)));
  },
  at: async (name, { stage }) => {
    const { name: user } = await stage.signedIn(name);
    return stage.world.idp.issued.accessTokens.findLast((token) => subjectOf(token) === user);
  },
  sid: async (name, { stage }) => {
    const person = await stage.signedIn(name === "globex" ? "globex:bob" : name);
    return stage.world.idp.sessions.get(person.name);
  },
  id_token: async (name, { stage }) => (await stage.atTokenService(name)).tokens.id_token,
  c: async (rest, scope) => {
    const [, kind = "", name = "", change = null] = /^(at|rt|tx)(?::([a-z:]+))?(?:,(.*))?$/s.exec(rest) ?? [];
    const person = await ownerOf(kind, name, scope);
    const value = cookieOf(person, kind);
    if (value === null) throw new Error(`Cannot resolve {c:${rest}}: ${person.name} has no such cookie`);
    return change === null ? value : await spoil(scope.stage.world, value, change);
  },
};

/** Whose a token is. */
function subjectOf(token: string): unknown {
  return readJsonObject(readUtf8(readBase64Url(token.split(".")[1]!)!)!)!.sub;
}

async function ownerOf(kind: string, name: string, { stage, caller }: Scope): Promise<Person> {
  if (name === "" && caller !== null) return caller;
  return kind === "tx" ? await stage.begun(name) : await stage.signedIn(name);
}

function begunOf(caller: Person | null, needed?: string): Begun | null {
  if (caller !== null && "callback" in caller) return caller as Begun;
  if (needed !== undefined) throw new Error(`Cannot resolve ${needed}: the caller has begun no login`);
  return null;
}

/** `N:x` is x written N times; `N:c%d=1024xA` is a list of N cookies, numbered, of 1,024 A each. */
function repeat(rest: string): string {
  const [, count = "", text = ""] = /^(\d+):(.*)$/s.exec(rest) ?? [];
  const [, name, length, letter] = /^(\w+)%d=(\d+)x(.)$/.exec(text) ?? [];
  if (name === undefined) return text.repeat(Number(count));
  const value = letter!.repeat(Number(length));
  return Array.from({ length: Number(count) }, (_, i) => `${name}${i}=${value}`).join("; ");
}
