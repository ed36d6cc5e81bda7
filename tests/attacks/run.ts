/**
 * Runs cases: one kind after another is prepared, done and judged.
 *
 * @module
 */

import { type AttackCase, KINDS_APART } from "./cases.ts";
import { judge } from "./expectations.ts";
import { http, raw } from "./kinds/http.ts";
import type { Kind } from "./kinds/kind.ts";
import { idp } from "./kinds/idp.ts";
import { cookie, token } from "./kinds/sign_in.ts";
import { load, race } from "./kinds/races.ts";
import { config, unit, upstream } from "./kinds/proxy.ts";
import { scan, sequence } from "./kinds/words.ts";
import { CASE_RETURN_NAME, RETURN_NAMES } from "./names.ts";
import { watch } from "./outcome.ts";
import { READINGS } from "./readings.ts";
import { createStage } from "./stage.ts";
import type { World } from "./world.ts";

const KINDS: Readonly<Record<string, Kind>> = {
  http,
  raw,
  token,
  idp,
  cookie,
  sequence,
  race,
  load,
  scan,
  upstream,
  config,
  unit,
};

/** A case in one of the ways in which it can happen. */
export interface Variant {
  readonly name: string;
  readonly attack: AttackCase;
}

/** Runs one variant and answers what is wrong, in words. */
export async function run(world: World, attack: AttackCase): Promise<readonly string[]> {
  const faults = await runOnce(world, attack);
  // A machine may be busy with something else: only a case that takes too much every time does.
  const isCostly = () => faults.length > 0 && faults.every((fault) => /^(?:max_ms|rss_growth)/.test(fault));
  for (let i = 0; i < 2 && isCostly(); i++) faults.splice(0, Infinity, ...await runOnce(world, attack));
  return faults;
}

async function runOnce(world: World, attack: AttackCase): Promise<string[]> {
  const { request, id, expect } = attack;
  const kind = Object.hasOwn(KINDS, request.kind) ? KINDS[request.kind] : undefined;
  if (kind === undefined) return [`unknown kind ${request.kind}`];
  try {
    const stage = createStage(world);
    const act = await kind(stage, attack);
    const effects = watch(world);
    const outcome = await act();
    const happened = { ...effects(), ...outcome.effects };
    return await judge({ expect: { ...expect, ...READINGS[id]?.expect }, world, stage, outcome, effects: happened });
  } catch (error) {
    return [error instanceof Error ? error.stack ?? error.message : String(error)];
  }
}

/** The ways in which a case can happen. A case with none belongs to a kind that has tests of its own. */
export function variantsOf(attack: AttackCase): readonly Variant[] {
  const { id, request } = attack;
  if (KINDS_APART.includes(request.kind) || READINGS[id]?.apart) return [];
  const variants = VARIANTS[id]?.(request) ?? VARIANTS[`key:${request.key}`]?.(request) ?? null;
  if (variants !== null) {
    return Object.entries(variants).map(([how, changes]) => ({
      name: how === "" ? id : `${id}, ${how}`,
      attack: { ...attack, request: { ...request, ...changes } },
    }));
  }
  const query = JSON.stringify(request.query ?? {});
  if (!query.includes(`"${CASE_RETURN_NAME}`)) return [{ name: id, attack }];
  return RETURN_NAMES.map((name) => {
    const renamed = JSON.parse(query.replaceAll(`"${CASE_RETURN_NAME}`, `"${name}`));
    return { name: `${id}, ${name}`, attack: { ...attack, request: { ...request, query: renamed } } };
  });
}

type Variants = (request: AttackCase["request"]) => Readonly<Record<string, object>>;

const VARIANTS: Readonly<Record<string, Variants>> = {
  "jw-12": () => ({
    "the PEM as it is": {},
    "white space before the PEM": { key: "hmac:space+idp-public-spki-pem" },
  }),
  "jw-113": () => ({ "one of them published": {}, "both published": { published: true } }),
  "key:attacker": ({ header }) =>
    typeof header === "object" && header !== null && "kid" in header
      ? { "": {} }
      : { "a key id of its own": {}, "the right key id": { key: "attacker-duplicate-kid" } },
  "cb-30": ({ steps }) => ({
    "PKCE refuses": {},
    "the nonce refuses": {
      steps: ["the provider forgets to check PKCE", ...steps as string[], "the provider checks PKCE again"],
    },
  }),
  "cb-45": ({ steps }) => ({
    "B answers for itself": {},
    "acme has moved to B meanwhile": {
      steps: (steps as string[]).toSpliced(1, 0, "acme moves to IdP B").concat("acme moves back to IdP A"),
    },
  }),
  ...Object.fromEntries(
    ["pa-40", "pa-41"].map((id) => [id, () => ({ "": {}, "in the table itself": { path: "/private" } })]),
  ),
  "pa-42": () => ({ "": {}, "in the table itself": { path: "/public", headers: { "X-Original-URL": "/private" } } }),
  ...Object.fromEntries(["ht-20", "ht-22", "ht-24", "ht-48"].map((id) => [id, withCookies])),
  "cb-17": () => ({ "at acme's host": {}, "at globex's host": { host: "api.globex.test" } }),
  "ck-53": () => ({
    "by navigation": {},
    "by fetch": { steps: ["complete login as alice", "logout by fetch"] },
  }),
};

/** The same bytes, and the same with alice's cookies: a refusal of nobody would prove little. */
function withCookies({ bytes }: AttackCase["request"]): Readonly<Record<string, object>> {
  const signedIn = (bytes as string).replace("\r\n\r\n", "\r\nCookie: {cookies:alice}\r\n\r\n");
  return { "": {}, "with cookies": { bytes: signedIn } };
}
