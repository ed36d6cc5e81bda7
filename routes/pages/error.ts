/**
 * The page for people when something was refused or failed: the same code as in JSON, in plain words, without script.
 *
 * @module
 */

import type { ProblemCode } from "../../lib/problem.ts";
import { html, respondPage } from "./layout.ts";

/** What the page says. */
export interface ErrorPage {
  /** The code of the problem. */
  readonly code: ProblemCode;
  /** HTTP status. */
  readonly status: number;
  /** A few words. */
  readonly title: string;
  /** What happened and what to do. */
  readonly detail: string;
  /** By which the operator finds it in the log. */
  readonly requestId: string;
  /** A way on. */
  readonly action?: { readonly label: string; readonly href: string };
}

/** Answers with the error page. */
export async function respondErrorPage(page: ErrorPage): Promise<Response> {
  const { code, status, title, detail, requestId, action } = page;
  const button = action === undefined ? "" : html`<p><a class="button" href="${action.href}">${action.label}</a></p>`;
  const body = html`
    <h1>${title}</h1>
    <p>${detail}</p>
    ${button}
    <dl>
      <dt>Code</dt>
      <dd><code>${code}</code></dd>
      <dt>Request</dt>
      <dd><code>${requestId}</code></dd>
    </dl>
  `;
  return await respondPage({ title, body }, { status });
}
