/**
 * What a script on a page can reach: storage, cookies, document, history.
 *
 * @module
 */

import type { Page } from "playwright-core";

/** Runs in the page. */
const COLLECT = `(async () => {
  const all = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const places = {
    "document.cookie": document.cookie,
    "localStorage": JSON.stringify({ ...localStorage }),
    "sessionStorage": JSON.stringify({ ...sessionStorage }),
    "document": document.documentElement.outerHTML,
    "form fields": [...document.querySelectorAll("input, textarea, select")].map((field) => field.value).join(" "),
    "address": location.href + " " + document.referrer + " " + name,
    "history": JSON.stringify([history.state, navigation.entries().map((entry) => [entry.url, entry.getState()])]),
    "timing": performance.getEntries().map((entry) => entry.name).join(" "),
    "globals": Object.keys(window).map((key) => { try { return String(window[key]); } catch { return ""; } }).join(" "),
    "IndexedDB": "",
    "caches": "",
  };
  for (const { name } of await indexedDB.databases()) {
    const db = await all(indexedDB.open(name));
    for (const store of db.objectStoreNames) {
      places["IndexedDB"] += JSON.stringify(await all(db.transaction(store).objectStore(store).getAll()));
    }
    db.close();
  }
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      const response = await cache.match(request);
      places["caches"] += request.url + " " + [...response.headers].join(" ") + " " + await response.text();
    }
  }
  return places;
})()`;

/** Collects what a script on the page can reach, by place. */
export async function collectReach(page: Page): Promise<Readonly<Record<string, string>>> {
  return await page.evaluate(COLLECT);
}

/** Puts a text into every place that {@linkcode collectReach} looks at, to see that it looks there. */
export async function plant(page: Page, text: string): Promise<void> {
  await page.evaluate(`(async (text) => {
    document.cookie = "planted=" + text;
    localStorage.setItem("planted", text);
    sessionStorage.setItem("planted", text);
    document.body.append(text);
    const field = document.createElement("input");
    field.value = text;
    document.body.append(field);
    window.planted = text;
    await (await fetch("/healthz?planted=" + text)).text();
    history.pushState(null, "", "#" + text);
    const opening = indexedDB.open("planted");
    opening.onupgradeneeded = () => opening.result.createObjectStore("planted", { autoIncrement: true });
    const db = await new Promise((resolve) => opening.onsuccess = () => resolve(opening.result));
    const writing = db.transaction("planted", "readwrite");
    writing.objectStore("planted").add(text);
    await new Promise((resolve) => writing.oncomplete = resolve);
    db.close();
    await (await caches.open("planted")).put("/planted", new Response(text));
  })(${JSON.stringify(text)})`);
}
