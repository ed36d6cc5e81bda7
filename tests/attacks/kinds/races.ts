/**
 * `race` and `load`: the same thing many times at once, or at a steady rate while something happens.
 *
 * @module
 */

import { APP, callApi as callCluster, cookiesOf, startCluster } from "../../support/cluster.ts";
import { lengthOf } from "../../support/full.ts";
import { sendRequest } from "../../support/raw_http.ts";
import { rsaKey, signJwt } from "../../support/signing_key.ts";
import { codeForm, refresh, type Tokens, userinfoStatus, Visitor } from "../../token_service/kit.ts";
import { PATHS } from "../names.ts";
import { type Answer, answerOf, type Outcome } from "../outcome.ts";
import { cookieOf, type Stage } from "../stage.ts";
import { type OwnTokenService, TOKEN_SERVICE } from "../token_service.ts";
import { ACME, type World } from "../world.ts";
import { callerOf, type HttpRequest, keepCookies, readCall, send, type Sent } from "./http.ts";
import { type Kind, membersOf } from "./kind.ts";

interface RaceCase {
  readonly n: number;
  readonly each: HttpRequest | string;
  readonly processes?: number;
  readonly fault?: string;
}

/** The same thing many times at once. */
export const race: Kind = async (stage, { request }) => {
  const { n, each, processes, fault } = membersOf<RaceCase>(request, ["n", "each", "processes", "fault"]);
  if (typeof each === "string") return await raceTokenService(stage, { n, each, fault });
  if (fault !== undefined) throw new Error(`Unknown fault: ${fault}`);
  if (processes !== undefined && processes > 1) return await raceProcesses(n, { each, processes });
  const caller = await callerOf(stage, each.as);
  const call = await readCall(stage, each, caller);
  // Without processes, it is a browser with many tabs; with one, whoever calls keeps nothing back.
  const connections = processes === undefined ? CONNECTIONS : n;
  return async () => {
    const answers: Answer[] = [];
    const running: Promise<Sent>[] = [];
    for (let i = 0; i < n + connections; i++) {
      if (i >= connections) answers.push(keepCookies(caller, await running.shift()!));
      if (i < n) running.push(send(stage, caller, call));
    }
    return { answers, caller };
  };
};

/**
 * Connections that a browser opens to one host. Every connection is always busy, and the answers come in the order of the
 * calls: each call is sent before the answers to the five in front of it, which is the worst that can happen.
 */
const CONNECTIONS = 6;

/** Milliseconds that the token endpoint takes in a race between processes. */
const TOKEN_MS = 100;

/** Real processes on one database, with their own provider and upstream. */
async function raceProcesses(
  n: number,
  { each, processes: count }: { readonly each: HttpRequest; readonly processes: number },
): Promise<() => Promise<Outcome>> {
  if (each.path !== "{api}" || each.as !== "alice-expired") throw new Error(`Unknown call of processes: ${each.path}`);
  const cluster = await startCluster({ processes: count });
  const { idp, processes } = cluster;
  const call = async (cookies: string, i: number): Promise<Answer> => {
    const response = await callCluster(processes[i % count]!, cookies);
    const { status, headers } = response;
    return { url: new URL(`${APP}${PATHS.api}/x`), status, headers, body: await response.text() };
  };
  const callAll = async (cookies: string): Promise<{ readonly answers: readonly Answer[]; readonly took: number }> => {
    const began = performance.now();
    const answers = await Promise.all(Array.from({ length: n }, (_, i) => call(cookies, i)));
    return { answers, took: performance.now() - began };
  };
  return async () => {
    await using _stopped = cluster;
    const lively = await cluster.signIn();
    await callAll(cookiesOf(lively));
    // What so many calls take with nothing to refresh: that is not the refresh's time.
    const plain = await callAll(cookiesOf(lively));
    idp.accessTokenSeconds = 0;
    const browser = await cluster.signIn();
    idp.accessTokenSeconds = 3600;
    idp.change.token = async (good) => {
      await new Promise((resolve) => setTimeout(resolve, TOKEN_MS));
      return Response.json(good);
    };
    const tokenCalls = idp.calls.token;
    const { answers, took } = await callAll(cookiesOf(browser));
    for (const { url, headers } of answers) for (const line of headers.getSetCookie()) browser.jar.take(url, line);
    const idpCalls = idp.calls.token - tokenCalls;
    const isAlive = (await call(cookiesOf(browser), 0)).status === 200;
    const facts = { overTokenMilliseconds: took - plain.took - TOKEN_MS, ended: isAlive ? 0 : 1 };
    return { answers, effects: { idpCalls }, facts };
  };
}

/** One code or refresh token of our own token service, many times at once. */
async function raceTokenService(
  { world }: Stage,
  { n, each, fault }: { readonly n: number; readonly each: string; readonly fault: string | undefined },
): Promise<() => Promise<Outcome>> {
  if (!Object.hasOwn(EXCHANGES, each)) throw new Error(`Unknown call of a race: ${each}`);
  if (fault !== undefined && fault !== "kv commit fails") throw new Error(`Unknown fault: ${fault}`);
  const service = await world.tokenService();
  const form = await EXCHANGES[each]!(service);
  const call = async (): Promise<Answer> => {
    const address = new URL("oauth/token", TOKEN_SERVICE);
    const headers = [["Content-Type", "application/x-www-form-urlencoded"]] as const;
    const body = `${new URLSearchParams(form)}`;
    const answer = await sendRequest(world.app.port, {
      method: "POST",
      host: address.host,
      target: address.pathname,
      headers,
      body,
    });
    return { ...answer, url: address };
  };
  return async () => {
    service.records.isBroken = fault !== undefined;
    const answers = await Promise.all(Array.from({ length: n }, call)).finally(() => service.records.isBroken = false);
    const facts = fault === undefined
      ? await countSets(service, answers)
      : { worksAgain: (await call()).status === 200 };
    return { answers, facts };
  };
}

type Form = Readonly<Record<string, string>>;

const EXCHANGES: Readonly<Record<string, (service: OwnTokenService) => Promise<Form>>> = {
  "tk valid": async (service) => codeForm(await new Visitor(service.kit).code({}, "alice@example.com")),
  "refresh": async (service) => {
    const { tokens } = await service.signIn("alice");
    return { grant_type: "refresh_token", client_id: "spa", refresh_token: tokens.refresh_token };
  },
};

/** How many sets of tokens were given out, and how many of them are worth something now. */
async function countSets({ kit }: OwnTokenService, answers: readonly Answer[]): Promise<NonNullable<Outcome["facts"]>> {
  const issued: Tokens[] = answers.filter(({ status }) => status === 200).map(({ body }) => JSON.parse(body));
  const accessTokens = [...new Set(issued.map(({ access_token }) => access_token))];
  const refreshTokens = [...new Set(issued.map(({ refresh_token }) => refresh_token))];
  const statuses = await Promise.all(accessTokens.map((token) => userinfoStatus(kit, token)));
  const refreshed = await Promise.all(refreshTokens.map(async (token) => (await refresh(kit, token)).status));
  const count = (list: readonly number[]) => list.filter((status) => status === 200).length;
  return {
    refreshTokens: refreshTokens.length,
    families: count(refreshed),
    livingSets: Math.max(count(statuses), count(refreshed)),
  };
}

interface LoadCase {
  readonly rps: number;
  readonly each?: HttpRequest;
  readonly during?: string;
}

/** Something at a steady rate. */
export const load: Kind = async (stage, { request }) => {
  const { rps, each, during } = membersOf<LoadCase>(request, ["rps", "each", "during"]);
  if (each !== undefined && during === undefined) return await flood(stage, rps, each);
  if (during !== undefined && each === undefined) return await signInDuring(stage.world, rps, during);
  throw new Error("Unknown form of load");
};

/** Waits until it is time for the call of that number. */
async function awaitTurn(i: number, { rps, began }: { readonly rps: number; readonly began: number }): Promise<void> {
  const early = began + i * 1000 / rps - performance.now();
  if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
}

/** The same call by somebody new each time. What is written into the store is looked at an hour later. */
async function flood(stage: Stage, rps: number, each: HttpRequest): Promise<() => Promise<Outcome>> {
  const { world } = stage;
  const call = await readCall(stage, each, stage.stranger());
  const count = rps * lengthOf({ short: 0.3, full: 5 });
  // The first one ever makes the vendor's key.
  await send(stage, stage.stranger(), call);
  return async () => {
    const before = world.written.length;
    const began = performance.now();
    const running: Promise<Sent>[] = [];
    for (let i = 0; i < count; i++) {
      await awaitTurn(i, { rps, began });
      running.push(send(stage, await callerOf(stage, each.as), call));
    }
    const answers = (await Promise.all(running)).map(({ answer }) => answer);
    const inAnHour = world.clock() + 3600;
    const keysGrowth = world.written.slice(before).filter(({ expiresAt = Infinity }) => expiresAt > inAnHour).length;
    return { answers, facts: { keysGrowth } };
  };
}

/** Sign-ins, in the middle of which something happens. */
async function signInDuring(world: World, rps: number, during: string): Promise<() => Promise<Outcome>> {
  if (!Object.hasOwn(EVENTS, during)) throw new Error(`Unknown event: ${during}`);
  const count = lengthOf({ short: 60, full: 1000 });
  await signIn(world);
  world.clock.advance(QUIET_SECONDS);
  return async () => {
    const running: Promise<{ readonly answer: Answer; readonly isIn: boolean }>[] = [];
    let undo = () => {};
    const began = performance.now();
    for (let i = 0; i < count; i++) {
      await awaitTurn(i, { rps, began });
      if (i === count / 2) undo = await EVENTS[during]!(world);
      running.push(signIn(world));
    }
    const ended = await Promise.all(running);
    undo();
    return { answers: ended.map(({ answer }) => answer), facts: { errors: ended.filter(({ isIn }) => !isIn).length } };
  };
}

/** Keys of a provider are fetched once in this time at the most. */
const QUIET_SECONDS = 31;

/** What can happen; each answers how it is undone. */
const EVENTS: Readonly<Record<string, (world: World) => Promise<() => void>>> = {
  /** The provider's key, which it publishes together with the former one, and the key that seals our cookies. */
  "rotate signing key": async ({ idp, cloakroom }) => {
    const key = await rsaKey("idp-2");
    idp.otherKeys.push(key.publicJwk);
    const { makeIdToken } = idp;
    idp.makeIdToken = (claims) => signJwt(key, {}, claims);
    await cloakroom.keys.rotate("acme");
    return () => {
      idp.makeIdToken = makeIdToken;
      idp.otherKeys.pop();
    };
  },
};

/** A whole sign-in of somebody new: the callback's answer, and whether they are in. */
async function signIn(world: World): Promise<{ readonly answer: Answer; readonly isIn: boolean }> {
  const person = { name: "alice", vendorId: "acme", browser: world.openBrowser("alice") };
  const { last } = await person.browser.navigate(`${ACME.publicUrl}${PATHS.login}`, {
    until: ({ host, pathname }) => host === "api.acme.test" && pathname === "/",
  });
  return { answer: answerOf(last!), isIn: cookieOf(person, "rt") !== null };
}
