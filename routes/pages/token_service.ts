/**
 * The smaller pages of the token service: faults, signing out, and what is still to come.
 *
 * @module
 */

import { html, respondPage } from "./layout.ts";
import { formActionTo } from "./sign_in.ts";

/** Tells a person that a request cannot be answered. */
export async function respondFaultPage(
  { code, detail }: { readonly code: string; readonly detail: string },
  { status }: { readonly status: number },
): Promise<Response> {
  const body = html`
    <h1>This did not work</h1>
    <p>The application that sent you here made a request that cannot be answered. Go back to it and try again. If that does
      not help, tell its operator:</p>
    <p class="notice bad"><code>${code}</code><br>${detail}</p>
  `;
  return await respondPage({ title: "This did not work", body }, { status });
}

/** Tells a person that a form is too old, or was not ours. */
export async function respondExpiredFormPage(restart: string): Promise<Response> {
  const body = html`
    <h1>This form has expired</h1>
    <p>It was opened too long ago, in another browser, or where cookies are switched off.</p>
    <p><a class="button" href="${restart}">Start again</a></p>
  `;
  return await respondPage({ title: "This form has expired", body }, { status: 403 });
}

/** Tells a person that an application is not one of the operator's own. */
export async function respondConsentPage(clientName: string): Promise<Response> {
  const body = html`
    <h1>Not approved yet</h1>
    <p>${clientName} asks for access to your account. The operator of this service has not approved it, so nothing was
      handed over.</p>
    <p class="muted">Code: <code>consent_required</code></p>
  `;
  return await respondPage({ title: "Not approved yet", body }, { status: 403 });
}

/** What the question carries. */
export interface SignOutPageOptions {
  /** Where the form goes. */
  readonly action: string;
  /** The logout request that the form continues. */
  readonly request: string;
  /** What shows that the form is ours. */
  readonly token: string;
  /** Where the browser goes afterwards; `null` if it stays. */
  readonly location: string | null;
}

/** Asks whether to sign out. */
export async function respondSignOutPage({ action, request, token, location }: SignOutPageOptions): Promise<Response> {
  const body = html`
    <h1>Sign out?</h1>
    <p>An application asks to sign you out. To stay signed in, close this page.</p>
    <form method="post" action="${action}">
      <input type="hidden" name="request" value="${request}">
      <input type="hidden" name="token" value="${token}">
      <button type="submit">Sign out</button>
    </form>
  `;
  const policy = location === null ? {} : { "form-action": formActionTo(location) };
  return await respondPage({ title: "Sign out?", body }, { policy });
}

/** Tells a person that they are signed out. */
export async function respondSignedOutPage(): Promise<Response> {
  const body = html`
    <h1>Signed out</h1>
    <p>You are signed out here. Applications that you used may still keep you signed in until you sign out of them.</p>
  `;
  return await respondPage({ title: "Signed out", body });
}
