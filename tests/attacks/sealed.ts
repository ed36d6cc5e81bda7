/**
 * Sealed cookies, spoiled: one thing changed at a time.
 *
 * @module
 */

import {
  encodeBase64Url,
  encodeUtf8,
  type JsonObject,
  readBase64Url,
  readJsonObject,
  readUtf8,
} from "../../lib/encoding.ts";
import { importSealKey, open, readSealHeader, seal } from "../../lib/seal/mod.ts";
import { TICKET_MEMBERS } from "./names.ts";
import type { World } from "./world.ts";

/** The parts of a sealed value by name. */
export const PARTS = ["header", "key", "iv", "ciphertext", "tag"] as const;

/**
 * Spoils a sealed value.
 *
 * @param world Whose keys sealed it.
 * @param sealed The value.
 * @param change What to change, as the cases write it: `bitflip=tag:0`, `truncate=-1`, `kid=x`, …
 * @returns The spoiled value; never the given one.
 */
export async function spoil(world: World, sealed: string, change: string): Promise<string> {
  const [name, argument] = split(change, "=");
  const make = Object.hasOwn(CHANGES, name) ? CHANGES[name] : undefined;
  if (make === undefined) throw new Error(`Unknown change of a cookie: ${change}`);
  const spoiled = await make(sealed, argument, world);
  if (spoiled === sealed) throw new Error(`Cannot spoil a cookie: ${change} leaves it as it is`);
  return spoiled;
}

type Spoiler = (sealed: string, argument: string, world: World) => string | Promise<string>;

const CHANGES: Readonly<Record<string, Spoiler>> = {
  bitflip: (sealed, argument) => {
    const [part, byte] = split(argument, ":");
    return flipBit(sealed, PARTS.indexOf(part as typeof PARTS[number]), Number(byte));
  },
  truncate: (sealed, argument) => sealed.slice(0, Number(argument)),
  append: (sealed, argument) => sealed + argument,
  alphabet: (sealed) => sealed.replaceAll("-", "+").replaceAll("_", "/"),
  kid: (sealed, argument) => withHeader(sealed, { kid: argument }),
  version: (sealed, argument) => withHeader(sealed, { version: Number(argument) }),
  reencrypt: async (sealed, argument, world) => {
    const [what, rest] = split(argument, ":");
    if (what === "plaintext") return await reseal(world, sealed, () => rest);
    const [member, value] = split(rest, "=");
    return await reseal(world, sealed, (plaintext) => {
      const content = JSON.stringify({ ...readJsonObject(plaintext), [TICKET_MEMBERS[member] ?? member]: null });
      // As a text, since `JSON.stringify` would write 1e300 in its own way.
      return content.replace(
        `"${TICKET_MEMBERS[member] ?? member}":null`,
        `"${TICKET_MEMBERS[member] ?? member}":${value}`,
      );
    });
  },
};

/** Flips the lowest bit of a byte of a part. */
export function flipBit(sealed: string, part: number, byte: number): string {
  const parts = sealed.split(".");
  const bytes = readBase64Url(parts[part]!)!;
  bytes[byte]! ^= 1;
  return parts.with(part, encodeBase64Url(bytes)).join(".");
}

/** Writes other members into the header and leaves the rest as it is. */
export function withHeader(sealed: string, members: JsonObject): string {
  const parts = sealed.split(".");
  const header = readJsonObject(readUtf8(readBase64Url(parts[0]!)!)!);
  return parts.with(0, encodeBase64Url(encodeUtf8(JSON.stringify({ ...header, ...members })))).join(".");
}

/** Seals again with the right key, which no attacker has, what `change` makes of the plaintext. */
export async function reseal(
  world: World,
  sealed: string,
  change: (plaintext: string) => string,
  purpose = readSealHeader(sealed)!.purpose,
): Promise<string> {
  const { kid } = readSealHeader(sealed)!;
  const exported = await world.cloakroom.keys.exportActive(kid.slice(0, kid.lastIndexOf(".")));
  const key = await importSealKey(exported.kid, exported.bytes);
  const plaintext = await open(sealed, { purpose: readSealHeader(sealed)!.purpose, findKey: () => key.key });
  return await seal(change(plaintext!), { key, purpose });
}

function split(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}
