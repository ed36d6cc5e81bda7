/**
 * A person in front of a browser: nothing in it yet, one page, everything written down.
 *
 * @module
 */

import type { Browser, BrowserContext, Page } from "playwright-core";
import { assertEquals } from "@std/assert";
import { readBase64Url } from "../../lib/encoding.ts";
import { recordTraffic, type Traffic } from "../support/traffic.ts";

/** A browser without history, with one page. */
export interface Visitor extends AsyncDisposable {
  readonly context: BrowserContext;
  readonly page: Page;
  readonly traffic: Traffic;
}

/** Opens a browser without history. */
export async function openVisitor(browser: Browser): Promise<Visitor> {
  const context = await browser.newContext();
  context.setDefaultTimeout(10_000);
  const traffic = recordTraffic(context);
  const page = await context.newPage();
  return { context, page, traffic, [Symbol.asyncDispose]: () => context.close() };
}

/** Fills in the form of the token service and sends it. */
export async function submitForm(
  page: Page,
  { email = "ada@example.com", password = "open sesame" }: { readonly email?: string; readonly password?: string } = {},
): Promise<void> {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** A `Set-Cookie` line with what differs every time as a placeholder: a sealed value as its header, others as their length. */
export function maskValue(line: string): string {
  const [, name, value, attributes] = /^([^=]+)=([^;]*)(.*)$/s.exec(line)!;
  if (value === "" || value === "1") return line;
  const parts = value!.split(".");
  if (parts.length === 1) return `${name}=<${value!.length}>${attributes}`;
  assertEquals([parts.length, parts[1]], [5, ""]);
  const header = new TextDecoder().decode(readBase64Url(parts[0]!)!);
  return `${name}=<${header.replace(/"acme\.[\w-]+"/, '"acme.<keyId>"')}>${attributes}`;
}

/** What {@linkcode maskValue} makes of a value that was sealed for vendor `acme` and a purpose. */
export function sealedFor(purpose: string): string {
  return `<{"alg":"dir","enc":"A256GCM","kid":"acme.<keyId>","typ":"${purpose}"}>`;
}
