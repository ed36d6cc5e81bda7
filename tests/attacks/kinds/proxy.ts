/**
 * `upstream`, `config` and `unit`: an upstream that answers oddly, settings that are wrong, a function of our own.
 *
 * @module
 */

import type { JsonObject } from "../../../lib/encoding.ts";
import { signJwt } from "../../support/signing_key.ts";
import { PATHS } from "../names.ts";
import type { Outcome } from "../outcome.ts";
import { resolve } from "../placeholders.ts";
import type { Stage } from "../stage.ts";
import { ACME, MANAGEMENT, type World } from "../world.ts";
import { callerOf, callOf, type HttpRequest, readCall, sendAs } from "./http.ts";
import { type Kind, membersOf } from "./kind.ts";

interface UpstreamReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An upstream that answers oddly to one call. */
export const upstream: Kind = async (stage, { request }) => {
  const given = membersOf<{ reply: UpstreamReply; then: HttpRequest & { kind: string } }>(request, ["reply", "then"]);
  const { status, headers, body } = membersOf<UpstreamReply>(given.reply, ["status", "headers", "body"]);
  if (given.then.kind !== "http") throw new Error(`Unknown kind of a call: ${given.then.kind}`);
  const { world } = stage;
  const caller = await callerOf(stage, given.then.as);
  const call = await readCall(stage, given.then, caller);
  return async (): Promise<Outcome> => {
    world.upstream.reply = () => new Response(body, { status, headers });
    try {
      const { answer } = await sendAs(stage, caller, call);
      return { answers: [answer], caller, upstreamBody: body };
    } finally {
      world.upstream.reply = null;
    }
  };
};

/** What settings of the cases are called here. `credentials` is no setting: allowed origins always get them. */
const SETTING_NAMES: Readonly<Record<string, string>> = { "cors.origins": "allowedOrigins", "cors.credentials": "" };

/** A management call with acme's settings, in which something is wrong. */
export const config: Kind = async (stage, { request }) => {
  const { patch } = await resolve(membersOf<{ readonly patch: JsonObject }>(request, ["patch"]), {
    stage,
    caller: null,
  });
  const { world } = stage;
  const call = {
    ...callOf("mgmt", [
      ["Authorization", `Bearer ${await managementToken(world)}`],
      ["Content-Type", "application/json"],
    ]),
    method: "PUT",
    body: JSON.stringify({ ...ACME, ...translate(patch) }),
  };
  const caller = stage.stranger();
  return async (): Promise<Outcome> => {
    const { answer } = await sendAs(stage, caller, call);
    if (answer.status < 300) await world.cloakroom.saveVendor("acme", ACME);
    return { answers: [answer], caller };
  };
};

function translate(patch: JsonObject): JsonObject {
  const flat = Object.entries(patch).flatMap(([group, members]) =>
    Object.entries(members as JsonObject).map(([name, value]) => [`${group}.${name}`, value] as const)
  );
  return Object.fromEntries(flat.flatMap(([path, value]) => {
    if (!Object.hasOwn(SETTING_NAMES, path)) throw new Error(`Unknown setting: ${path}`);
    return SETTING_NAMES[path] === "" ? [] : [[SETTING_NAMES[path]!, value]];
  }));
}

/** A token of somebody who may manage every vendor. */
async function managementToken({ idp, clock }: World): Promise<string> {
  return await signJwt(idp.key, { typ: "at+jwt" }, {
    iss: MANAGEMENT.issuer,
    sub: "operator",
    aud: MANAGEMENT.audience,
    client_id: "operator",
    jti: crypto.randomUUID(),
    scope: "read:vendors write:vendors",
    iat: clock(),
    exp: clock() + 60,
  });
}

const DEEDS: Readonly<Record<string, (stage: Stage) => Promise<string>>> = {
  /** Seals of one vendor and purpose share their header; users whose names are equally long, the length too. */
  "two cookies that share the first 64 bytes and length": async (stage) => {
    const [alice, clara] = await Promise.all(["alice", "clara"].map((name) => stage.signedIn(name)));
    const cookies = [alice!, clara!].map(({ browser }) => browser.jar.header(new URL(ACME.publicUrl))!);
    const [one, other] = cookies.map((cookie) => /(?:^|; )at=([^;]+)/.exec(cookie)![1]!);
    if (one!.slice(0, 64) !== other!.slice(0, 64) || one!.length !== other!.length) throw new Error("No such cookies");
    const seen: string[] = [];
    for (const cookie of [...cookies, ...cookies]) {
      const response = await stage.world.cloakroom.fetch(
        new Request(`${ACME.publicUrl}${PATHS.session}`, { headers: { cookie, "sec-fetch-site": "same-origin" } }),
      );
      seen.push((await response.json()).sub);
    }
    return `${seen}` === "alice,clara,alice,clara" ? "two different sessions" : `${seen}`;
  },
};

/** A function of our own, without HTTP. */
export const unit: Kind = (stage, { request }) => {
  const given = membersOf<{ readonly do: string }>(request, ["do"]);
  if (!Object.hasOwn(DEEDS, given.do)) throw new Error(`Unknown deed: ${given.do}`);
  return Promise.resolve(async () => ({ answers: [], facts: { result: await DEEDS[given.do]!(stage) } }));
};
