/**
 * Every case of the switched-on groups, as its `expect` says; in front of them the good requests of the same shapes,
 * without which a refusal would prove nothing.
 *
 * @module
 */

import { type AttackCase, GROUPS, readCases } from "./cases.ts";
import { CONTROLS } from "./controls.ts";
import { run, variantsOf } from "./run.ts";
import { withWorld } from "./world.ts";

const cases = readCases();

for (const group of GROUPS) {
  Deno.test(`attacks: ${group}`, async (t) => {
    await withWorld(async (world) => {
      const check = async (attack: AttackCase) => {
        const faults = await run(world, attack);
        if (faults.length > 0) throw new Error(faults.join("\n"));
      };
      for (const control of CONTROLS.filter((control) => control.group === group)) {
        const works = await t.step(`control: ${control.what}`, () => check(control));
        if (!works) return;
      }
      for (const attack of cases.filter((attack) => attack.group === group)) {
        for (const variant of variantsOf(attack)) {
          await t.step(`${variant.name}: ${attack.what}`, () => check(variant.attack));
        }
      }
    });
  });
}
