import { assert, assertEquals, assertFalse } from "@std/assert";
import { html, renderPage, respondPage } from "../../../routes/pages/layout.ts";

Deno.test("renderPage() escapes title and body, and begins with the doctype", async () => {
  const page = await renderPage({ title: "<b>", body: html`<p>${'"><script>'}</p>`, lang: 'x"y' });
  assert(page.startsWith("<!DOCTYPE html>"));
  assert(page.includes("<title>&lt;b&gt; · Cloakroom</title>"));
  assert(page.includes("<p>&quot;&gt;&lt;script&gt;</p>"));
  assert(page.includes('<html lang="x&quot;y">'));
});

Deno.test("renderPage() gives a wide page room, and takes more for the head", async () => {
  const options = { title: "t", body: html`b`, wide: true, head: html`<meta name="x">` };
  const page = await renderPage(options);
  assert(page.includes('<body class="wide">') && page.includes('<meta name="x">'));
  assertFalse((await renderPage({ title: "t", body: html`b` })).includes('class="wide"'));
});

Deno.test("respondPage() adds to the policy only what a page names", async () => {
  const page = { title: "t", body: html`b` };
  const policy = (response: Response) => response.headers.get("content-security-policy")!;
  const plain = await respondPage(page);
  assertEquals(plain.status, 200);
  assertFalse(policy(plain).includes("script-src"));
  const wide = await respondPage(page, {
    status: 404,
    policy: { "script-src": "'self'", "form-action": "'self' https:" },
    headers: { "retry-after": "5" },
  });
  assertEquals([wide.status, wide.headers.get("retry-after")], [404, "5"]);
  assertEquals(
    policy(wide),
    policy(plain).replace("form-action 'self'", "form-action 'self' https:") + "; script-src 'self'",
  );
});
