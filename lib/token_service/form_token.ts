/**
 * Tokens against forged forms.
 *
 * A form's token is derived from a secret that only this browser's cookie holds and from the exact request that the form
 * continues. A form made for another browser, or for another request, does not fit. The cookie has the `__Host-` prefix, so
 * no neighbouring site can plant it.
 *
 * @module
 */

import { equalsConstantTime, hashOf } from "../encoding.ts";

/** What a form is bound to. */
export interface FormBinding {
  /** Which form it is. */
  readonly form: "sign_in" | "sign_out";
  /** What the browser's cookie holds. */
  readonly cookie: string;
  /** The request that the form continues. */
  readonly request: string;
}

/** Makes the token of a form. */
export async function createFormToken({ form, cookie, request }: FormBinding): Promise<string> {
  return await hashOf(JSON.stringify(["cloakroom form", form, cookie, request]));
}

/** Tells whether a form's token fits. */
export async function verifyFormToken(token: string | null, binding: FormBinding): Promise<boolean> {
  return equalsConstantTime(token, await createFormToken(binding));
}
