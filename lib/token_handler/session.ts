/**
 * What the cookies of a request are worth: pure decisions about sessions.
 *
 * @module
 */

import type { EndReason, SessionRecord } from "../store/mod.ts";
import type { AccessTicket, RefreshTicket } from "./tickets.ts";

/** Seconds of remaining life below which an access token is refreshed on the way. */
export const REFRESH_AHEAD_SECONDS = 60;

/** Seconds between two notes of activity, so that reading does not mean writing; fewer where sessions go idle sooner. */
const TOUCH_EVERY_SECONDS = 300;

/** How many notes there are at least before an active session could count as idle. */
const NOTES_PER_IDLE = 10;

/** One of the two cookies, as far as it could be read. */
export type Presented<Ticket> =
  | { readonly kind: "absent" }
  | { readonly kind: "bad" }
  | { readonly kind: "good"; readonly ticket: Ticket };

/** Both cookies of a request. */
export interface PresentedCookies {
  /** The access ticket. */
  readonly at: Presented<AccessTicket>;
  /** The refresh ticket. */
  readonly rt: Presented<RefreshTicket>;
}

/** What two cookies amount to before the session is looked up. */
export type CookieOutcome =
  | { readonly kind: "anonymous" }
  | {
    readonly kind: "refused";
    /** The cookies that can do nothing but harm, and are to be cleared. */
    readonly bad: readonly ("at" | "rt")[];
  }
  | {
    /** `at` without its partner: enough to render a page, never to call an API. */
    readonly kind: "alone";
    readonly at: AccessTicket;
  }
  | {
    readonly kind: "named";
    readonly sessionId: string;
    /** `null` where the browser has dropped `at`, which lives shorter. */
    readonly at: AccessTicket | null;
    readonly rt: RefreshTicket;
  };

/**
 * Decides what two cookies amount to. `__Host-rt` names the session, since no other host can plant it; `at` has to agree.
 */
export function decideCookies({ at, rt }: PresentedCookies): CookieOutcome {
  const bad = [...(at.kind === "bad" ? ["at" as const] : []), ...(rt.kind === "bad" ? ["rt" as const] : [])];
  if (bad.length > 0) return { kind: "refused", bad };
  if (rt.kind !== "good") return at.kind === "good" ? { kind: "alone", at: at.ticket } : { kind: "anonymous" };
  if (at.kind === "good" && at.ticket.sessionId !== rt.ticket.sessionId) return { kind: "refused", bad: ["at"] };
  return { kind: "named", sessionId: rt.ticket.sessionId, at: at.kind === "good" ? at.ticket : null, rt: rt.ticket };
}

/** What a session record says. */
export type SessionOutcome =
  | { readonly kind: "alive"; readonly touch: boolean }
  | { readonly kind: "ended"; readonly reason: EndReason }
  | { readonly kind: "over"; readonly reason: "idle" | "absolute" };

/** Decides whether a session lives. `over` means: end it now, its time has come. */
export function decideSession(
  record: SessionRecord,
  options: { readonly now: number; readonly idleSeconds: number },
): SessionOutcome {
  const { now, idleSeconds } = options;
  if (record.ended !== null) return { kind: "ended", reason: record.ended.reason };
  if (record.expiresAt <= now) return { kind: "over", reason: "absolute" };
  if (record.lastSeenAt + idleSeconds <= now) return { kind: "over", reason: "idle" };
  const touchEvery = Math.min(TOUCH_EVERY_SECONDS, idleSeconds / NOTES_PER_IDLE);
  return { kind: "alive", touch: record.lastSeenAt + touchEvery <= now };
}

/** How much life an access token has left: `due` = use it, but refresh first if that works. */
export function decideFreshness(expiresAt: number, now: number): "fresh" | "due" | "dead" {
  if (expiresAt <= now) return "dead";
  return expiresAt < now + REFRESH_AHEAD_SECONDS ? "due" : "fresh";
}
