/**
 * Answers of our own: problems as JSON or as a page, JSON about people, redirects. All of them `no-store`.
 *
 * @module
 */

import { accepts } from "@std/http/negotiation";
import { describeProblem, type ProblemCode } from "../../lib/problem.ts";
import { respondErrorPage } from "../pages/error.ts";

/** A way on from an error. */
export interface ProblemAction {
  /** What the button says. */
  readonly label: string;
  /** Where it leads. */
  readonly href: string;
}

/** What a problem says besides its code. */
export interface ProblemOptions {
  /** Names the request. */
  readonly requestId: string;
  /** More members of the JSON body. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** More headers. */
  readonly headers?: HeadersInit;
  /** A button on the page. */
  readonly action?: ProblemAction;
}

/** Where problem codes are explained. */
const TYPE_BASE = "urn:cloakroom:problem:";

/** Tells whether a person is looking: a page load, or somebody who would rather have HTML. */
export function isNavigation(request: Request): boolean {
  const mode = request.headers.get("sec-fetch-mode");
  if (mode !== null) return mode === "navigate";
  const accept = request.headers.get("accept") ?? "";
  return accept.includes("text/html") && accepts(request, "application/json", "text/html") === "text/html";
}

/**
 * Answers with a problem: [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) JSON, or a page where a person is looking.
 *
 * @param request Decides about the form.
 * @param code What is wrong.
 * @param options What to add.
 * @returns The answer.
 */
export async function respondProblem(request: Request, code: ProblemCode, options: ProblemOptions): Promise<Response> {
  const { status, title, detail } = describeProblem(code);
  const { requestId, members, action } = options;
  const headers = new Headers(options.headers);
  headers.set("x-request-id", requestId);
  if (isNavigation(request)) {
    const page = await respondErrorPage({ code, status, title, detail, requestId, ...(action ? { action } : {}) });
    for (const [name, value] of headers) page.headers.append(name, value);
    return page;
  }
  headers.set("content-type", "application/problem+json");
  headers.set("cache-control", "no-store");
  headers.set("x-content-type-options", "nosniff");
  const body = { type: `${TYPE_BASE}${code}`, title, status, detail, code, request_id: requestId, ...members };
  return new Response(request.method === "HEAD" ? null : JSON.stringify(body), { status, headers });
}

/** Answers with JSON that is nobody else's business. */
export function respondJson(
  body: unknown,
  options: { readonly status?: number; readonly headers?: HeadersInit } = {},
): Response {
  const headers = new Headers(options.headers);
  headers.set("content-type", "application/json");
  headers.set("cache-control", "no-store");
  headers.set("x-content-type-options", "nosniff");
  return new Response(JSON.stringify(body), { status: options.status ?? 200, headers });
}

/** Sends a browser elsewhere. The address was checked or made by us. */
export function respondRedirect(location: string): Response {
  return new Response(null, {
    status: 302,
    headers: { location, "cache-control": "no-store", "referrer-policy": "no-referrer" },
  });
}
