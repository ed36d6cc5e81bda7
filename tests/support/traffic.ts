/**
 * Everything that passes between a browser and its servers, and everything that the browser complains about.
 *
 * @module
 */

import type { BrowserContext, Response as BrowserResponse } from "playwright-core";

/** One request and its answer, with the headers as they went over the network. */
export interface Exchange {
  readonly method: string;
  readonly url: string;
  readonly status: number;
  /** Header lines of the request, cookies included. */
  readonly requestHeaders: readonly string[];
  /** Header lines of the answer; each `Set-Cookie` is a line of its own. */
  readonly headers: readonly string[];
  /** The body; empty for redirects, whose bodies no script can read. */
  readonly body: string;
}

/** What a browser did. */
export interface Traffic {
  /** Exchanges in the order in which the answers began. */
  readonly exchanges: readonly Exchange[];
  /** Console errors and warnings, uncaught exceptions, and requests without an answer. */
  readonly complaints: readonly string[];
  /** Waits until every answer has been read. To be called before leaving a page: the browser then drops its bodies. */
  settle(): Promise<void>;
  /** Addresses whose bodies were dropped unread. */
  readonly unread: readonly string[];
  /** The raw `Set-Cookie` values that answers to an address held. */
  setCookies(path: string): readonly string[];
}

/** Records the traffic of a browser context from now on. */
export function recordTraffic(context: BrowserContext): Traffic {
  const exchanges: Exchange[] = [];
  const complaints: string[] = [];
  const unread: string[] = [];
  const reading: Promise<void>[] = [];
  context.on("response", (response) => {
    const place = reading.length;
    reading.push(read(response, unread).then((exchange) => void (exchanges[place] = exchange)));
  });
  context.on("requestfailed", (request) => complaints.push(`${request.failure()?.errorText} at ${request.url()}`));
  context.on("weberror", (error) => complaints.push(`${error.error()}`));
  context.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) {
      complaints.push(`${message.text()} at ${message.location().url}`);
    }
  });
  return {
    exchanges,
    complaints,
    unread,
    async settle(): Promise<void> {
      await Promise.all(reading);
    },
    setCookies(path: string): readonly string[] {
      return exchanges
        .filter(({ url }) => new URL(url).pathname === path)
        .flatMap(({ headers }) => headers.filter((line) => /^set-cookie:/i.test(line)))
        .map((line) => line.slice("set-cookie: ".length));
    },
  };
}

async function read(response: BrowserResponse, unread: string[]): Promise<Exchange> {
  const request = response.request();
  const [requestHeaders, headers, body] = await Promise.all([
    request.headersArray(),
    response.headersArray(),
    isRedirect(response) ? "" : response.body().then((bytes) => bytes.toString("latin1"), () => null),
  ]);
  if (body === null) unread.push(response.url());
  return {
    method: request.method(),
    url: response.url(),
    status: response.status(),
    requestHeaders: requestHeaders.map(asLine),
    headers: headers.map(asLine),
    body: body ?? "",
  };
}

function isRedirect(response: BrowserResponse): boolean {
  return response.status() >= 300 && response.status() < 400;
}

function asLine({ name, value }: { readonly name: string; readonly value: string }): string {
  return `${name}: ${value}`;
}
