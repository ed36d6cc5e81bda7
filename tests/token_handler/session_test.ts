import { assertEquals } from "@std/assert";
import type { SessionRecord } from "../../lib/store/mod.ts";
import {
  decideCookies,
  decideFreshness,
  decideSession,
  type Presented,
  type PresentedCookies,
} from "../../lib/token_handler/session.ts";
import type { AccessTicket, RefreshTicket } from "../../lib/token_handler/tickets.ts";

const NOW = 1_800_000_000;

const at: AccessTicket = { accessToken: "a", expiresAt: NOW + 60, sessionId: "s1", generation: 1 };
const rt: RefreshTicket = { refreshToken: "r", sessionId: "s1", generation: 1 };
const absent = { kind: "absent" } as const;
const bad = { kind: "bad" } as const;

function good<T>(ticket: T): Presented<T> {
  return { kind: "good", ticket };
}

const record: SessionRecord = {
  vendorId: "acme",
  id: "s1",
  subject: "ada",
  issuerSessionId: null,
  createdAt: NOW - 1000,
  lastSeenAt: NOW,
  expiresAt: NOW + 1000,
  generation: 1,
  refreshedAt: NOW - 1000,
  sealed: "",
  device: null,
  ended: null,
};

Deno.test("decideCookies() wants both cookies of one session; __Host-rt alone names it too", () => {
  const rows: Readonly<Record<string, readonly [PresentedCookies, unknown]>> = {
    "none": [{ at: absent, rt: absent }, { kind: "anonymous" }],
    "both": [{ at: good(at), rt: good(rt) }, { kind: "named", sessionId: "s1", at, rt }],
    "both, at older": [
      { at: good(at), rt: good({ ...rt, generation: 2 }) },
      { kind: "named", sessionId: "s1", at, rt: { ...rt, generation: 2 } },
    ],
    "at alone": [{ at: good(at), rt: absent }, { kind: "alone", at }],
    "rt alone": [{ at: absent, rt: good(rt) }, { kind: "named", sessionId: "s1", at: null, rt }],
    "at of another session": [
      { at: good({ ...at, sessionId: "s2" }), rt: good(rt) },
      { kind: "refused", bad: ["at"] },
    ],
    "at spoilt": [{ at: bad, rt: good(rt) }, { kind: "refused", bad: ["at"] }],
    "at spoilt, alone": [{ at: bad, rt: absent }, { kind: "refused", bad: ["at"] }],
    "rt spoilt": [{ at: good(at), rt: bad }, { kind: "refused", bad: ["rt"] }],
    "rt spoilt, alone": [{ at: absent, rt: bad }, { kind: "refused", bad: ["rt"] }],
    "both spoilt": [{ at: bad, rt: bad }, { kind: "refused", bad: ["at", "rt"] }],
  };
  for (const [what, [cookies, outcome]] of Object.entries(rows)) {
    assertEquals(decideCookies(cookies) as unknown, outcome, what);
  }
});

Deno.test("decideSession() ends a session at its time, for the first reason that holds", () => {
  const rows: Readonly<Record<string, readonly [Partial<SessionRecord>, unknown]>> = {
    "just seen": [{}, { kind: "alive", touch: false }],
    "seen 299 s ago": [{ lastSeenAt: NOW - 299 }, { kind: "alive", touch: false }],
    "seen 300 s ago": [{ lastSeenAt: NOW - 300 }, { kind: "alive", touch: true }],
    "idle for 5999 s": [{ lastSeenAt: NOW - 5999 }, { kind: "alive", touch: true }],
    "idle for 6000 s": [{ lastSeenAt: NOW - 6000 }, { kind: "over", reason: "idle" }],
    "one second left": [{ expiresAt: NOW + 1 }, { kind: "alive", touch: false }],
    "at its end": [{ expiresAt: NOW }, { kind: "over", reason: "absolute" }],
    "idle and at its end": [{ expiresAt: NOW, lastSeenAt: NOW - 6000 }, { kind: "over", reason: "absolute" }],
    "ended": [{ ended: { at: NOW, reason: "user" } }, { kind: "ended", reason: "user" }],
    "ended, and over": [
      { ended: { at: NOW, reason: "back_channel" }, expiresAt: NOW },
      { kind: "ended", reason: "back_channel" },
    ],
    "seen by a clock that is ahead": [{ lastSeenAt: NOW + 100 }, { kind: "alive", touch: false }],
  };
  for (const [what, [changed, outcome]] of Object.entries(rows)) {
    const decided = decideSession({ ...record, ...changed }, { now: NOW, idleSeconds: 6000 });
    assertEquals(decided as unknown, outcome, what);
  }
});

Deno.test("decideSession() notes activity often enough to keep an active session from going idle", () => {
  for (const idleSeconds of [60, 299, 600, 3000, 604_800]) {
    let lastSeenAt = NOW;
    // Somebody calls every now and then, at a third of the time after which the session goes idle.
    for (let now = NOW; now < NOW + 10 * idleSeconds; now += Math.floor(idleSeconds / 3)) {
      const outcome = decideSession({ ...record, expiresAt: NOW * 2, lastSeenAt }, { now, idleSeconds });
      assertEquals(outcome.kind, "alive", `idle after ${idleSeconds} s`);
      if (outcome.kind === "alive" && outcome.touch) lastSeenAt = now;
    }
  }
});

Deno.test("decideFreshness() refreshes in the last minute and uses nothing that is over", () => {
  const rows: readonly (readonly [left: number, freshness: string])[] = [
    [3600, "fresh"],
    [61, "fresh"],
    [60, "fresh"],
    [59, "due"],
    [1, "due"],
    [0, "dead"],
    [-1, "dead"],
    [-NOW, "dead"],
  ];
  for (const [left, freshness] of rows) assertEquals(decideFreshness(NOW + left, NOW), freshness, `${left}`);
});
