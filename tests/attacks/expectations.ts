/**
 * The meaning of every field of `expect`. A field that has no line in this table fails the run.
 *
 * @module
 */

import { createCookieJar } from "../support/cookie_jar.ts";
import { COOKIES, isOwnCookie, TRANSACTION_PREFIX } from "./names.ts";
import type { Answer, Effects, Outcome } from "./outcome.ts";
import { callApi, isKept } from "./kinds/idp.ts";
import { resolve } from "./placeholders.ts";
import { PROXY_JUDGES } from "./proxy_expectations.ts";
import { type Person, sessionOf, type Stage } from "./stage.ts";
import { TOKEN_SERVICE } from "./token_service.ts";
import { authorizePath } from "../token_service/kit.ts";
import { ACME, DIALLED_HOSTS, type World } from "./world.ts";

/** What a judge looks at. */
export interface Evidence {
  /** What the case expects, all of it. */
  readonly expect: Readonly<Record<string, unknown>>;
  readonly world: World;
  /** Its people. */
  readonly stage: Stage;
  readonly outcome: Outcome;
  readonly effects: Effects;
}

/** Says what is wrong; `null` if nothing is. */
export type Judge<T> = (expected: T, evidence: Evidence) => string | null | Promise<string | null>;

/** Judges a case: every fault in words. */
export async function judge(evidence: Evidence): Promise<string[]> {
  const faults = judgeAlways(evidence);
  for (const [field, expected] of Object.entries(evidence.expect)) {
    const judgeField = Object.hasOwn(JUDGES, field) ? JUDGES[field] as Judge<unknown> : undefined;
    const fault = judgeField === undefined ? `unknown expectation` : await judgeField(expected, evidence);
    if (fault !== null) faults.push(`${field}: ${fault}`);
  }
  return faults;
}

/** What holds for every case, whatever it says. */
function judgeAlways({ expect: { status }, outcome, effects }: Evidence): string[] {
  const faults: string[] = [];
  const answers = allAnswers(outcome);
  for (const answer of answers) {
    const isListed = Array.isArray(status) && status.includes(answer.status);
    if (answer.status >= 500 && !isListed) faults.push(`answered ${answer.status} at ${answer.url.pathname}`);
    const trace = findTrace(answer);
    if (trace !== null) faults.push(`shows its inside: ${trace}`);
  }
  const strange = effects.dialled.filter((host) => !DIALLED_HOSTS.includes(host));
  if (strange.length > 0) faults.push(`dialled ${strange}`);
  return faults;
}

const JUDGES: Readonly<Record<string, Judge<never>>> = {
  status: (expected: readonly number[], { outcome, expect }) => {
    if (expected.length === 0) return null;
    if (outcome.answers.length === 0) {
      return outcome.isClosed && expect.or_ === "connection closed" ? null : "no answer";
    }
    const wrong = outcome.answers.filter(({ status }) => !expected.includes(status));
    return wrong.length === 0 ? null : `${wrong[0]!.status} ${wrong[0]!.body.slice(0, 160)}`;
  },
  or_: (expected: string) => expected === "connection closed" ? null : `unknown expectation ${expected}`,
  no_stack_trace: () => null, // judged always
  non_200: (expected: number, { outcome }) =>
    equal(outcome.answers.filter(({ status }) => status !== 200).length, expected),
  errors: (expected: number, { outcome }) => equal(Number(outcome.facts!.errors), expected),
  winners: (expected: number, { outcome }) =>
    equal(outcome.answers.filter(({ status }) => status === 200).length, expected),
  client_header_has: (expected: readonly string[], { outcome }) => {
    const missing = expected.find((line) => {
      const [name, value] = line.split(": ", 2);
      return outcome.answers.some(({ headers }) => !headers.get(name!)?.toLowerCase().includes(value!.toLowerCase()));
    });
    return missing === undefined ? null : `no ${missing}`;
  },
  body_not: async (expected: readonly string[], { outcome, stage }) => {
    const texts = await resolve(expected, { stage, caller: null });
    const found = texts.filter((text) => outcome.answers.some(({ body }) => body.includes(text)));
    return found.length === 0 ? null : `found ${found}`;
  },
  max_ms: (expected: number, { outcome, effects }) => {
    const milliseconds = effects.milliseconds - (outcome.uncountedMilliseconds ?? 0);
    return milliseconds <= expected ? null : `${Math.round(milliseconds)} ms`;
  },

  return_target: (expected: string, evidence) => judgeReturnTarget(expected, evidence.outcome),
  never_host: (expected: readonly string[], { outcome }) => {
    const isForbidden = ({ hostname }: URL) =>
      expected.some((host) => hostname === host || hostname.endsWith(`.${host}`));
    return describe(destinationsOf(outcome).filter(isForbidden));
  },
  never_scheme: (expected: readonly string[], { outcome }) =>
    describe(destinationsOf(outcome).filter(({ protocol }) => expected.includes(protocol.slice(0, -1)))),
  authorize_params_equal: (expected: Readonly<Record<string, string>>, { outcome }) => {
    const { searchParams } = new URL(outcome.answers[0]!.headers.get("location")!);
    const wrong = Object.entries(expected).filter(([name, value]) => {
      const wanted = value === "{configured}" ? CONFIGURED[name] : value;
      return searchParams.getAll(name).join(" | ") !== wanted;
    });
    return wrong.length === 0 ? null : wrong.map(([name]) => `${name} is ${searchParams.getAll(name)}`).join("; ");
  },

  set_cookie: (expected: string | readonly string[], { world, outcome }) => {
    if (typeof expected !== "string") {
      const set = setCookies(outcome).filter(({ value }) => value !== "").map(({ name }) => name);
      return expected.every((name) => set.includes(name)) ? null : `sets ${set}`;
    }
    if (!Object.hasOwn(COOKIE_RULES, expected)) return `unknown expectation ${expected}`;
    return COOKIE_RULES[expected]!(world, outcome);
  },
  set_cookie_not: (expected: readonly string[], { outcome }) => {
    const set = setCookies(outcome).filter(({ name, value }) => expected.includes(name) && value !== "");
    return set.length === 0 ? null : `sets ${set.map(({ name }) => name)}`;
  },
  set_cookie_deletes: (expected: readonly string[], { outcome }) => {
    const faults = expected.map((entry) => judgeDeletion(entry, outcome)).filter((fault) => fault !== null);
    return faults.length === 0 ? null : faults.join("; ");
  },
  transaction_cookies_max: (expected: number, { outcome }) => {
    const held = outcome.caller!.browser.jar.all().filter(({ name }) => name.startsWith(TRANSACTION_PREFIX)).length;
    return held >= 1 && held <= expected ? null : `${held}`;
  },
  total_cookie_bytes_max: (expected: number, { outcome }) => {
    const held = outcome.caller!.browser.jar.header(new URL(ACME.publicUrl)) ?? "";
    return held.length <= expected ? null : `${held.length}`;
  },
  session: async (expected: string, { world, outcome }) => {
    const { caller, answers } = outcome;
    if (caller === undefined) return "there is no caller";
    if (expected.startsWith("kept")) return await isKept(world, caller) ? null : "not kept";
    if (expected === "alice asked first") return await judgeAsked(answers[0]!, caller);
    const seen = await sessionOf(caller);
    return expected.replace(/ still logged in$/, "").split(" or ").includes(seen) ? null : `${seen} is signed in`;
  },
  sessions: async (expected: string, { outcome }) => {
    const [person, name] = expected === "alice still logged in"
      ? [outcome.caller, "alice"]
      : expected === "globex untouched"
      ? [outcome.bystander, "bob"]
      : [];
    if (person === undefined) return `unknown expectation ${expected}`;
    const seen = await sessionOf(person);
    return seen === name ? null : `${seen} is signed in`;
  },

  logouts: async (expected: number, { outcome: { facts, caller } }) =>
    equal(Number(facts?.ended ?? await sessionOf(caller!) === "none"), expected),

  token_families: (expected: number, { outcome }) => equal(Number(outcome.facts!.families), expected),
  distinct_new_refresh_tokens: (expected: number, { outcome }) => equal(Number(outcome.facts!.refreshTokens), expected),
  max_ms_over_token_endpoint: (expected: number, { outcome }) =>
    Number(outcome.facts!.overTokenMilliseconds) <= expected
      ? null
      : `${Math.round(Number(outcome.facts!.overTokenMilliseconds))} ms`,
  after: (expected: string, { outcome: { facts } }) => {
    const rule = Object.hasOwn(AFTERWARDS, expected) ? AFTERWARDS[expected] : undefined;
    if (rule === undefined) return `unknown expectation ${expected}`;
    return rule(facts!) ? null : `no: ${JSON.stringify(facts)}`;
  },

  upstream_calls: (expected: number, { effects }) => equal(effects.upstreamCalls, expected),
  idp_calls: async (expected: number | string, { world, effects }) => {
    if (expected === "refresh token revoked at the IdP") return await judgeRevoked(world, effects);
    if (typeof expected !== "number") return `unknown expectation ${expected}`;
    // Where nothing may reach the provider, tokens may not be revoked there either.
    return equal(effects.idpCalls + (expected === 0 ? effects.revocations : 0), expected);
  },
  outbound_hosts_not: (expected: readonly string[], { effects }) => {
    const dialled = expected.filter((host) => effects.dialled.includes(host));
    return dialled.length === 0 ? null : `dialled ${dialled}`;
  },
  jwks_fetches_max: (expected: number, { effects }) =>
    effects.jwksFetches <= expected ? null : `${effects.jwksFetches}`,
  window_s: () => null, // the clock stands still while a case runs
  alert: (expected: boolean, { effects }) => effects.alerts > 0 === expected ? null : `${effects.alerts} errors logged`,
  id_token_claims_used: (expected: boolean, { outcome }) =>
    outcome.facts!.claimsUsed === expected ? null : `${outcome.facts!.claimsUsed}`,
  stored_scope: (expected: string, { world, outcome }) => judgeScope(world, outcome.caller!, expected),
  rss_growth_mib_max: (expected: number, { effects }) =>
    effects.rssMebibytes <= expected ? null : `${Math.round(effects.rssMebibytes)} MiB`,
  within_s: (expected: number, { effects }) =>
    effects.milliseconds <= expected * 1000 ? null : `${Math.round(effects.milliseconds)} ms`,

  no_crash: async (_expected: boolean, { world }) => {
    const { status, body } = await world.app.send(new Request(`${ACME.publicUrl}/healthz`));
    await body?.cancel();
    return status === 200 ? null : `the next request is answered with ${status}`;
  },
  allow_rule: (_expected: string, { outcome }) => {
    // There is no rule about e-mail addresses that could match; the claim has to arrive as it is, not a part of it.
    return outcome.facts?.email === outcome.facts?.emailGiven
      ? null
      : `the e-mail address became ${outcome.facts?.email}`;
  },
  distinct: (expected: number, { outcome }) => equal(Number(outcome.facts!.distinct), expected),
  min_bits: (expected: number, { outcome }) =>
    Number(outcome.facts!.bits) >= expected ? null : `${outcome.facts!.bits}`,
  contains_session_id: (expected: boolean, { outcome }) =>
    outcome.facts!.containsSessionId === expected ? null : `${outcome.facts!.containsSessionId}`,
  note: () => null,
  ...PROXY_JUDGES,
};

/** What holds afterwards, as the cases say it. */
const AFTERWARDS: Readonly<Record<string, (facts: NonNullable<Outcome["facts"]>) => boolean>> = {
  "winner's tokens revoked or kept by policy, never two sets": ({ livingSets }) => Number(livingSets) <= 1,
  "same refresh token works when KV is back": ({ worksAgain }) => worksAgain === true,
};

/** Asked whether to sign out, and still signed in at the token service. */
async function judgeAsked({ status, body }: Answer, { browser }: Person): Promise<string | null> {
  if (status !== 200 || !/<form method="post"/.test(body)) return `answered ${status} without a question`;
  const { last } = await browser.navigate(new URL(authorizePath({ prompt: "none" }), TOKEN_SERVICE).href, {
    maxRedirects: 0,
  });
  const location = URL.parse(last?.headers.get("location") ?? "");
  return location?.searchParams.has("code") ? null : "nobody is signed in at the token service any more";
}

/** The provider was told, and the newest refresh token is dead there. */
async function judgeRevoked({ idp }: World, { revocations }: Effects): Promise<string | null> {
  const form = { grant_type: "refresh_token", refresh_token: idp.issued.refreshTokens.at(-1)! };
  const body = new URLSearchParams({ client_id: ACME.clientId, client_secret: ACME.clientSecret, ...form });
  const { status } = await idp.handle(new Request(`${idp.issuer}token`, { method: "POST", body }));
  return revocations === 1 && status === 400 ? null : `${revocations} revocations, and the token answers ${status}`;
}

/** Upstreams that ask for scopes are open to the session for the expected ones alone. */
async function judgeScope(world: World, person: Person, expected: string): Promise<string | null> {
  const seen: string[] = [];
  for (const scope of ACME.scopes) {
    const upstreams = [{ ...ACME.upstreams[0]!, scopes: [scope] }];
    await world.cloakroom.saveVendor("acme", { ...ACME, upstreams });
    if ((await callApi(person)).status === 200) seen.push(scope);
  }
  await world.cloakroom.saveVendor("acme", ACME);
  return seen.join(" ") === expected ? null : `${seen.join(" ")}`;
}

/** What `{configured}` stands for in an authorization request. */
const CONFIGURED: Readonly<Record<string, string>> = {
  client_id: ACME.clientId,
  redirect_uri: `${ACME.publicUrl}/auth/acme/callback`,
  scope: ACME.scopes.join(" "),
};

function equal(seen: number, expected: number): string | null {
  return seen === expected ? null : `${seen} instead of ${expected}`;
}

function describe(destinations: readonly URL[]): string | null {
  return destinations.length === 0 ? null : `leads to ${destinations[0]!.href.slice(0, 120)}`;
}

function allAnswers({ answers, further = [] }: Outcome): readonly Answer[] {
  return [...answers, ...further];
}

/** A stack, a source path or an exception's name. */
const TRACE_REGEXP =
  /\bat [^\n]{0,200}:\d+:\d+|file:\/\/|\b[A-Za-z0-9_/]+\.[jt]s:\d+|\b[A-Z][A-Za-z]+(?:Error|Exception)\b/;

function findTrace({ headers, body }: Answer): string | null {
  const texts = [body, ...[...headers].map(([, value]) => value)];
  return texts.map((text) => TRACE_REGEXP.exec(text)?.[0]).find((found) => found !== undefined) ?? null;
}

function judgeReturnTarget(expected: string, { answers, asked, landing }: Outcome): string | null {
  const { status, headers } = answers[0]!;
  if (expected === "default-or-refused") {
    if (status === 400) return headers.getSetCookie().length === 0 ? null : "refused, and yet sets cookies";
    return landing?.href === `${ACME.publicUrl}/` ? null : `landed on ${landing?.href}`;
  }
  if (expected !== "as-given") return `unknown expectation ${expected}`;
  const wanted = asked!.startsWith("/") ? `${ACME.publicUrl}${asked}` : asked;
  return landing?.href === wanted ? null : `landed on ${landing?.href}`;
}

/** Every address that an answer leads to: redirects, links, forms, and addresses in JSON, parsed as a browser would. */
export function destinationsOf(outcome: Outcome): readonly URL[] {
  return allAnswers(outcome).flatMap(({ url, headers, body }) => {
    const texts = ["location", "content-location", "link", "refresh"].map((name) => headers.get(name) ?? "");
    const [location = "", content = "", link = "", refresh = ""] = texts;
    const addresses = [
      location,
      content,
      .../<([^>]*)>/.exec(link)?.slice(1) ?? [],
      .../url=(.*)/i.exec(refresh)?.slice(1) ?? [],
      ...isHtml(headers) ? addressesIn(body) : [...body.matchAll(/"((?:[a-z]+:|\/)[^"]*)"/gi)].map(([, text]) => text!),
    ];
    return addresses.filter((address) => address !== "").map((address) => URL.parse(address, url)).filter((to) =>
      to !== null
    );
  });
}

function isHtml(headers: Headers): boolean {
  return (headers.get("content-type") ?? "").startsWith("text/html");
}

/** Elements that lead somewhere; an icon or a picture does not. */
const LEADING_REGEXP = /<(?:a|area|base|button|embed|form|frame|iframe|input|meta|object|script)\b[^>]*>/gi;

function addressesIn(html: string): string[] {
  const tags = html.match(LEADING_REGEXP)?.join(" ") ?? "";
  const attributes = tags.matchAll(/(?:href|src|data|action|url)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"]+))/gi);
  return [...attributes].map(([, double, single, bare]) => decodeHtml(double ?? single ?? bare ?? ""));
}

function decodeHtml(text: string): string {
  const names: Readonly<Record<string, string>> = { quot: '"', apos: "'", lt: "<", gt: ">", amp: "&" };
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|([a-z]+));/gi, (whole, decimal, hex, name) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    if (hex !== undefined) return String.fromCodePoint(parseInt(hex, 16));
    return names[name] ?? whole;
  });
}

interface SetCookie {
  readonly name: string;
  readonly value: string;
  readonly attributes: string;
}

function setCookies({ answers }: Outcome): readonly SetCookie[] {
  return answers.flatMap(({ headers }) => headers.getSetCookie()).map((line) => {
    const [, name = "", value = "", attributes = ""] = /^([^=]*)=([^;]*)(.*)$/s.exec(line) ?? [];
    return { name, value, attributes };
  });
}

const COOKIE_RULES: Readonly<Record<string, (world: World, outcome: Outcome) => string | null>> = {
  "the bad cookie cleared": judgeCleared,
  "transaction cleared only": (_world, outcome) => {
    const set = setCookies(outcome);
    if (set.length === 0) return "nothing is cleared";
    const other = set.find(({ name, attributes }) =>
      !name.startsWith(TRANSACTION_PREFIX) || !attributes.includes("Max-Age=0")
    );
    return other === undefined ? null : `sets ${other.name}`;
  },
  "none or own cookies cleared": (_world, outcome) => {
    const set = setCookies(outcome).find(({ name, value }) => !isOwnCookie(name) || value !== "");
    return set === undefined ? null : `sets ${set.name}`;
  },
  "session renewed": (_world, outcome) => {
    const set = setCookies(outcome).filter(({ value }) => value !== "").map(({ name }) => name);
    return Object.values(COOKIES).every((name) => set.includes(name)) ? null : `sets ${set}`;
  },
  "unchanged": (_world, outcome) => {
    const set = setCookies(outcome);
    return set.length === 0 ? null : `sets ${set.map(({ name }) => name)}`;
  },
};

/**
 * Puts what the request presented under our names into a jar, in every way in which a browser can have got it, and looks
 * what is left of it after the answer. Names that are not ours have to be left alone.
 */
function judgeCleared(world: World, outcome: Outcome): string | null {
  const { url, headers } = outcome.answers[0]!;
  const own = (outcome.presented ?? []).map(([name]) => name).filter(isOwnCookie);
  const jar = createCookieJar(world.clock);
  for (const name of own) {
    jar.take(url, `${name}=bad; Path=/; Secure`);
    if (!name.startsWith("__Host-")) jar.take(url, `${name}=bad; Domain=acme.test; Path=/; Secure`);
  }
  for (const line of headers.getSetCookie()) {
    if (!jar.take(url, line)) return `a browser refuses ${line}`;
  }
  const left = jar.all();
  const cleared = setCookies(outcome).map(({ name }) => name);
  if (left.length > 0) return `${left.map(({ name }) => name)} is still there`;
  const foreign = cleared.find((name) => !own.includes(name));
  return foreign === undefined ? null : `clears ${foreign}, which was not presented`;
}

function judgeDeletion(entry: string, outcome: Outcome): string | null {
  const deleted = setCookies(outcome).filter(({ value }) => value === "");
  const [, name, isPattern, places = ""] = /^([^*\s]+)(\*)?(?: \((.*)\))?$/.exec(entry) ?? [];
  const meant = isPattern === undefined
    ? deleted.filter((cookie) => cookie.name === name)
    : deleted.filter((cookie) => name === "transaction" && cookie.name.startsWith(TRANSACTION_PREFIX));
  if (meant.length === 0) return `${entry} is not deleted`;
  const wanted = places === "" ? [attributesOf(name!)] : [attributesOf(name!), attributesOf(name!, "host-only")];
  const missing = wanted.find((attributes) => !meant.some((cookie) => cookie.attributes === attributes));
  return missing === undefined ? null : `${entry}: no deletion with ${missing}`;
}

/** Attributes with which a cookie is deleted: those of contract 2.3 with which it was set, but for its life. */
function attributesOf(name: string, place = ""): string {
  const isShared = name === "at" && place === "";
  const sameSite = name === "__Host-rt" ? "Strict" : "Lax";
  return `${isShared ? "; Domain=.acme.test" : ""}; Path=/; Secure; HttpOnly; SameSite=${sameSite}; Max-Age=0`;
}
