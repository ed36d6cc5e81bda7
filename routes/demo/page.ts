/**
 * The demo's page: sign in, see who is signed in and what the API says, look at what a script can see, sign out.
 *
 * @module
 */

import { html, respondPage } from "../pages/layout.ts";
import { DEMO_SCRIPT } from "./script.ts";

/** Who may sign in: published on the page, since the demo cannot leave loopback. */
export interface DemoLogin {
  /** E-mail address. */
  readonly email: string;
  /** Password. */
  readonly password: string;
}

/** Creates the demo's pages by path. */
export function createDemoPages(logins: readonly DemoLogin[]): ReadonlyMap<string, () => Promise<Response>> {
  return new Map([
    ["/", () => respondDemoPage(logins)],
    ["/demo.js", () => Promise.resolve(respondScript())],
  ]);
}

async function respondDemoPage(logins: readonly DemoLogin[]): Promise<Response> {
  const body = html`
    <div class="columns">
      <section class="panel" id="visitor" aria-live="polite">
        <h1 id="greeting">One moment …</h1>
        <p id="explanation" class="muted">Asking <code>/auth/acme/userinfo</code> who is signed in.</p>
        <dl id="claims" hidden></dl>
        <p class="actions">
          <a class="button" id="sign-in" href="/auth/acme/login?returnTo=/" hidden>Sign in</a>
          <a class="button quiet" id="sign-out" href="/" hidden>Sign out</a>
        </p>
        <div id="logins" hidden>
          <p class="muted">Demo accounts, password <code>${logins[0]?.password ?? ""}</code>:</p>
          <ul>${logins.map(({ email }) => html`<li><code>${email}</code></li>`)}</ul>
        </div>
      </section>
      <section class="panel" id="api" hidden>
        <h2>Entitlements</h2>
        <p
          class="muted">From <code>GET /entitlements</code>: the token handler adds the access token on the way to the API.</p>
        <table>
          <thead>
            <tr>
              <th scope="col">Product</th>
              <th scope="col">Valid until</th>
            </tr>
          </thead>
          <tbody id="entitlements"></tbody>
        </table>
        <p id="api-problem" class="notice bad" hidden></p>
      </section>
    </div>
    <section class="panel" id="inspection">
      <h2>What a script on this page can see</h2>
      <p id="verdict" class="notice">Looking …</p>
      <table>
        <thead>
          <tr>
            <th scope="col">Place</th>
            <th scope="col">What is there</th>
            <th scope="col">Tokens</th>
          </tr>
        </thead>
        <tbody id="findings"></tbody>
      </table>
      <p class="muted">
        Once you are signed in, the tokens are in <code>at</code> and <code>__Host-rt</code>: sealed with AES-256-GCM and
        <code>HttpOnly</code>, so that no script can read them. Look at them in the developer tools under cookies.
      </p>
    </section>
  `;
  return await respondPage({
    title: "Demo",
    wide: true,
    body,
    head: html`<script type="module" src="/demo.js"></script>`,
  }, { policy: { "script-src": "'self'", "connect-src": "'self'" } });
}

function respondScript(): Response {
  return new Response(DEMO_SCRIPT, {
    headers: {
      "content-type": "text/javascript; charset=utf-8",
      "cache-control": "no-cache",
      "x-content-type-options": "nosniff",
    },
  });
}
