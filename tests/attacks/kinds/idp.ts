/**
 * `idp`: sign-ins and refreshes with a provider that answers wrongly.
 *
 * @module
 */

import type { JsonObject } from "../../../lib/encoding.ts";
import { hurried, HURRY } from "../../support/hurry.ts";
import type { Change, MockEndpoint } from "../../support/mock_idp.ts";
import { PATHS } from "../names.ts";
import { type Answer, answerOf, type Outcome } from "../outcome.ts";
import { resolve } from "../placeholders.ts";
import { answerWith, createPatience, isSlow, readReply, type Reply, startResettingServer } from "../replies.ts";
import type { Person, Stage } from "../stage.ts";
import { makeToken } from "../tokens.ts";
import { ACME, type World } from "../world.ts";
import { type Kind, membersOf } from "./kind.ts";
import { changeIdp, openCallback } from "./sign_in.ts";

interface IdpCase {
  readonly flow?: string;
  readonly endpoint: MockEndpoint;
  readonly reply?: Reply;
  readonly patch?: JsonObject;
  readonly drop?: readonly string[];
  readonly id_token_claims?: JsonObject;
  readonly id_token_key?: string;
}

/** Longer than the pause after a fetch of keys or metadata that failed. */
const PAUSE_SECONDS = 31;

/** After a day, keys and metadata of a provider are not believed any more. */
const COLD_SECONDS = 86_401;

/** Longer than access tokens of the provider live, and longer than anybody cools off. */
const EXPIRED_SECONDS = 3601;

/** How an ID token says nothing about its user, so that userinfo is asked. */
const SILENT: JsonObject = { name: null, email: null, email_verified: null };

/** A provider that answers wrongly. */
export const idp: Kind = async (stage, { request, expect }) => {
  const members = ["flow", "endpoint", "reply", "patch", "drop", "id_token_claims", "id_token_key"] as const;
  const given = await resolve(membersOf<IdpCase>(request, members), { stage, caller: null });
  const { flow = "login", endpoint, id_token_claims: claims = {}, id_token_key: key = "idp" } = given;
  const reply = await readReply(given.reply ?? {});
  const { world } = stage;
  const said = {
    ...endpoint === "userinfo" ? SILENT : {},
    ...flow === "refresh" ? { name: "Changed" } : {},
    ...claims,
  };
  const makeIdToken = (good: JsonObject) =>
    makeToken(world, { header: {}, claims: said, key }, { header: {}, claims: good });
  await makeIdToken({});
  const { person, act } = await prepare(stage, flow, endpoint);
  const answers = async (): Promise<Answer> => {
    const patience = createPatience();
    const restore = changeIdp(world.idp, {
      makeIdToken,
      change: { [endpoint]: changeOf(given, (good) => answerWith(reply, good, patience)) },
    });
    const heal = reply.connect === undefined ? async () => {} : breakConnections(world, reply.connect);
    try {
      return isSlow(reply) ? await hurried(act) : await act();
    } finally {
      patience.end();
      restore();
      await heal();
    }
  };
  return async (): Promise<Outcome> => {
    const began = performance.now();
    const answer = await answers();
    const took = performance.now() - began;
    return {
      answers: [answer],
      caller: person,
      // Hurried time counts in full.
      ...isSlow(reply) ? { uncountedMilliseconds: took * (1 - HURRY) } : {},
      facts: { ...await emailFacts(person, claims), ...await claimsFacts(person, expect) },
    };
  };
};

/** What a case changes of the good answer. */
function changeOf({ reply, patch = {}, drop = [] }: IdpCase, answer: Change): Change {
  if (reply !== undefined) return answer;
  return (good) =>
    Response.json(Object.fromEntries(Object.entries({ ...good, ...patch }).filter(([name]) => !drop.includes(name))));
}

interface Prepared {
  readonly person: Person;
  readonly act: () => Promise<Answer>;
}

/** Brings somebody as far as the fault. */
async function prepare(stage: Stage, flow: string, endpoint: MockEndpoint): Promise<Prepared> {
  const { clock, idp } = stage.world;
  clock.advance(PAUSE_SECONDS);
  if (flow === "refresh") {
    const person = await stage.signedIn("alice");
    // Whatever is wrong with an answer, its provider lets the client ask again with the same token.
    idp.unrotated.add(person.name);
    clock.advance(EXPIRED_SECONDS);
    return { person, act: async () => await callApi(person) };
  }
  if (flow !== "login") throw new Error(`Unknown flow: ${flow}`);
  if (endpoint === "discovery" || endpoint === "jwks") clock.advance(COLD_SECONDS);
  if (endpoint !== "discovery") {
    const person = await stage.begun("alice");
    return { person, act: () => openCallback(person) };
  }
  const person = stage.stranger();
  return {
    person,
    act: async () => {
      const { exchanges } = await person.browser.navigate(`${ACME.publicUrl}${PATHS.login}`, {
        until: ({ host, pathname }) => host === "api.acme.test" && pathname === "/",
      });
      return answerOf(exchanges.findLast(({ url }) => url.host === "api.acme.test")!);
    },
  };
}

/** A page's call of the API. */
export async function callApi({ browser }: Person): Promise<Answer> {
  return answerOf(await browser.fetch(`${ACME.publicUrl}${PATHS.api}/x`, { from: `${ACME.publicUrl}/` }));
}

/** Whether the session goes on, once everybody has cooled off: a call works without a login. */
export async function isKept(world: World, person: Person): Promise<boolean> {
  await world.cloakroom.settle();
  world.clock.advance(EXPIRED_SECONDS);
  const tokenCalls = world.idp.calls.token;
  return (await callApi(person)).status === 200 && world.idp.calls.token === tokenCalls + 1;
}

/** Lets the token endpoint fail below HTTP; the answered function heals it. */
function breakConnections(world: World, how: string): () => Promise<void> {
  if (how !== "reset") throw new Error(`Unknown fault of a connection: ${how}`);
  const server = startResettingServer();
  world.idpFault = server.send;
  return async () => {
    world.idpFault = null;
    await server.close();
  };
}

/** What became of an e-mail claim that the case has changed. */
async function emailFacts(person: Person, { email: emailGiven }: JsonObject): Promise<JsonObject> {
  return emailGiven === undefined ? {} : { emailGiven, email: (await claimsOf(person))?.email };
}

/** Whether anything of an ID token reached the session, where the case wants to know. */
async function claimsFacts(person: Person, expect: JsonObject): Promise<JsonObject> {
  return "id_token_claims_used" in expect ? { claimsUsed: (await claimsOf(person))?.name === "Changed" } : {};
}

/** What the product says about who is signed in; `null` if nobody is. */
async function claimsOf({ browser }: Person): Promise<JsonObject | null> {
  const { status, body } = await browser.fetch(`${ACME.publicUrl}${PATHS.session}`, { from: `${ACME.publicUrl}/` });
  return status === 200 ? JSON.parse(body) : null;
}
