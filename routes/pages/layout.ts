/**
 * The frame of every page: one style sheet, no script, nothing from elsewhere, readable on a phone and on a desk, in
 * light and in dark.
 *
 * A page is a `body` made with {@linkcode html}, which escapes what is put into it. {@linkcode respondPage} sends it
 * with headers that forbid scripts, frames and caches; a page that needs more names the directives it adds.
 *
 * @module
 */

import { html, raw } from "@hono/hono/html";
import { digestOf } from "../../lib/encoding.ts";

export { html, raw };

/** Markup whose strange parts are escaped: what {@linkcode html} answers. */
export type Html = ReturnType<typeof html>;

/** One page. */
export interface PageOptions {
  /** What the browser's tab and history show, before the product's name. */
  readonly title: string;
  /** Everything between header and footer. */
  readonly body: Html;
  /** Language of the page (BCP 47); English by default. */
  readonly lang?: string;
  /** Room for tables and panels instead of one narrow column. */
  readonly wide?: boolean;
  /** More elements for `<head>`, for example a module script. */
  readonly head?: Html;
}

/** How a page is sent. */
export interface PageResponseOptions {
  /** 200 by default. */
  readonly status?: number;
  /** Directives of the content security policy that are added or replaced. */
  readonly policy?: Readonly<Record<string, string>>;
  /** More headers. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A cloakroom ticket; as a data URL it costs no request. */
const ICON = "data:image/svg+xml," + encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#1f5f53" d="M3 8h26v5a3 3 0 0 0 0 6v5H3v-5a3 3 0 0 0 0-6z"/>' +
    '<path stroke="#fff" stroke-width="2" stroke-dasharray="2 2" d="M20 9v14"/></svg>',
);

/** The one style sheet. Its hash stands in the content security policy, so no other style can be slipped in. */
export const STYLE = `
:root{color-scheme:light dark;--ground:#f6f5f2;--paper:#fff;--ink:#1d2321;--soft:#5b6662;--line:#dcdad3;--accent:#1f5f53;
--on-accent:#fff;--bad:#9c2a1c;--bad-ground:#fcefec;--good:#1f5f53;--good-ground:#eaf4f0;--focus:#1a6fd1}
@media(prefers-color-scheme:dark){:root{--ground:#141817;--paper:#1d2321;--ink:#e9ece9;--soft:#a3aeaa;--line:#39423f;
--accent:#7cc9b6;--on-accent:#0f1a17;--bad:#ffb0a3;--bad-ground:#3a211d;--good:#9fdccb;--good-ground:#1b302a;--focus:#8abcff}}
*{box-sizing:border-box}
[hidden]{display:none!important}
html{-webkit-text-size-adjust:100%}
body{margin:0;min-height:100vh;min-height:100dvh;display:flex;flex-direction:column;align-items:center;padding:1.5rem 1rem;
background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
body>header,main,body>footer{width:100%;max-width:25rem}
.wide>header,.wide>main,.wide>footer{max-width:60rem}
body>header{margin:0 0 1rem;color:var(--soft);font-size:.9375rem}
body>header strong{display:block;color:var(--ink);font-size:1.0625rem;letter-spacing:.01em}
main,.panel{background:var(--paper);border:1px solid var(--line);border-radius:.75rem}
main{padding:1.5rem}
.wide>main{background:none;border:0;padding:0}
.panel{padding:1.25rem;margin:0 0 1rem}
body>footer{margin:1rem 0 0;color:var(--soft);font-size:.875rem}
@media(min-height:40rem){body:not(.wide){padding-top:12vh}}
h1{margin:0 0 .5rem;font-size:1.5rem;line-height:1.25;font-weight:650;letter-spacing:-.01em}
h2{margin:0 0 .5rem;font-size:1.125rem;line-height:1.3;font-weight:650}
p{margin:0 0 1rem}
ul{margin:0 0 1rem;padding-left:1.25rem}
p:last-child,ul:last-child,main>:last-child{margin-bottom:0}
.panel>:not(:has(~:not([hidden]))){margin-bottom:0}
.muted{color:var(--soft)}
a{color:var(--accent);text-underline-offset:.15em}
label{display:block;margin:0 0 .25rem;font-weight:550}
input{display:block;width:100%;margin:0 0 1rem;padding:.625rem .75rem;font:inherit;color:inherit;background:var(--paper);
border:1px solid var(--soft);border-radius:.5rem}
input[aria-invalid=true]{border-color:var(--bad)}
button,.button{display:inline-block;min-height:2.75rem;padding:.5rem 1.25rem;font:inherit;font-weight:600;text-align:center;
text-decoration:none;cursor:pointer;color:var(--on-accent);background:var(--accent);border:1px solid var(--accent);border-radius:.5rem}
button:hover,.button:hover{filter:brightness(1.08)}
button.quiet,.button.quiet{color:var(--accent);background:none;border-color:var(--line)}
form>button:only-of-type{width:100%}
.actions{display:flex;flex-wrap:wrap;gap:.75rem}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}
.notice{margin:0 0 1rem;padding:.75rem 1rem;border-radius:.5rem;color:var(--good);background:var(--good-ground)}
.notice.bad{color:var(--bad);background:var(--bad-ground)}
.columns{display:grid;gap:1rem;margin:0 0 1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr))}
.columns>.panel{margin:0}
dl{margin:0 0 1rem;display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.25rem 1rem}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
table{width:100%;margin:0 0 1rem;border-collapse:collapse}
th,td{padding:.5rem .75rem .5rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
td:not(:first-child,:last-child){overflow-wrap:anywhere}
th:last-child,td:last-child{padding-right:0}
@media(max-width:30rem){table{font-size:.875rem}}
th{color:var(--soft);font-weight:550}
code,pre{font:.875em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
code{overflow-wrap:anywhere}
pre{margin:0 0 1rem;padding:.75rem;overflow-x:auto;background:var(--ground);border:1px solid var(--line);border-radius:.5rem}
@media(forced-colors:active){main,.panel,button,.button{border-color:CanvasText}}
@media(prefers-reduced-motion:no-preference){button,.button{transition:filter .1s}}
`;

let styleSource: Promise<string> | undefined;

/** The style sheet as the content security policy names it, worked out once. */
function styleSourceOf(): Promise<string> {
  return styleSource ??= digestOf(STYLE).then((digest) => `'sha256-${digest.toBase64()}'`);
}

/**
 * Renders a whole page.
 *
 * @param options Title, body and form of the page.
 * @returns The document's text.
 */
export async function renderPage(options: PageOptions): Promise<string> {
  const { title, body, lang = "en", wide = false, head = "" } = options;
  const page = await html`
    <!DOCTYPE html>
    <html lang="${lang}">
      <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title} · Cloakroom</title>
    <link rel="icon" href="${ICON}">
    <style>${raw(STYLE)}</style>
    ${head}
      </head>
      <body${wide ? raw(' class="wide"') : ""}>
        <header><strong>Cloakroom</strong>Leave your tokens at the door, carry a ticket.</header>
        <main>
    ${body}
        </main>
        </body>
        </html>
  `;
  return page.toString().trimStart();
}

/**
 * The headers of a page: it may hold personal data and secrets of a form, so it is not cached, framed or named to others.
 *
 * @param policy Directives of the content security policy that are added or replaced.
 * @returns Header names and values.
 */
export async function createPageHeaders(
  policy: Readonly<Record<string, string>> = {},
): Promise<Record<string, string>> {
  const directives = {
    "default-src": "'none'",
    "style-src": await styleSourceOf(),
    "img-src": "data:",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    ...policy,
  };
  return {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": Object.entries(directives).map((directive) => directive.join(" ")).join("; "),
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
  };
}

/**
 * Answers with a page.
 *
 * @param page What it shows.
 * @param options Status, more headers, a wider policy.
 * @returns The response.
 */
export async function respondPage(page: PageOptions, options: PageResponseOptions = {}): Promise<Response> {
  const { status = 200, policy, headers } = options;
  return new Response(await renderPage(page), { status, headers: { ...await createPageHeaders(policy), ...headers } });
}
