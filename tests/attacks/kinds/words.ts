/**
 * `sequence` and `scan`: what the cases say in words. Words that are not known here fail the run.
 *
 * @module
 */

import { readBase64Url } from "../../../lib/encoding.ts";
import { PATHS } from "../names.ts";
import { answerOf, type Outcome } from "../outcome.ts";
import { begin, type Begun, type Person, type Stage } from "../stage.ts";
import { ACME } from "../world.ts";
import { type Call, callOf, send, sendAs } from "./http.ts";
import { type Kind, membersOf } from "./kind.ts";

/** What a sequence has come to so far. */
interface Progress {
  readonly caller?: Person;
  readonly begun?: Begun;
  readonly outcome?: Outcome;
  /** Cookies that somebody has copied. */
  readonly copies?: Call["cookies"];
}

type Step = (stage: Stage, progress: Progress) => Promise<Progress>;

const STEPS: Readonly<Record<string, Step>> = {
  "complete login as alice": async (stage) => {
    const caller = await stage.signedIn("alice");
    // A second login in another tab, so that there is a transaction cookie too.
    await begin(caller);
    return { caller };
  },
  "login alice, copy the cookies": async (stage) => {
    const caller = await stage.signedIn("alice");
    const sent = caller.browser.jar.sent(new URL(ACME.publicUrl));
    return { caller, copies: sent.map(({ name, value }) => [name, value] as const) };
  },
  "GET {api} with the copies": async (stage, { copies }) => {
    await stage.world.cloakroom.settle();
    const caller = stage.stranger();
    const { answer } = await send(stage, caller, { ...callOf("api"), cookies: copies! });
    return { outcome: { answers: [answer], caller } };
  },
  "logout": async (_stage, { caller }) => {
    const from = `${ACME.publicUrl}/`;
    const { last } = await caller!.browser.navigate(`${ACME.publicUrl}${PATHS.logout}`, { from, maxRedirects: 0 });
    return { caller: caller!, outcome: { answers: [answerOf(last!)], caller: caller! } };
  },
  "logout by fetch": async (_stage, { caller }) => {
    const options = { method: "POST", from: "https://www.acme.test/" };
    const exchange = await caller!.browser.fetch(`${ACME.publicUrl}${PATHS.logout}`, options);
    return { caller: caller!, outcome: { answers: [answerOf(exchange)], caller: caller! } };
  },
  "start login as alice": async (stage) => ({ begun: await stage.begun("alice") }),
  "callback with code of mallory's flow and alice's state": async (stage, { begun }) =>
    await openWith(begun!, { code: (await stage.begun("mallory")).code }),
  "the provider forgets to check PKCE": (stage, progress) => {
    stage.world.idp.requiresPkce = false;
    return Promise.resolve(progress);
  },
  "the provider checks PKCE again": (stage, progress) => {
    stage.world.idp.requiresPkce = true;
    return Promise.resolve(progress);
  },
  "login at acme with IdP A": async (stage) => ({ begun: await stage.begun("alice") }),
  "callback with state of A and a code of IdP B": async ({ world }, { begun }) => {
    const { state } = begun!;
    const search = { client_id: ACME.clientId, redirect_uri: `${ACME.publicUrl}${PATHS.callback}`, state };
    const query = new URLSearchParams({ response_type: "code", code_challenge_method: "S256", ...search });
    const url = new URL(`authorize?${query}`, world.otherIdp.issuer);
    const { headers, body } = await world.hosts["idp-b.test"]!(new Request(url));
    await body?.cancel();
    const { searchParams } = new URL(headers.get("location")!);
    return await openWith(begun!, { code: searchParams.get("code")!, iss: searchParams.get("iss")! });
  },
  "acme moves to IdP B": async ({ world }, progress) => {
    await world.cloakroom.saveVendor("acme", { ...ACME, issuer: world.otherIdp.issuer });
    return progress;
  },
  "acme moves back to IdP A": async ({ world }, progress) => {
    await world.cloakroom.saveVendor("acme", ACME);
    return progress;
  },
};

/** Opens the callback with other parameters than the provider has sent. */
async function openWith(begun: Begun, changes: Readonly<Record<string, string>>): Promise<Progress> {
  const { browser, callback } = begun;
  const url = new URL(callback);
  for (const [name, value] of Object.entries(changes)) url.searchParams.set(name, value);
  const { last } = await browser.navigate(url.href, { from: "https://idp.test/", maxRedirects: 0 });
  return { begun, outcome: { answers: [answerOf(last!)], caller: begun } };
}

/** The steps in their order. The last one that is answered counts. */
export const sequence: Kind = (stage, { request }) => {
  const { steps } = membersOf<{ readonly steps: readonly string[] }>(request, ["steps"]);
  const known = steps.map((step) => {
    if (!Object.hasOwn(STEPS, step)) throw new Error(`Unknown step: ${step}`);
    return STEPS[step]!;
  });
  return Promise.resolve(async () => {
    let progress: Progress = {};
    for (const step of known) progress = { ...progress, ...await step(stage, progress) };
    return progress.outcome!;
  });
};

/** Gathers values and judges them. */
export const scan: Kind = async (stage, { request }) => {
  const given = membersOf<{ readonly where: string; readonly for: string }>(request, ["where", "for"]);
  if (`${given.where}: ${given.for}` !== "1000 login redirects: state values") {
    throw new Error(`Unknown scan: ${given.where}: ${given.for}`);
  }
  const caller = await stage.signedIn("alice");
  const { body } = await caller.browser.fetch(`${ACME.publicUrl}${PATHS.session}`, { from: `${ACME.publicUrl}/` });
  const sessionId = new URL(JSON.parse(body).logout_url).searchParams.get("sid")!;
  return async () => {
    const states: string[] = [];
    for (let i = 0; i < 1000; i++) {
      const { answer } = await sendAs(stage, caller, callOf("login"));
      states.push(new URL(answer.headers.get("location")!).searchParams.get("state")!);
    }
    const facts = {
      distinct: new Set(states).size,
      bits: countRandomBits(states.map((state) => readBase64Url(state)!)),
      containsSessionId: states.some((state) => state.includes(sessionId) || sessionId.includes(state)),
    };
    return { answers: [], caller, facts };
  };
};

/** Counts the bits that are set in about half of the values: five standard deviations off is not chance. */
function countRandomBits(values: readonly Uint8Array[]): number {
  const bits = Array.from({ length: values[0]!.length * 8 }, (_, i) => i);
  const tolerance = 2.5 * Math.sqrt(values.length);
  return bits.filter((bit) => {
    const set = values.filter((value) => value[bit >> 3]! >> (bit & 7) & 1).length;
    return Math.abs(set - values.length / 2) < tolerance;
  }).length;
}
