/**
 * An authorization server for tests: metadata that is good unless a test says otherwise, on loopback.
 *
 * @module
 */

import type { JsonObject } from "../../lib/encoding.ts";
import type { ServerMetadata } from "../../lib/oauth/mod.ts";

/** What the server received. */
export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** A server whose answers the test decides. */
export interface TestServer {
  /** Its origin. */
  readonly origin: string;
  /** All requests so far. */
  readonly received: Received[];
  /** What it answers. */
  answer: (received: Received, request: Request) => Response | Promise<Response>;
}

/** Runs a test with a server. */
export async function withServer(run: (server: TestServer) => Promise<void>): Promise<void> {
  const received: Received[] = [];
  const listener = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { method, url } = request;
    const { pathname, search } = new URL(url);
    const one = { method, path: pathname + search, headers: new Headers(request.headers), body: await request.text() };
    received.push(one);
    return await server.answer(one, request);
  });
  const server: TestServer = {
    origin: `http://127.0.0.1:${listener.addr.port}`,
    received,
    answer: () => new Response(null, { status: 404 }),
  };
  try {
    await run(server);
  } finally {
    await listener.shutdown();
  }
}

/** A metadata document for an issuer. */
export function documentOf(issuer: string, changes: JsonObject = {}): JsonObject {
  const base = issuer.replace(/\/$/, "");
  return {
    issuer,
    authorization_endpoint: `${base}/authorize`,
    token_endpoint: `${base}/token`,
    jwks_uri: `${base}/jwks`,
    ...changes,
  };
}

/** Metadata as it is read from the plainest document. */
export function metadataOf(origin: string, changes: Partial<ServerMetadata> = {}): ServerMetadata {
  return {
    issuer: `${origin}/`,
    authorizationEndpoint: `${origin}/authorize`,
    tokenEndpoint: `${origin}/token`,
    jwksUri: `${origin}/jwks`,
    revocationEndpoint: null,
    endSessionEndpoint: null,
    userinfoEndpoint: null,
    pushedAuthorizationRequestEndpoint: null,
    responseIssSupported: false,
    pkceS256Supported: null,
    tokenEndpointAuthMethods: null,
    idTokenAlgorithms: null,
    ...changes,
  };
}

/** Answers that a server should not give, and that must not be taken for good ones. */
export const badBodies: Readonly<Record<string, () => BodyInit>> = {
  "nothing": () => "",
  "HTML": () => "<html>login</html>",
  "truncated JSON": () => '{"access_token":"a',
  "array": () => "[]",
  "null": () => "null",
  "string": () => '"a"',
  "byte order mark": () => "\ufeff{}",
  "UTF-16": () => Uint8Array.of(0xff, 0xfe, 0x7b, 0, 0x7d, 0),
  "JSON nested 30,000 deep": () => "[".repeat(30_000),
};

/** A body without end. */
export function endless(): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(16_384)) });
}
