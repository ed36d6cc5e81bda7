/**
 * The sign-in page of the token service.
 *
 * @module
 */

import { html, respondPage } from "./layout.ts";

/** Why the form is shown again. */
export type SignInNotice =
  | { readonly kind: "refused" }
  /** Too many attempts; the next one is heard after so many seconds. */
  | { readonly kind: "wait"; readonly seconds: number };

/** What the page shows and carries. */
export interface SignInPageOptions {
  /** Where the form goes. */
  readonly action: string;
  /** What the person signs in to. */
  readonly clientName: string;
  /** Where the browser goes afterwards. */
  readonly redirectUri: string;
  /** The address to begin with. */
  readonly email: string;
  /** The authorization request that the form continues. */
  readonly request: string;
  /** What shows that the form is ours. */
  readonly token: string;
  /** Why the form is shown again. */
  readonly notice?: SignInNotice;
}

/** Answers with the sign-in page. */
export async function respondSignInPage(options: SignInPageOptions): Promise<Response> {
  const { action, clientName, redirectUri, email, request, token, notice } = options;
  const message = notice === undefined ? null : describeNotice(notice);
  const body = html`
    <h1>Sign in</h1>
    <p class="muted">to go on to ${clientName}</p>
    ${message === null ? "" : html`
      <p class="notice bad" role="alert" id="notice">${message}</p>
    `}
    <form method="post" action="${action}">
      <input type="hidden" name="request" value="${request}">
      <input type="hidden" name="token" value="${token}">
      <label for="email">E-mail</label>
      <input id="email" name="email" type="email" required maxlength="320" autocomplete="username" autocapitalize="none"
        spellcheck="false" value="${email}" ${invalidIf(notice)} ${focusIf(email === "")}>
      <label for="password">Password</label>
      <input id="password" name="password" type="password" required maxlength="1024" autocomplete="current-password"
        ${invalidIf(notice)} ${focusIf(email !== "")}>
      <button type="submit">Sign in</button>
    </form>
  `;
  return await respondPage({ title: "Sign in", body }, {
    status: notice === undefined ? 200 : notice.kind === "wait" ? 429 : 401,
    policy: { "form-action": formActionTo(redirectUri) },
    ...(notice?.kind === "wait" && { headers: { "retry-after": `${notice.seconds}` } }),
  });
}

/**
 * Where a form of ours may lead. Chromium applies the rule to every redirect that follows, and the application sends the
 * browser on to a page that we do not know: so it names the schemes, and keeps out `javascript:` and `data:`.
 *
 * @param target Where we send the browser.
 */
export function formActionTo(target: string): string {
  return [...new Set(["'self'", "https:", new URL(target).protocol])].join(" ");
}

function describeNotice(notice: SignInNotice): string {
  if (notice.kind === "refused") return "This e-mail address and password do not belong together.";
  const minutes = Math.ceil(notice.seconds / 60);
  const wait = notice.seconds <= 90 ? `${notice.seconds} seconds` : `${minutes} minutes`;
  return `Too many attempts. Wait ${wait}, then try again.`;
}

function invalidIf(notice: SignInNotice | undefined) {
  return notice?.kind === "refused" ? html`aria-invalid="true" aria-describedby="notice"` : "";
}

function focusIf(isFirst: boolean) {
  return isFirst ? html`autofocus` : "";
}
