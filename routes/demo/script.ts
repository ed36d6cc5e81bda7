/**
 * The script of the demo's page, as text: it runs in the browser and knows nothing but the public endpoints.
 *
 * @module
 */

/** Plain JavaScript for `/demo.js`. */
export const DEMO_SCRIPT = `
// Everything this page knows comes from two calls, and neither answer holds a token.
const TOKEN = /eyJ[\\w-]{8,}\\.[\\w-]*\\.[\\w-]+|\\b[oa][rac]t_[\\w-]{20,}/;
const answers = [];
const $ = (id) => document.getElementById(id);

async function call(path) {
  const response = await fetch(path, { headers: { accept: "application/json" } });
  const text = await response.text();
  answers.push(path + " " + [...response.headers].join(" ") + " " + text);
  return { status: response.status, body: response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : null };
}

function show(id, text) {
  if (text !== undefined) $(id).textContent = text;
  $(id).hidden = false;
}

function addRow(id, cells) {
  const row = $(id).insertRow();
  for (const cell of cells) row.insertCell().textContent = cell;
}

function showClaims(user) {
  const rows = [["Name", user.name], ["E-mail", user.email], ["Subject", user.sub], ["Vendor", user.vendor_id]];
  for (const [name, value] of rows) {
    if (value === undefined) continue;
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    $("claims").append(dt, dd);
  }
  show("claims");
}

async function showEntitlements() {
  show("api");
  const { status, body } = await call("/entitlements");
  if (status !== 200) return show("api-problem", "The API answered " + status + ".");
  for (const { name, validUntil } of body) addRow("entitlements", [name, validUntil]);
}

async function readDatabases() {
  return (await indexedDB.databases?.() ?? []).map(({ name }) => name).join(" ");
}

async function inspect() {
  const places = [
    ["document.cookie", document.cookie],
    ["localStorage", JSON.stringify({ ...localStorage })],
    ["sessionStorage", JSON.stringify({ ...sessionStorage })],
    ["IndexedDB", await readDatabases()],
    ["Address and referrer", location.href + " " + document.referrer],
    ["This document", document.documentElement.outerHTML],
    [answers.length === 1 ? "Answer to 1 call" : "Answers to " + answers.length + " calls", answers.join(" ")],
  ];
  let found = 0;
  for (const [place, content] of places) {
    const tokens = TOKEN.test(content) ? "found" : "none";
    if (tokens !== "none") found++;
    const isShort = content.length <= 60;
    addRow("findings", [place, content === "" || content === "{}" ? "empty" : isShort ? content : content.length + " characters", tokens]);
  }
  $("verdict").textContent = found === 0 ? "No token anywhere within reach." : "Tokens within reach in " + found + " places!";
  $("verdict").classList.toggle("bad", found > 0);
  document.documentElement.dataset.inspected = String(found);
}

// The hint cookie says whether asking is worth it; without it nobody is signed in.
const { status, body: user } = document.cookie.includes("signed_in=1") ? await call("/auth/acme/userinfo") : { status: 401 };
const failure = new URLSearchParams(location.search).get("error");
if (status === 200) {
  show("greeting", "Hello, " + (user.name ?? user.email ?? user.sub));
  show("explanation", "Signed in at the token service, which is another site. The tokens stayed at the door.");
  showClaims(user);
  $("sign-out").href = user.logout_url;
  show("sign-out");
  await showEntitlements();
} else {
  show("greeting", "You are not signed in");
  show("explanation", failure === null
    ? "Sign in at the embedded token service; the token handler keeps the tokens and gives this page a sealed cookie."
    : "The sign-in was not completed (" + failure + "). Try again.");
  show("sign-in");
  show("logins");
}
await inspect();
`.trimStart();
