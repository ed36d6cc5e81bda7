/**
 * Every case of the switched-on groups, as its `expect` says; in front of them the good requests of the same shapes,
 * without which a refusal would prove nothing.
 *
 * @module
 */

import { type AttackCase, GROUPS, readCases } from "./cases.ts";
import { CONTROLS } from "./controls.ts";
import { run, variantsOf } from "./run.ts";
import { createWorld } from "./world.ts";

const cases = readCases();

for (const group of GROUPS) {
  const own = cases.filter((attack) => attack.group === group);
  Deno.test(`attacks: ${group}`, async (t) => {
    const world = await createWorld();
    try {
      const controls = CONTROLS.filter((control) => control.group === group);
      for (const control of controls) await t.step(`control ${control.what}`, () => check(control));
      for (const attack of own) {
        for (const variant of variantsOf(attack)) {
          await t.step(`${variant.name}: ${attack.what}`, () => check(variant.attack));
        }
      }
    } finally {
      await world.close();
    }

    async function check(attack: AttackCase): Promise<void> {
      const faults = await run(world, attack);
      if (faults.length > 0) throw new Error(faults.join("\n"));
    }
  });
}
