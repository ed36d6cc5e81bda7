/**
 * Which forwarded headers are believed: only those of configured proxies.
 *
 * @module
 */

/** Tells whether a peer is a proxy of ours. */
export type TrustedProxies = (address: string) => boolean;

/** Believes nobody: the default. */
export const trustNobody: TrustedProxies = () => false;

/**
 * Reads the setting `TRUSTED_PROXIES`.
 *
 * @param text `0`, a number of hops (the direct peer is then always a proxy), or a list of addresses and CIDR ranges.
 * @returns Who is trusted; `null` if the text is none of these.
 */
export function readTrustedProxies(text: string): TrustedProxies | null {
  if (/^\d{1,2}$/.test(text)) return Number(text) === 0 ? trustNobody : () => true;
  const ranges = text.split(",").map((part) => readRange(part.trim()));
  if (ranges.some((range) => range === null)) return null;
  return (address) => {
    const bits = readAddress(address);
    return bits !== null && ranges.some((range) => bits.startsWith(range!));
  };
}

/** The leading bits that every address of a range shares. */
function readRange(text: string): string | null {
  const [address = "", length, ...rest] = text.split("/");
  const bits = readAddress(address);
  if (bits === null || rest.length > 0) return null;
  const isV4 = !address.includes(":");
  const max = isV4 ? 32 : 128;
  if (length !== undefined && (!/^\d{1,3}$/.test(length) || Number(length) > max)) return null;
  return bits.slice(0, (isV4 ? 96 : 0) + Number(length ?? max));
}

/** An address as 128 bits; IPv4 in its mapped form, so that both spellings are one address. */
function readAddress(text: string): string | null {
  const mapped = text.replace(/^::ffff:(?=\d+\.)/i, "");
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(mapped)) {
    const bytes = mapped.split(".").map(Number);
    if (bytes.some((byte) => byte > 255)) return null;
    return "0".repeat(80) + "1".repeat(16) + bytes.map((byte) => byte.toString(2).padStart(8, "0")).join("");
  }
  const host = URL.parse(`http://[${text}]`)?.hostname;
  if (host === undefined) return null;
  const [left = "", right] = host.slice(1, -1).split("::");
  const groupsOf = (part: string) => part === "" ? [] : part.split(":");
  const head = groupsOf(left);
  const tail = groupsOf(right ?? "");
  const middle = Array<string>(right === undefined ? 0 : 8 - head.length - tail.length).fill("0");
  return [...head, ...middle, ...tail].map((group) => parseInt(group, 16).toString(2).padStart(16, "0")).join("");
}
