/**
 * `http` and `raw`: calls of the listening port, with exactly the headers that a case wants.
 *
 * @module
 */

import { converse, type Goodbye, sendRequest } from "../../support/raw_http.ts";
import { CASE_TRANSACTION_NAME, PATHS, RETURN_NAMES, TRANSACTION_PREFIX } from "../names.ts";
import { type Answer, answerOf, type Outcome } from "../outcome.ts";
import { resolve } from "../placeholders.ts";
import { READINGS } from "../readings.ts";
import { baseOf, type Person, type Stage } from "../stage.ts";
import { TOKEN_SERVICE } from "../token_service.ts";
import { type Kind, membersOf } from "./kind.ts";

/** A call as the cases write it. */
export interface HttpRequest {
  readonly method?: string;
  readonly host: string;
  readonly path: string;
  readonly as: string;
  readonly query?: string | Readonly<Record<string, string>> | readonly (readonly [string, string])[];
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cookies?: readonly (readonly [string, string])[];
  readonly note?: string;
}

const HTTP_MEMBERS = ["method", "host", "path", "as", "query", "body", "headers", "cookies", "note"] as const;

/** A call that is ready to be sent. */
export interface Call {
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
  /** Cookies besides those of the caller's browser; one of the same name replaces that. */
  readonly cookies: readonly (readonly [string, string])[];
  readonly body?: string;
}

/** Longer than the provider's access tokens live. */
const EXPIRED_SECONDS = 3601;

/** What a page load brings along, where the vendor's own page leads to it. */
const NAVIGATION = [["Accept", "text/html"], ["Sec-Fetch-Site", "same-origin"], [
  "Sec-Fetch-Mode",
  "navigate",
]] as const;

/** An ordinary call. */
export const http: Kind = async (stage, attack) => {
  const { request, group, id } = attack;
  const given = membersOf<HttpRequest>(request, HTTP_MEMBERS);
  const caller = await callerOf(stage, given.as);
  const isNavigation = group.startsWith("return-to");
  const call = await readCall(stage, given, caller);
  if (READINGS[id]?.withoutCookies) {
    caller.browser.jar.forget(`${TRANSACTION_PREFIX}${queryOf(call).get("state")?.slice(0, 8)}`);
  }
  const asked = RETURN_NAMES.map((name) => queryOf(call).get(name)).find((value) => value !== null);
  return async (): Promise<Outcome> => {
    const sent = isNavigation ? { ...call, headers: [...NAVIGATION, ...call.headers] } : call;
    const { answer, presented } = await sendAs(stage, caller, sent);
    const location = answer.headers.get("location");
    const outcome = { answers: [answer], caller, presented, ...(asked == null ? {} : { asked }) };
    if (location === null || !("return_target" in attack.expect || "never_host" in attack.expect)) return outcome;
    const landing = await caller.browser.navigate(new URL(location, answer.url).href, { from: answer.url.href });
    return { ...outcome, further: landing.exchanges.map(answerOf), landing: landing.url };
  };
};

/** Nothing else asks for that. */
export const GOODBYE: Goodbye = {
  bytes: "GET /healthz HTTP/1.1\r\nHost: api.acme.test\r\nConnection: close\r\n\r\n",
  isAnswer: ({ status, body }) => status === 200 && body === '{"status":"ok"}',
};

/** Bytes on a connection. */
export const raw: Kind = async (stage, { request }) => {
  const { bytes } = membersOf<{ readonly bytes: string }>(request, ["bytes"]);
  const resolved = await resolve(bytes, { stage, caller: null });
  const { world } = stage;
  return async (): Promise<Outcome> => {
    const { answers, isClosed } = await converse(world.app.port, resolved, GOODBYE);
    const url = new URL("https://api.acme.test/");
    return { answers: answers.map((answer) => ({ ...answer, url })), isClosed };
  };
};

/** Who calls. */
export async function callerOf(stage: Stage, as: string): Promise<Person> {
  if (as === "anon") return stage.stranger();
  if (as === "alice") return await stage.signedIn(as);
  if (as === "op:alice") return await visitTokenService(stage, "alice");
  if (as === "alice-expired") {
    const person = await stage.signedIn("alice");
    stage.world.clock.advance(EXPIRED_SECONDS);
    return person;
  }
  const [, user] = /^tx:([a-z]+)$/.exec(as) ?? [];
  if (user === undefined) throw new Error(`Unknown caller: ${as}`);
  return await stage.begun(user);
}

/** Somebody whose browser is signed in at our own token service. */
async function visitTokenService(stage: Stage, name: string): Promise<Person> {
  const { visitor } = await stage.atTokenService(name);
  const person = { ...stage.stranger(), base: TOKEN_SERVICE.slice(0, -1) };
  for (const [cookie, value] of visitor.cookies) {
    person.browser.jar.take(new URL(TOKEN_SERVICE), `${cookie}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax`);
  }
  return person;
}

/** Makes a call of what a case writes. */
export async function readCall(stage: Stage, given: HttpRequest, caller: Person): Promise<Call> {
  const { method = "GET", host, headers = {}, cookies = [], query = {}, body, note } = given;
  const scope = { stage, caller };
  const path = await resolve(given.path, scope);
  const search = new URLSearchParams(await resolve(query, scope) as ConstructorParameters<typeof URLSearchParams>[0]);
  // The provider announces that it always sends `iss`; without it, a callback would be refused for that reason alone.
  const isCallback = path.endsWith("/callback");
  if (isCallback && !search.has("iss") && note !== "omit iss") search.set("iss", stage.world.idp.issuer);
  const state = search.get("state") ?? "";
  const translate = (name: string) =>
    name === CASE_TRANSACTION_NAME ? `${TRANSACTION_PREFIX}${state.slice(0, 8)}` : name;
  return {
    method,
    host,
    target: search.size === 0 ? path : `${path}?${search}`,
    headers: Object.entries(await resolve(headers, scope)),
    cookies: (await resolve(cookies, scope)).map(([name, value]) => [translate(name), value]),
    ...(body === undefined ? {} : { body: await resolve(body, scope) }),
  };
}

/** An answer, and the cookies that were sent for it. */
export interface Sent {
  readonly answer: Answer;
  readonly presented: readonly (readonly [name: string, value: string])[];
}

/** Sends a call with the cookies that the caller's browser has now. */
export async function send({ world }: Stage, caller: Person, call: Call): Promise<Sent> {
  const { method, host, target, headers, cookies, body } = call;
  // Whoever writes the header itself sends nothing else.
  const isWritten = headers.some(([name]) => name.toLowerCase() === "cookie");
  const own = isWritten ? [] : caller.browser.jar.sent(new URL(baseOf(caller)))
    .filter(({ name }) => !cookies.some(([other]) => other === name))
    .map(({ name, value }) => [name, value] as const);
  const presented = [...own, ...cookies];
  const cookie = presented.map(([name, value]) => `${name}=${value}`).join("; ");
  const lines = cookie === "" ? headers : [...headers, ["Cookie", cookie] as const];
  const answer = await sendRequest(world.app.port, {
    method,
    host,
    target,
    headers: lines,
    ...(body === undefined ? {} : { body }),
  });
  return { answer: { ...answer, url: new URL(target, `https://${host}`) }, presented };
}

/** Takes the cookies of an answer into the caller's browser. */
export function keepCookies(caller: Person, { answer }: Sent): Answer {
  for (const line of answer.headers.getSetCookie()) caller.browser.jar.take(answer.url, line);
  return answer;
}

/** Sends a call and takes the cookies of the answer. */
export async function sendAs(stage: Stage, caller: Person, call: Call): Promise<Sent> {
  const sent = await send(stage, caller, call);
  keepCookies(caller, sent);
  return sent;
}

function queryOf({ target }: Call): URLSearchParams {
  return new URLSearchParams(target.slice(target.indexOf("?") + 1));
}

/** A call of our own, for steps and scans. */
export function callOf(path: string, headers: Call["headers"] = []): Call {
  return { method: "GET", host: "api.acme.test", target: PATHS[path] ?? path, headers, cookies: [] };
}
