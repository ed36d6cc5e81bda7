/**
 * The harness as far as it is about the proxy: what it does not know fails the run, and each of its judges can say no, of
 * the thing that it judges and nothing else.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { JsonObject } from "../../lib/encoding.ts";
import { createH2Resets } from "./h2.ts";
import type { AttackRequest } from "./cases.ts";
import { run } from "./run.ts";
import { withWorld } from "./world.ts";

const CALL = { kind: "http", host: "api.acme.test", path: "{api}/x", as: "alice" };
const PUBLIC = { ...CALL, path: "/public", as: "anon" };
const SESSION = { ...CALL, path: "{session}" };
const REPLY = { status: 200, headers: { "content-language": "de", "clear-site-data": '"cookies"' }, body: "x" };
const UPSTREAM = { kind: "upstream", reply: REPLY, then: CALL };
const TWO = { kind: "raw", bytes: "GET /public HTTP/1.1\r\nHost: api.acme.test\r\n\r\n".repeat(2) };
const CLOSED = {
  kind: "raw",
  bytes: "POST {api} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;\nxx\r\nab\r\n0\r\n\r\n",
};
const FLOOD = { kind: "load", rps: 10, each: { ...CALL, path: "{login}", as: "anon" } };
const UNIT = { kind: "unit", do: "two cookies that share the first 64 bytes and length" };

type Table = Readonly<Record<string, readonly [AttackRequest, JsonObject]>>;

const WRONG: Table = {
  "status": [CLOSED, { status: [400] }],
  "status, though closed": [CALL, { status: [400], or_: "connection closed" }],
  "never_status": [CALL, { never_status: 200 }],
  "responses_max": [TWO, { status: [200], responses_max: 1 }],
  "client_header_absent": [SESSION, { client_header_absent: ["cache-control"] }],
  "client_header_absent, with its value": [SESSION, { client_header_absent: ["cache-control: no-store"] }],
  "client_header_has": [SESSION, { client_header_has: ["cache-control: public"] }],
  "client_header_not": [UPSTREAM, { client_header_not: { "content-language": "de" } }],
  "vary": [SESSION, { vary: "Accept" }],
  "body_complete": [{ ...UPSTREAM, then: SESSION }, { body_complete: true }],
  "body_complete, though it is": [UPSTREAM, { body_complete: false }],
  "body_not": [{ ...UPSTREAM, reply: { ...REPLY, body: "Bearer" } }, { body_not: ["Bearer"] }],
  "tenant": [SESSION, { tenant: "globex or refused" }],
  "tenant, refused": [{ ...SESSION, as: "anon" }, { tenant: "acme" }],
  "upstream_host_only": [CALL, { upstream_host_only: "up.test" }],
  "upstream_path": [CALL, { upstream_path: "/x" }],
  "upstream_path, without a call": [SESSION, { status: [200], upstream_path: "/x" }],
  "upstream_method": [CALL, { upstream_method: "POST" }],
  "never_path_seen": [CALL, { never_path_seen: "/x" }],
  "never_path_seen, but two answers": [TWO, { never_path_seen: "/smuggled" }],
  "upstream_header_absent": [CALL, { upstream_header_absent: ["authorization"] }],
  "upstream_header_equals": [CALL, { upstream_header_equals: { authorization: "Bearer {at:mallory}" } }],
  "upstream_header_equals, without a call": [SESSION, { upstream_header_equals: { authorization: "Bearer x" } }],
  "upstream_value_not": [CALL, { upstream_value_not: ["192.0.2.7"] }],
  "upstream_value_not, within a value": [
    { ...CALL, headers: { "Accept-Language": "de, en" } },
    { upstream_value_not: ["en"] },
  ],
  "session": [{ ...SESSION, as: "anon" }, { session: "alice still logged in" }],
  "set_cookie": [CALL, { set_cookie: ["at"] }],
  "result": [UNIT, { result: "one session" }],
  "has_429": [FLOOD, { has_429: true }],
};

Deno.test("every judge of the proxy can say no", async (t) => {
  await withWorld(async (world) => {
    for (const [what, [request, expect]] of Object.entries(WRONG)) {
      await t.step(what, async () => {
        const faults = await run(world, { group: "path", id: "made up", what, request, expect });
        assertEquals(faults.map((fault) => fault.split(":", 1)[0]), [what.split(",", 1)[0]], faults.join("\n"));
      });
    }
  });
});

Deno.test("names that an upstream may take for the same are judged as the same", async () => {
  await withWorld(async (world) => {
    const expect = { upstream_header_absent: ["accept_language"], upstream_header_absent_normalised: true };
    const request = { ...CALL, headers: { "Accept-Language": "de" } };
    const faults = await run(world, { group: "path", id: "made up", what: "", request, expect });
    assertEquals(faults, ["upstream_header_absent_normalised: saw accept_language"]);
  });
});

Deno.test("cookies that cross are seen", async () => {
  await withWorld(async (world) => {
    const attack = {
      group: "path",
      id: "made up",
      what: "",
      request: { ...PUBLIC, cookies: [["theme", "dark"]] },
      expect: { upstream_cookie_absent: ["theme"] },
    };
    assertEquals(await run(world, attack), []);
    const { fetch } = world.cloakroom;
    // As if nobody took them out.
    Object.assign(world.cloakroom, {
      fetch: async (request: Request, peer: string) => {
        const { upstream: { handle } } = world;
        await handle(new Request("https://upstream.test/public", { headers: request.headers }));
        return await fetch(request, peer);
      },
    });
    assertEquals(await run(world, attack), ["upstream_cookie_absent: saw theme"]);
  });
});

Deno.test("records that stay are counted", async () => {
  await withWorld(async (world) => {
    // Sessions live longer than an hour.
    const refreshed = { ...CALL, as: "alice-expired" };
    const expect = { kv_keys_growth: "bounded by expiry check" };
    const attack = { group: "dos", id: "made up", what: "", request: { ...FLOOD, each: refreshed }, expect };
    assertEquals((await run(world, attack)).map((fault) => fault.split(":", 1)[0]), ["kv_keys_growth"]);
  });
});

const UNKNOWN: Table = {
  "member of an upstream's reply": [{ ...UPSTREAM, reply: { ...REPLY, colour: "green" } }, {}],
  "kind of a call": [{ ...UPSTREAM, then: { ...CALL, kind: "telepathy" } }, {}],
  "setting": [{ kind: "config", patch: { cors: { colours: ["green"] } } }, {}],
  "member of settings": [{ kind: "config", patch: {}, colour: "green" }, {}],
  "deed": [{ kind: "unit", do: "nothing" }, {}],
  "form of load": [{ kind: "load", rps: 10 }, {}],
  "alternative": [CALL, { or_: "else" }],
  "growth": [FLOOD, { kv_keys_growth: "none" }],
};

Deno.test("whatever the harness does not know about the proxy fails the run", async (t) => {
  await withWorld(async (world) => {
    for (const [what, [request, expect]] of Object.entries(UNKNOWN)) {
      await t.step(what, async () => {
        assertEquals((await run(world, { group: "path", id: "made up", what, request, expect })).length, 1);
      });
    }
  });
});

Deno.test("HTTP/2 frames are as long as they say", () => {
  const bytes = createH2Resets(3, { authority: "a.test", path: "/" });
  const types: number[] = [];
  let at = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".length;
  while (at < bytes.length) {
    types.push(bytes[at + 3]!);
    at += 9 + (bytes[at]! << 16 | bytes[at + 1]! << 8 | bytes[at + 2]!);
  }
  assertEquals([at, types], [bytes.length, [4, 1, 3, 1, 3, 1, 3]]);
});
