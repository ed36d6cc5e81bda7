/**
 * Addresses of authorization servers: `https`, and a host that is a name.
 *
 * @module
 */

/** What addresses may be. */
export interface EndpointOptions {
  /** Accepts loopback hosts, with plain `http` too: for development and tests. */
  readonly insecureAllowHttpLoopback?: boolean;
}

const LOOPBACK_REGEXP = /^(?:(?:.+\.)?localhost\.?|127(?:\.\d+){3}|\[::1\])$/;

/** Addresses instead of names. The URL parser has already turned every odd spelling of IPv4 into four numbers. */
const IP_REGEXP = /^(?:\d+(?:\.\d+){3}|\[.*\])$/;

/**
 * Reads the address of an endpoint.
 *
 * Hosts given as IP addresses are refused: no public server has a certificate for one, and what answers there is likelier
 * to be something inside our own network.
 *
 * @param value What a metadata document says.
 * @param options What addresses may be.
 * @returns The address in its normal form without fragment; `undefined` if it is no such address.
 */
export function readEndpoint(value: unknown, options: EndpointOptions = {}): string | undefined {
  const url = typeof value === "string" ? URL.parse(value) : null;
  if (url === null || url.username !== "" || url.password !== "") return undefined;
  if (LOOPBACK_REGEXP.test(url.hostname)) {
    const isWeb = url.protocol === "http:" || url.protocol === "https:";
    if (!isWeb || options.insecureAllowHttpLoopback !== true) return undefined;
  } else if (url.protocol !== "https:" || IP_REGEXP.test(url.hostname)) {
    return undefined;
  }
  url.hash = "";
  return url.href;
}
