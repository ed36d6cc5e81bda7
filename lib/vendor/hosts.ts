/**
 * Host names: their form, and the domain that a cookie for them may span.
 *
 * @module
 */

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const HOST_REGEXP = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-f:.]{2,45}\\])(?::([1-9][0-9]{0,4}))?$`);
const IP_REGEXP = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[.*\])$/;

/** Tells whether a text is a host in lower case, with a port where one is meant, and nothing else. */
export function isHost(text: string): boolean {
  if (text.length > 260) return false;
  const match = HOST_REGEXP.exec(text);
  return match !== null && Number(match[1] ?? 0) <= 65535;
}

/** The host without its port. */
export function nameOfHost(host: string): string {
  return host.replace(/:\d+$/, "");
}

/** Tells whether a host name can only be this machine: `localhost`, names below it, and loopback addresses. */
export function isLoopbackName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost") || name === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(name);
}

/**
 * The registrable domain of a host: what a `Domain` attribute may span at most.
 *
 * The public suffix list (private section included) is loaded with the first host that needs it.
 *
 * @param name A host name without a port.
 * @returns The domain; `null` for `localhost`, IP addresses, single labels and public suffixes.
 */
export async function registrableDomainOf(name: string): Promise<string | null> {
  if (!name.includes(".") || IP_REGEXP.test(name) || isLoopbackName(name)) return null;
  const { getDomain } = await import("tldts");
  return getDomain(name, { allowPrivateDomains: true });
}
