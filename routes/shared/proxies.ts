/**
 * Which forwarded headers are believed: only those of configured proxies.
 *
 * @module
 */

/** The proxies in front of the service. */
export interface TrustedProxies {
  /** Tells whether a peer is one of them, so that its `X-Forwarded-*` headers count. */
  trusts(peer: string): boolean;
  /**
   * The address of the client behind a trusted peer.
   *
   * @param peer The trusted peer.
   * @param forwardedFor What stands in `X-Forwarded-For`; each proxy has added its own peer at the right.
   * @returns The nearest address that no proxy of ours vouches for; the peer's where the header does not say.
   */
  clientOf(peer: string, forwardedFor: string | null): string;
}

/** Believes nobody: the default. */
export const trustNobody: TrustedProxies = { trusts: () => false, clientOf: (peer) => peer };

/**
 * Reads the setting `TRUSTED_PROXIES`.
 *
 * @param text `0`, a number of hops (the direct peer is then always a proxy), or a list of addresses and CIDR ranges.
 * @returns Who is trusted; `null` if the text is none of these.
 */
export function readTrustedProxies(text: string): TrustedProxies | null {
  if (/^\d{1,2}$/.test(text)) return Number(text) === 0 ? trustNobody : trustHops(Number(text));
  const ranges = text.split(",").map((part) => readRange(part.trim()));
  return ranges.includes(null) ? null : trustRanges(ranges as readonly string[]);
}

function trustHops(hops: number): TrustedProxies {
  return {
    trusts: () => true,
    clientOf(peer, forwardedFor) {
      const chain = chainOf(forwardedFor);
      return readable(chain.at(-hops) ?? chain[0]) ?? peer;
    },
  };
}

function trustRanges(ranges: readonly string[]): TrustedProxies {
  const trusts = (address: string) => {
    const bits = readAddress(address);
    return bits !== null && ranges.some((range) => bits.startsWith(range));
  };
  return {
    trusts,
    clientOf(peer, forwardedFor) {
      const chain = chainOf(forwardedFor);
      return readable(chain.findLast((address) => !trusts(address)) ?? chain[0]) ?? peer;
    },
  };
}

function chainOf(forwardedFor: string | null): readonly string[] {
  return forwardedFor?.split(",").map((address) => address.trim()) ?? [];
}

function readable(address: string | undefined): string | null {
  return address !== undefined && readAddress(address) !== null ? address : null;
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
