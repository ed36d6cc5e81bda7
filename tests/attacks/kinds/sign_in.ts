/**
 * `token` and `cookie`: sign-ins and calls in which one thing is wrong.
 *
 * @module
 */

import type { JsonObject } from "../../../lib/encoding.ts";
import type { Change, MockIdp } from "../../support/mock_idp.ts";
import { rsaKey, signJwt } from "../../support/signing_key.ts";
import { PATHS, TRANSACTION_PREFIX } from "../names.ts";
import { type Answer, answerOf, type Outcome } from "../outcome.ts";
import { resolve } from "../placeholders.ts";
import { READINGS } from "../readings.ts";
import { flipBit, PARTS } from "../sealed.ts";
import { begin, type Begun, createStage, type Person, sessionOf, type Stage } from "../stage.ts";
import { makeToken, otherPublishedKeys, type TokenRequest } from "../tokens.ts";
import { ACME, type World } from "../world.ts";
import { callOf, sendAs } from "./http.ts";
import { type Kind, membersOf } from "./kind.ts";

/** Opens the callback as the browser does that the provider has sent there. */
export async function openCallback({ browser, callback }: Begun): Promise<Answer> {
  const { last } = await browser.navigate(callback.href, { from: "https://idp.test/", maxRedirects: 0 });
  return answerOf(last!);
}

/** Longer than the pause between two fetches of keys, so that one more is allowed. */
const COOLDOWN_SECONDS = 31;

/** Longer than keys are believed without asking again. */
const KEYS_SECONDS = 601;

interface TokenCase extends TokenRequest {
  readonly where: string;
  readonly endpoint?: string;
  /** Whether the attacker's key is published under the right key id. */
  readonly published?: boolean;
}

/** A token that is good except for what is named. */
export const token: Kind = async (stage, { request, id }) => {
  const members = ["where", "header", "claims", "key", "mutate", "endpoint", "published"] as const;
  const given = await resolve(membersOf<TokenCase>(request, members), { stage, caller: null });
  switch (given.where) {
    case "id_token":
      return await prepareIdToken(stage, given, READINGS[id]?.times ?? 1);
    case "access_token":
      return await prepareBearer(stage, given);
    case "logout_token":
      return await prepareLogoutToken(stage, given);
    default:
      throw new Error(`Unknown place of a token: ${given.where}`);
  }
};

async function prepareIdToken({ world }: Stage, given: TokenCase, times: number): Promise<() => Promise<Outcome>> {
  const { clock, idp } = world;
  // An unknown word has to fail here: inside the provider it would look like an outage.
  await makeToken(world, given, { header: {}, claims: {} });
  const { publicJwk } = await rsaKey("attacker");
  // In front of the right one, where a careless reader takes the first that fits.
  const publishBoth = (good: JsonObject) =>
    Response.json({ keys: [{ ...publicJwk, kid: idp.key.kid }, ...good.keys as JsonObject[]] });
  clock.advance(given.published === true ? KEYS_SECONDS : COOLDOWN_SECONDS);
  const people = await Promise.all(
    Array.from(
      { length: times },
      () => begin({ name: "alice", vendorId: "acme", browser: world.openBrowser("alice") }),
    ),
  );
  return async () => {
    let making = 0;
    const restore = changeIdp(idp, {
      otherKeys: await otherPublishedKeys(),
      change: given.published === true ? { jwks: publishBoth } : {},
      makeIdToken: async (claims) => {
        const begun = performance.now();
        const made = await makeToken(world, given, { header: {}, claims });
        making += performance.now() - begun;
        return made;
      },
    });
    try {
      // One after another: calls at once would share a fetch of keys anyway.
      const answers: Answer[] = [];
      for (const person of people) answers.push(await openCallback(person));
      return { answers, caller: people[0]!, uncountedMilliseconds: making };
    } finally {
      restore();
      // The next case finds the right keys again.
      if (given.published === true) clock.advance(KEYS_SECONDS);
    }
  };
}

async function prepareBearer(stage: Stage, given: TokenCase): Promise<() => Promise<Outcome>> {
  const bearer = given.mutate === "use alice's id_token"
    ? await lastIdToken(stage)
    : await makeToken(stage.world, given, { header: { typ: "at+jwt" }, claims: accessClaims(stage.world) });
  const caller = stage.stranger();
  return async () => {
    const { answer } = await sendAs(stage, caller, callOf("api", [["Authorization", `Bearer ${bearer}`]]));
    return { answers: [answer], caller };
  };
}

/** Claims of a good access token. */
function accessClaims({ idp, clock }: World): JsonObject {
  const times = { iat: clock(), exp: clock() + 600 };
  return {
    iss: idp.issuer,
    sub: "alice",
    aud: idp.audience,
    client_id: ACME.clientId,
    jti: crypto.randomUUID(),
    ...times,
  };
}

/** Signs alice in and answers the ID token that came with it. */
async function lastIdToken(stage: Stage): Promise<string> {
  const { idp } = stage.world;
  let made = "";
  const restore = changeIdp(idp, { makeIdToken: async (claims) => made = await signJwt(idp.key, {}, claims) });
  try {
    await stage.signedIn("alice");
  } finally {
    restore();
  }
  return made;
}

async function prepareLogoutToken(stage: Stage, given: TokenCase): Promise<() => Promise<Outcome>> {
  const { world } = stage;
  const bystander = await stage.signedIn("globex:bob");
  const first = await stage.signedIn("alice");
  const { mutate, ...others } = given;
  const isTwice = mutate === "send twice";
  const logoutToken = mutate === "use alice's access token"
    ? world.idp.issued.accessTokens.at(-1)!
    : await makeToken(world, isTwice ? others : given, {
      header: { typ: "logout+jwt" },
      claims: logoutClaims(world),
    });
  const send = async (): Promise<Answer> => {
    const url = new URL(given.endpoint ?? PATHS.bclogout!, ACME.publicUrl);
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const body = `${new URLSearchParams({ logout_token: logoutToken })}`;
    const response = await world.app.send(new Request(url, { method: "POST", headers, body }));
    return { url, status: response.status, headers: response.headers, body: await response.text() };
  };
  const caller = isTwice ? await endAndReturn(stage, first, send) : first;
  return async () => {
    const answer = await send();
    // What ends all sessions of a user ends those too that begin in the same second.
    world.clock.advance(1);
    return { answers: [answer], caller, bystander };
  };
}

/** Lets the first sending end alice's session, and alice come back. */
async function endAndReturn(stage: Stage, first: Person, send: () => Promise<Answer>): Promise<Person> {
  const { status } = await send();
  const seen = await sessionOf(first);
  if (status !== 200 || seen !== "none") throw new Error(`Cannot end a session: ${status}, ${seen} is signed in`);
  stage.world.clock.advance(1);
  return await createStage(stage.world).signedIn("alice");
}

/** Claims of a good logout token that ends every session of alice. */
function logoutClaims({ idp, clock }: World): JsonObject {
  const events = { "http://schemas.openid.net/event/backchannel-logout": {} };
  const times = { iat: clock(), exp: clock() + 120 };
  return { iss: idp.issuer, sub: "alice", aud: ACME.clientId, jti: crypto.randomUUID(), events, ...times };
}

interface CookieCase {
  readonly start: string;
  readonly cookie: string;
  readonly mutate: string;
}

/** A flow whose cookie is spoiled on the way. */
export const cookie: Kind = async (stage, { request }) => {
  const { start, cookie: name, mutate } = membersOf<CookieCase>(request, ["start", "cookie", "mutate"]);
  if (`${start} ${name} ${mutate}` !== "login transaction flip-one-bit") {
    throw new Error(`Unknown way of spoiling a cookie: ${start} ${name} ${mutate}`);
  }
  const person = await stage.begun("alice");
  const { jar } = person.browser;
  const held = jar.all().find((cookie) => cookie.name === `${TRANSACTION_PREFIX}${person.state.slice(0, 8)}`)!;
  const spoiled = flipBit(held.value, PARTS.indexOf("ciphertext"), 0);
  jar.take(new URL(ACME.publicUrl), `${held.name}=${spoiled}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600`);
  return async () => ({ answers: [await openCallback(person)], caller: person });
};

/** Makes the provider behave otherwise until the answered function is called. */
export function changeIdp(
  idp: MockIdp,
  changes: { makeIdToken: MockIdp["makeIdToken"]; otherKeys?: readonly JsonObject[]; change?: Record<string, Change> },
): () => void {
  const { makeIdToken } = idp;
  idp.makeIdToken = changes.makeIdToken;
  const added = changes.otherKeys ?? [];
  idp.otherKeys.push(...added);
  Object.assign(idp.change, changes.change);
  return () => {
    idp.makeIdToken = makeIdToken;
    idp.otherKeys.length -= added.length;
    for (const endpoint of Object.keys(changes.change ?? {})) delete idp.change[endpoint as keyof MockIdp["change"]];
  };
}
