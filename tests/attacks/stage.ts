/**
 * The people of one case: signed in or half-way through signing in, each in a browser of their own, made when the case
 * first names them. With every case the people are new, so no case sees another one's sessions.
 *
 * @module
 */

import type { TestBrowser } from "../support/test_browser.ts";
import type { OwnUser } from "./token_service.ts";
import { COOKIES, PATHS, TRANSACTION_PREFIX } from "./names.ts";
import { ACME, GLOBEX, type World } from "./world.ts";

/** Somebody with a browser. */
export interface Person {
  readonly name: string;
  readonly vendorId: string;
  readonly browser: TestBrowser;
  /** Where the product is found, where that is not the vendor's public address. */
  readonly base?: string;
}

/** Somebody whom the identity provider has just sent back: the callback has not been opened. */
export interface Begun extends Person {
  /** The address that the provider sent the browser to. */
  readonly callback: URL;
  readonly state: string;
  readonly code: string;
}

/** The people of one case. */
export interface Stage {
  readonly world: World;
  /** Somebody with a live session: `alice`, `mallory`, or `globex:bob`. */
  signedIn(name: string): Promise<Person>;
  /** Somebody whose login has begun. */
  begun(name: string): Promise<Begun>;
  /** Somebody who is signed in at our own token service: `alice` or `mallory`. */
  atTokenService(name: string): Promise<OwnUser>;
  /** Somebody who has never been here. */
  stranger(): Person;
}

/** Makes an empty stage. */
export function createStage(world: World): Stage {
  const signedIn = new Map<string, Promise<Person>>();
  const begun = new Map<string, Promise<Begun>>();
  const atTokenService = new Map<string, Promise<OwnUser>>();

  function once<T>(made: Map<string, Promise<T>>, name: string, make: () => Promise<T>): Promise<T> {
    const known = made.get(name) ?? make();
    made.set(name, known);
    return known;
  }

  return {
    world,
    signedIn: (name) => once(signedIn, name, () => signIn(world, name)),
    begun: (name) => once(begun, name, () => begin(open(world, name))),
    atTokenService: (name) => once(atTokenService, name, async () => await (await world.tokenService()).signIn(name)),
    stranger: () => open(world, "alice"),
  };
}

function open(world: World, name: string): Person {
  const [user, vendorId = "acme"] = name.split(":").toReversed();
  return { name: user!, vendorId, browser: world.openBrowser(user!) };
}

async function signIn(world: World, name: string): Promise<Person> {
  const person = open(world, name);
  const { browser, vendorId } = person;
  const landing = await browser.navigate(`${baseOf(person)}/auth/${vendorId}/login`);
  if (cookieOf(person, "rt") === null) throw new Error(`Cannot sign ${name} in: ended with ${landing.last?.status}`);
  return person;
}

/** Begins a login and stops in front of the callback. */
export async function begin(person: Person): Promise<Begun> {
  const { browser, vendorId } = person;
  const { url } = await browser.navigate(`${baseOf(person)}/auth/${vendorId}/login`, {
    until: ({ pathname }) => pathname === `/auth/${vendorId}/callback`,
  });
  const state = url.searchParams.get("state");
  const code = url.searchParams.get("code");
  if (state === null || code === null) throw new Error(`Cannot begin a login: ended at ${url.origin}${url.pathname}`);
  return { ...person, callback: url, state, code };
}

/** The public address of a person's vendor. */
export function baseOf({ vendorId, base }: Person): string {
  return base ?? (vendorId === "acme" ? ACME.publicUrl : GLOBEX.publicUrl);
}

/** The value of a person's cookie: `at`, `rt`, or `tx`; `null` if there is none. */
export function cookieOf(person: Person, kind: string): string | null {
  const isMeant = (name: string) => kind === "tx" ? name.startsWith(TRANSACTION_PREFIX) : name === COOKIES[kind];
  const cookie = person.browser.jar.sent(new URL(baseOf(person))).find(({ name }) => isMeant(name));
  return cookie?.value ?? null;
}

/** Who is signed in in a browser, as the product sees it; `none` for nobody. */
export async function sessionOf(person: Person): Promise<string> {
  const { browser, vendorId } = person;
  const address = `${baseOf(person)}${PATHS.session!.replace("acme", vendorId)}`;
  const { status, body } = await browser.fetch(address, { from: `${baseOf(person)}/` });
  if (status === 200) return JSON.parse(body).sub;
  if (status === 401) return "none";
  throw new Error(`Cannot tell who is signed in: ${status}`);
}
