/**
 * The fields of `expect` about what crosses the proxy: what the upstream saw, and what of its answer came back.
 *
 * @module
 */

import type { Evidence, Judge } from "./expectations.ts";
import { resolve } from "./placeholders.ts";
import { IDP_HOSTS } from "./world.ts";

/** One judge a field. */
export const PROXY_JUDGES: Readonly<Record<string, Judge<never>>> = {
  never_status: (expected: number, { outcome }) =>
    outcome.answers.some(({ status }) => status === expected) ? `${expected}` : null,
  responses_max: (expected: number, { outcome }) =>
    outcome.answers.length <= expected ? null : `${outcome.answers.length}`,
  client_header_absent: (expected: readonly string[], { outcome }) => {
    const found = expected.filter((line) => {
      const [name, value] = line.split(/: (.*)/s, 2);
      return outcome.answers.some(({ headers }) =>
        value === undefined ? headers.has(name!) : valuesOf(headers, name!).includes(value)
      );
    });
    return found.length === 0 ? null : `has ${found}`;
  },
  client_header_not: (expected: Readonly<Record<string, string>>, { outcome }) => {
    const found = Object.entries(expected).filter(([name, value]) =>
      outcome.answers.some(({ headers }) => valuesOf(headers, name).includes(value))
    );
    return found.length === 0 ? null : `has ${found.map(([name]) => name)}`;
  },
  vary: (expected: string, { outcome }) => {
    const silent = outcome.answers.find(({ headers }) =>
      !headers.get("vary")?.toLowerCase().split(/, */).includes(expected.toLowerCase())
    );
    return silent === undefined ? null : `Vary is ${silent.headers.get("vary")}`;
  },
  body_complete: (expected: boolean, { outcome: { answers, upstreamBody } }) =>
    (answers[0]!.body === upstreamBody) === expected ? null : `${answers[0]!.body.length} characters arrived`,
  tenant: (expected: string, { outcome }) => {
    const { status, body } = outcome.answers[0]!;
    const counted = status === 200 ? JSON.parse(body).vendor_id : "refused";
    return expected.split(" or ").includes(counted) ? null : `${counted}`;
  },

  upstream_host_only: (expected: string, { effects }) => {
    const others = effects.dialled.filter((host) => host !== expected && !IDP_HOSTS.includes(host));
    return others.length === 0 ? null : `dialled ${others}`;
  },
  upstream_path: (expected: string, evidence) => judgeSeen(evidence, ({ path }) => path, expected),
  upstream_method: (expected: string, evidence) => judgeSeen(evidence, ({ method }) => method, expected),
  // Where acme has no upstream, a second answer would show that somebody took the path for a request.
  never_path_seen: (expected: string, { outcome, effects }) => {
    if (effects.seen.some(({ path }) => path.includes(expected))) return "the upstream saw it";
    return outcome.answers.length <= 1 ? null : `${outcome.answers.length} answers`;
  },
  upstream_header_absent: (expected: readonly string[], { effects }) => {
    const found = expected.filter((name) => effects.seen.some(({ headers }) => headers.has(name)));
    return found.length === 0 ? null : `saw ${found}`;
  },
  upstream_header_absent_normalised: (_expected: boolean, { effects, expect }) => {
    const names = effects.seen.flatMap(({ headers }) => [...headers.keys()].map(foldName));
    const found = (expect.upstream_header_absent as readonly string[]).filter((name) => names.includes(foldName(name)));
    return found.length === 0 ? null : `saw ${found}`;
  },
  upstream_header_equals: async (expected: Readonly<Record<string, string>>, { effects, stage }) => {
    const wanted = Object.entries(await resolve(expected, { stage, caller: null }));
    if (effects.seen.length === 0) return "there was no call";
    const wrong = wanted.filter(([name, value]) => effects.seen.some(({ headers }) => headers.get(name) !== value));
    return wrong.length === 0 ? null : `another ${wrong.map(([name]) => name)}`;
  },
  // In no header at all: that includes forwarded and identity headers, whatever they are called.
  upstream_value_not: (expected: readonly string[], { effects }) => {
    const values = effects.seen.flatMap(({ headers }) => [...headers.values()]);
    const found = expected.filter((bad) =>
      values.some((value) => value === bad || value.split(/[\s,;="]+/).includes(bad))
    );
    return found.length === 0 ? null : `saw ${found}`;
  },
  upstream_cookie_absent: (expected: readonly string[], { effects }) => {
    const names = effects.seen.flatMap(({ headers }) => cookieNames(headers.get("cookie") ?? ""));
    const found = expected.filter((name) => names.includes(name));
    return found.length === 0 ? null : `saw ${found}`;
  },

  result: (expected: string, { outcome }) => outcome.facts!.result === expected ? null : `${outcome.facts!.result}`,
  has_429: (expected: boolean, { outcome }) =>
    outcome.answers.some(({ status }) => status === 429) === expected ? null : `${!expected}`,
  kv_keys_growth: (expected: string, { outcome: { facts } }) => {
    if (expected !== "bounded by expiry check") return `unknown expectation ${expected}`;
    return facts!.keysGrowth === 0 ? null : `${facts!.keysGrowth} keys are left`;
  },
};

/** Judges every call that the upstream saw. A success without one would be a success of nobody. */
function judgeSeen(
  { outcome, effects }: Evidence,
  read: (call: Evidence["effects"]["seen"][number]) => string,
  expected: string,
): string | null {
  const wrong = effects.seen.map(read).find((seen) => seen !== expected);
  if (wrong !== undefined) return `${wrong}`;
  const isSuccess = outcome.answers.some(({ status }) => status === 200);
  return isSuccess && effects.seen.length === 0 ? "there was no call" : null;
}

function valuesOf(headers: Headers, name: string): readonly string[] {
  return name === "set-cookie" ? headers.getSetCookie() : [headers.get(name) ?? ""];
}

/** Upstreams that make environment variables of headers take these for the same. */
function foldName(name: string): string {
  return name.toLowerCase().replaceAll("_", "-");
}

function cookieNames(header: string): readonly string[] {
  return header.split(";").map((pair) => pair.trim().split("=", 1)[0]!);
}
