/**
 * Time as a dependency: whole seconds since 1970, the unit of every expiry in this project.
 *
 * @module
 */

/** Answers the present time in whole seconds since 1970-01-01T00:00:00Z, the NumericDate of RFC 7519. */
export type Clock = () => number;

/** The clock of this machine. */
export const systemClock: Clock = () => Math.floor(Date.now() / 1000);
