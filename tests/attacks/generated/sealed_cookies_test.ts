/**
 * Sealed cookies, spoiled at every byte and in every part: one answer for all of them, nobody called, nothing opened.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { encodeBase64Url, encodeUtf8, readBase64Url } from "../../../lib/encoding.ts";
import { createChance } from "../../support/chance.ts";
import { COOKIES, PATHS, TRANSACTION_PREFIX } from "../names.ts";
import { watch } from "../outcome.ts";
import { flipBit, PARTS, reseal, withHeader } from "../sealed.ts";
import { type Begun, cookieOf, createStage, type Person, sessionOf, type Stage } from "../stage.ts";
import { ACME, withWorld, type World } from "../world.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** A value that may be genuine, but does not go with the other cookie. Which of the two is cleared is a matter of taste. */
const ANOTHER_SESSION = "another session's value";

/** A spoiled value. */
type Form = readonly [what: string, value: string];

/** Every spoiled form of a sealed value that can be made without the key. */
function spoiledForms(sealed: string, others: readonly string[]): readonly Form[] {
  // Some changes change nothing: the part for an encrypted key is empty, and values of one purpose begin alike.
  return [...changedForms(sealed, others)].filter(([, value]) => value !== sealed);
}

function* changedForms(sealed: string, others: readonly string[]): Generator<Form> {
  const parts = sealed.split(".");
  for (let i = 0; i < sealed.length; i++) {
    // The neighbour in the alphabet differs in the lowest bit, which in a last character is often slack.
    const index = ALPHABET.indexOf(sealed[i]!);
    yield [`character ${i}`, `${sealed.slice(0, i)}${index < 0 ? "A" : ALPHABET[index ^ 1]}${sealed.slice(i + 1)}`];
  }
  for (const [p, part] of parts.entries()) {
    const bytes = readBase64Url(part)!.length;
    for (let byte = 0; byte < bytes; byte += 7) yield [`bit in byte ${byte} of ${PARTS[p]}`, flipBit(sealed, p, byte)];
    for (const other of others) yield [`${PARTS[p]} of another value`, parts.with(p, other.split(".")[p]!).join(".")];
    for (const change of TEXT_CHANGES) yield [`${PARTS[p]}: ${change}`, parts.with(p, change(part)).join(".")];
    yield [`without ${PARTS[p]}`, parts.toSpliced(p, 1).join(".")];
    yield [`${PARTS[p]} twice`, parts.toSpliced(p, 0, part).join(".")];
  }
  for (const other of others) yield [ANOTHER_SESSION, other];
  for (const change of TEXT_CHANGES) yield [`${change}`, change(sealed)];
  for (const members of HEADERS) yield [`header ${JSON.stringify(members)}`, withHeader(sealed, members)];
  yield ["header in another order", parts.with(0, reorder(parts[0]!)).join(".")];
  yield ["parts in reverse", parts.toReversed().join(".")];
}

const TEXT_CHANGES: readonly ((text: string) => string)[] = [
  (text) => `${text}=`,
  (text) => `${text}A`,
  (text) => `${text}AAAA`,
  (text) => `A${text}`,
  (text) => `${text}.`,
  (text) => `.${text}`,
  (text) => `"${text}"`,
  (text) => `${text}%00`,
  (text) => text.replace(/^.{3}/, "$&%2E"),
  (text) => text.replace(/^.{3}/, "$& "),
  (text) => text.slice(0, -1),
  (text) => text.slice(0, text.length / 2),
  (text) => text.slice(4),
  (text) => text.toUpperCase(),
  (text) => `${text}${text}`,
];

const HEADERS = [
  { alg: "none" },
  { alg: "A256KW" },
  { alg: "PBES2-HS256+A128KW", p2c: 2_000_000_000, p2s: "AAAA" },
  { enc: "A128GCM" },
  { enc: "A256CBC-HS512" },
  { zip: "DEF" },
  { typ: "AT" },
  { typ: "session" },
  { typ: "JWT" },
  { typ: ["at"] },
  { kid: "acme.unknown" },
  { kid: "globex.unknown" },
  { kid: "service.master" },
  { kid: "acme.__proto__" },
  { kid: "__proto__" },
  { kid: "acme" },
  { kid: "" },
  { kid: null },
  { kid: 1 },
  { kid: "acme.../../x" },
  { kid: `acme.${"k".repeat(300)}` },
  { cty: "JWT" },
  { crit: ["exp"], exp: 1 },
  { epk: {} },
  { jku: "https://evil.test/jwks" },
];

function reorder(header: string): string {
  const members = JSON.parse(new TextDecoder().decode(readBase64Url(header)!));
  const text = JSON.stringify(Object.fromEntries(Object.entries(members).toReversed()));
  return encodeBase64Url(encodeUtf8(text));
}

/** What may differ between two answers to spoiled cookies: nothing but the name of the request. */
async function essenceOf(response: Response): Promise<string> {
  const body = (await response.text()).replace(/"request_id":"[^"]+"/, '"request_id":""');
  const headers = [...response.headers].filter(([name]) => name !== "x-request-id" && name !== "set-cookie");
  return JSON.stringify([response.status, headers, body]);
}

async function withStage(run: (stage: Stage) => Promise<void>): Promise<void> {
  await withWorld((world) => run(createStage(world)));
}

async function visit(world: World, path: string, cookie: string): Promise<Response> {
  return await world.cloakroom.fetch(new Request(`${ACME.publicUrl}${path}`, { headers: { cookie } }));
}

/** Sends spoiled forms of one of the two session cookies, with the other one as it is. */
async function judgeSessionCookie(
  stage: Stage,
  kind: "at" | "rt",
  forms: readonly Form[],
): Promise<number> {
  const { world } = stage;
  const alice = await stage.signedIn("alice");
  const values = { at: cookieOf(alice, "at")!, rt: cookieOf(alice, "rt")! };
  const expected = await essenceOf(await visit(world, PATHS.session!, ""));
  const effects = watch(world);
  let count = 0;
  for (const [what, value] of forms) {
    for (const path of [PATHS.session!, PATHS.api!]) {
      const sent = { ...values, [kind]: value };
      const response = await visit(world, path, `${COOKIES.at}=${sent.at}; ${COOKIES.rt}=${sent.rt}`);
      const cleared = response.headers.getSetCookie().map((line) => line.slice(0, line.indexOf("=;")));
      const isCleared = cleared.includes(COOKIES[kind]!) || (what === ANOTHER_SESSION && cleared.includes(COOKIES.at!));
      assert(isCleared, `${what}: not cleared at ${path}`);
      assertEquals(response.status, 401, what);
      if (path === PATHS.session) assertEquals(await essenceOf(response), expected, what);
      else await response.body?.cancel();
      count++;
    }
  }
  const { dialled, upstreamCalls } = effects();
  assertEquals([dialled.length, upstreamCalls], [0, 0]);
  assertEquals(await sessionOf(alice), "alice");
  return count;
}

for (const kind of ["at", "rt"] as const) {
  Deno.test(`a spoiled ${COOKIES[kind]} is 401 and cleared, wherever it is spoiled`, async () => {
    await withStage(async (stage) => {
      const sealed = cookieOf(await stage.signedIn("alice"), kind)!;
      const others = await otherValues(stage, kind);
      assert(await judgeSessionCookie(stage, kind, spoiledForms(sealed, others)) > 800);
    });
  });

  Deno.test(`any other content of ${COOKIES[kind]} under the right key is 401`, async () => {
    await withStage(async (stage) => {
      const sealed = cookieOf(await stage.signedIn("alice"), kind)!;
      const contents = await Promise.all(
        [...oddContents(kind)].map(async ([what, change]) =>
          [what, await reseal(stage.world, sealed, change)] as const
        ),
      );
      assert(await judgeSessionCookie(stage, kind, contents) > 60);
    });
  });
}

/** Values that are genuine, but not this one: of another purpose, person, session or vendor. */
async function otherValues(stage: Stage, kind: "at" | "rt"): Promise<readonly string[]> {
  const people: Person[] = [await stage.signedIn("mallory"), await stage.signedIn("globex:bob")];
  const alice = await stage.signedIn("alice");
  const purposes = { at: "rt", rt: "at" } as const;
  const own = [cookieOf(alice, purposes[kind])!, cookieOf(await stage.begun("alice"), "tx")!];
  const sealed = cookieOf(alice, kind)!;
  const retyped = await Promise.all(
    [purposes[kind], "tx", "session", "logout", "vendor_key"].map((purpose) =>
      reseal(stage.world, sealed, (content) => content, purpose)
    ),
  );
  return [...people.map((person) => cookieOf(person, kind)!), ...own, ...retyped];
}

/** Contents that only somebody with the key could seal: still nothing that we would have written. */
function* oddContents(kind: "at" | "rt"): Generator<readonly [what: string, change: (content: string) => string]> {
  for (
    const text of ["", "not-json", "null", "[]", "1", '"at"', "{}", '{"a":1', "\ufeff{}", "{}{}", '{"__proto__":{}}']
  ) {
    yield [JSON.stringify(text), () => text];
  }
  const odd = [null, true, "", "x", -1, 0.5, 1e300, [], {}, "\u0000"];
  const members = kind === "at"
    ? ["access_token", "token_type", "expires_at", "sid", "generation"]
    : ["refresh_token", "sid", "generation"];
  for (const member of members) {
    for (const value of odd) {
      if (isPossible(member, value)) continue;
      yield [`${member}: ${JSON.stringify(value)}`, (content) => withMember(content, member, value)];
    }
  }
  for (const member of ["sid", "generation", ...kind === "at" ? ["expires_at"] : []]) {
    yield [`without ${member}`, (content) => withMember(content, member, undefined)];
    yield [`${member} twice`, (content) => content.replace("{", `{"${member}":1,`)];
  }
  yield ["an unknown member", (content) => withMember(content, "admin", true)];
  yield [ANOTHER_SESSION, (content) => withMember(content, "sid", "A".repeat(43))];
}

/** What a ticket may say: a token may be anything that is a text, or be kept in the session record. */
function isPossible(member: string, value: unknown): boolean {
  return member.endsWith("_token") && (value === null || (typeof value === "string" && value !== ""));
}

function withMember(content: string, member: string, value: unknown): string {
  return JSON.stringify({ ...JSON.parse(content), [member]: value });
}

Deno.test("a spoiled transaction cookie is worth nothing, wherever it is spoiled", async () => {
  await withStage(async (stage) => {
    const { world } = stage;
    const alice = await stage.begun("alice");
    const mallory = await stage.begun("mallory");
    const session = await stage.signedIn("alice");
    const sealed = cookieOf(alice, "tx")!;
    const others = [
      cookieOf(mallory, "tx")!,
      cookieOf(session, "at")!,
      cookieOf(session, "rt")!,
      await reseal(world, sealed, (content) => content, "at"),
    ];
    const effects = watch(world);
    let count = 0;
    for (const [what, value] of spoiledForms(sealed, others)) {
      await assertRefusedCallback(world, alice, value, what);
      count++;
    }
    assertEquals([effects().idpCalls, effects().dialled.length], [0, 0]);
    assert(count > 700, `${count}`);
    // Nothing of this has used up the real one.
    const good = await openCallback(world, alice, sealed);
    assertEquals([good.status, good.headers.get("location")], [302, `${ACME.publicUrl}/`]);
  });
});

async function openCallback(world: World, { callback, state }: Begun, value: string): Promise<Response> {
  const cookie = `${TRANSACTION_PREFIX}${state.slice(0, 8)}=${value}`;
  return await visit(world, `${callback.pathname}${callback.search}`, cookie);
}

async function assertRefusedCallback(world: World, alice: Begun, value: string, what: string): Promise<void> {
  const { status, headers, body } = await openCallback(world, alice, value);
  await body?.cancel();
  assertEquals(status, 400, what);
  const set = headers.getSetCookie().filter((line) => !/^__Host-tx-[^=]*=;.*; Max-Age=0$/.test(line));
  assertEquals(set, [], what);
}

Deno.test("no character beside the name of a cookie makes it one of ours", async () => {
  await withStage(async (stage) => {
    const alice = await stage.signedIn("alice");
    const [at, rt] = [cookieOf(alice, "at")!, cookieOf(alice, "rt")!];
    const codes = Array.from({ length: 256 }, (_, code) => code);
    // NUL and line ends cannot be sent; spaces and separators mean what they mean.
    const letters = codes.map((code) => String.fromCharCode(code)).filter((letter) => !/[\0\r\n\t ;=]/.test(letter));
    for (const letter of letters) {
      for (const name of [`${letter}${COOKIES.rt}`, `${COOKIES.rt}${letter}`]) {
        const response = await visit(stage.world, PATHS.api!, `${COOKIES.at}=${at}; ${name}=${rt}`);
        await response.body?.cancel();
        assertEquals(response.status, 401, JSON.stringify(name));
      }
    }
    const good = await visit(stage.world, PATHS.api!, `${COOKIES.at}=${at}; \t ${COOKIES.rt}=${rt}`);
    await good.body?.cancel();
    assertEquals(good.status, 200);
  });
});

Deno.test("cookies of random bytes, in any number and order, never sign anybody in", async () => {
  await withStage(async (stage) => {
    const { world } = stage;
    const alice = await stage.signedIn("alice");
    const pieces = [cookieOf(alice, "at")!, cookieOf(alice, "rt")!].flatMap((value) => value.split("."));
    const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
    const chance = createChance(seed);
    for (let i = 0; i < 1000; i++) {
      const value = () =>
        Array.from(
          { length: chance.below(8) },
          () => chance.below(3) === 0 ? encodeBase64Url(chance.bytes(chance.below(40))) : chance.pick(pieces),
        ).join(".");
      const names = Array.from(
        { length: 1 + chance.below(4) },
        () =>
          chance.pick([
            "at",
            "__Host-rt",
            "__Host-at",
            " at",
            "AT",
            "__host-rt",
            "at ",
            "__Secure-rt",
            "",
            "signed_in",
          ]),
      );
      const cookie = names.map((name) => `${name}=${value()}`).join(chance.pick(["; ", ";", ";;", " ; ", ", "]));
      const response = await visit(world, PATHS.session!, cookie);
      await response.body?.cancel();
      const set = response.headers.getSetCookie().filter((line) => !/^(?:at|__Host-rt)=;/.test(line));
      assertEquals([response.status, set], [401, []], `seed ${seed}: ${cookie}`);
    }
  });
});
