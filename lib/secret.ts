/**
 * A value that must not be printed.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Secret } from "@cloakroom/token-handler";
 *
 * const secret = new Secret("open sesame");
 * assertEquals(`${secret}`, "[secret]");
 * assertEquals(JSON.stringify({ secret }), '{"secret":"[secret]"}');
 * assertEquals(secret.reveal(), "open sesame");
 * ```
 *
 * @module
 */

const PLACEHOLDER = "[secret]";

/** Wraps a secret so that logs, templates, JSON and error texts show a placeholder instead of it. */
export class Secret<T = string> {
  readonly #value: T;

  /** Wraps the value. */
  constructor(value: T) {
    this.#value = value;
  }

  /** Opens the wrapping: call it only in the expression that needs the value. */
  reveal(): T {
    return this.#value;
  }

  /** What templates show. */
  toString(): string {
    return PLACEHOLDER;
  }

  /** What `JSON.stringify` shows. */
  toJSON(): string {
    return PLACEHOLDER;
  }

  /** What `console.log` shows in Deno. */
  [Symbol.for("Deno.customInspect")](): string {
    return PLACEHOLDER;
  }

  /** What `console.log` shows in Node. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return PLACEHOLDER;
  }
}
