/**
 * The upstream of the proxy benchmark: answers `/<bytes>` with so many bytes. Prints its port.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- the parent process reads the line

const bodies = new Map<string, Uint8Array<ArrayBuffer>>();

Deno.serve(
  { port: 0, hostname: "127.0.0.1", onListen: ({ port }) => console.log(JSON.stringify({ port })) },
  (request) => {
    const size = request.url.slice(request.url.lastIndexOf("/") + 1);
    let body = bodies.get(size);
    if (body === undefined) bodies.set(size, body = new Uint8Array(Number(size) || 0).fill(97));
    return new Response(body, { headers: { "content-type": "application/json", "cache-control": "private" } });
  },
);
