/**
 * The demo's upstream: a small API that verifies the Bearer, as every API behind the token handler should.
 *
 * @module
 */

import { type KeySets, verifyAccessToken } from "../../lib/jwt/mod.ts";
import type { Clock } from "../../lib/clock.ts";
import { respondJson } from "../shared/respond.ts";

/** What the demo API needs. */
export interface DemoApiOptions {
  /** Issuer of the tokens. */
  readonly issuer: string;
  /** Where its keys are. */
  readonly jwksUri: string;
  /** The audience that tokens must be meant for. */
  readonly audience: string;
  /** The issuer's keys. */
  readonly keySets: KeySets;
  /** Time. */
  readonly now: Clock;
}

/** What the API tells about a user, by path. */
const ANSWERS: Readonly<Record<string, (subject: string) => unknown>> = {
  "/entitlements": (subject) => [
    { id: "ent-1", sku: "digital-daily", name: "Digital daily", owner: subject, validUntil: "2030-12-31" },
    { id: "ent-2", sku: "weekend-paper", name: "Weekend paper", owner: subject, validUntil: "2030-06-30" },
  ],
  "/contracts": (
    subject,
  ) => [{ id: "con-1", product: "Digital daily", interval: "month", price: 9, currency: "EUR", owner: subject }],
  "/profile": (subject) => ({ id: subject, newsletter: true, country: "SE" }),
};

/** Creates the API: answers only to tokens of the demo's token service that are meant for it. */
export function createDemoApi(options: DemoApiOptions): (request: Request) => Promise<Response> {
  return async (request) => {
    const answer = ANSWERS[new URL(request.url).pathname];
    if (answer === undefined) return respondJson({ error: "not_found" }, { status: 404 });
    const [, token = ""] = /^Bearer (\S+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
    const verdict = await verifyAccessToken(token, options);
    if (verdict.kind === "verified") return respondJson(answer(verdict.claims.sub));
    const isRefused = verdict.kind === "refused";
    return respondJson({ error: isRefused ? "invalid_token" : "temporarily_unavailable" }, {
      status: isRefused ? 401 : 503,
      headers: isRefused ? { "www-authenticate": 'Bearer error="invalid_token"' } : {},
    });
  };
}
