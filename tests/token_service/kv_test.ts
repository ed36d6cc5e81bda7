import { assertEquals } from "@std/assert";
import { createKvRecords } from "../../lib/store/kv/mod.ts";
import { codeForm, createKit, type Kit, redeem, refresh, userinfoStatus, Visitor } from "./kit.ts";

/** A token service on Deno KV. The clock of the database is the real one, so nothing here lets time pass. */
async function withKv(test: (kit: Kit) => Promise<void>): Promise<void> {
  using kv = await Deno.openKv(":memory:");
  await test(await createKit({ records: createKvRecords(kv, { now: () => 1_800_000_000, deadlineMs: 30_000 }) }));
}

Deno.test("on Deno KV, too, one of a hundred parallel uses of a code succeeds", async () => {
  await withKv(async (kit) => {
    const form = codeForm(await new Visitor(kit).code());
    const answers = await Promise.all(Array.from({ length: 100 }, () => kit.send("/oauth/token", { form })));
    assertEquals(answers.filter(({ status }) => status === 200).length, 1);
  });
});

Deno.test("on Deno KV, too, a hundred parallel refreshes mint one pair, and revoking ends it", async () => {
  await withKv(async (kit) => {
    const { refresh_token } = await redeem(kit, await new Visitor(kit).code());
    const answers = await Promise.all(Array.from({ length: 100 }, () => refresh(kit, refresh_token)));
    assertEquals(new Set(answers.map(({ status }) => status)), new Set([200]));
    assertEquals(new Set(answers.map(({ body }) => JSON.stringify(body))).size, 1);
    await kit.service.revokeAllForUser("user-ada");
    assertEquals(await userinfoStatus(kit, answers[0]!.body.access_token), 401);
  });
});

Deno.test("on Deno KV, too, no more than ten of fifty guesses at once are heard", async () => {
  await withKv(async (kit) => {
    const guess = { email: "ada@example.com", password: "wrong", clientAddress: "192.0.2.1" };
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => kit.service.signIn(guess)));
    assertEquals(outcomes.filter(({ kind }) => kind === "refused").length, 10);
  });
});
