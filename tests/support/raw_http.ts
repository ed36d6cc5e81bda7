/**
 * An HTTP/1.1 client for what `fetch` would repair or refuse: any `Host`, any header, any byte.
 *
 * @module
 */

/** An answer as it came. */
export interface RawAnswer {
  /** The status. */
  readonly status: number;
  /** The headers; several of one name stay several. */
  readonly headers: Headers;
  /** The body as text. */
  readonly body: string;
}

/** A request that is written down header by header. */
export interface RawRequest {
  /** The method; `GET` by default. */
  readonly method?: string;
  /** What stands in `Host`. */
  readonly host: string;
  /** What stands in the request line. */
  readonly target: string;
  /** Headers in order. They are sent as UTF-8. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  /** The body; its length is sent with it. */
  readonly body?: string;
}

/** Milliseconds after which an answer is given up. */
const TIMEOUT_MS = 15_000;

const encoder = new TextEncoder();

/** Sends a request on a connection of its own. */
export async function sendRequest(port: number, request: RawRequest): Promise<RawAnswer> {
  const { method = "GET", host, target, headers = [], body } = request;
  const lines = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(body === undefined ? [] : [`Content-Length: ${encoder.encode(body).length}`]),
    "Connection: close",
  ];
  const answer = await sendBytes(port, `${lines.join("\r\n")}\r\n\r\n${body ?? ""}`);
  if (answer === null) throw new Error(`Cannot read an answer to ${method} ${target.slice(0, 80)}: connection closed`);
  return answer;
}

/** Writes bytes to a connection of its own and reads one answer; `null` if the connection is closed without one. */
export async function sendBytes(port: number, bytes: string | Uint8Array): Promise<RawAnswer | null> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const timer = setTimeout(() => connection.close(), TIMEOUT_MS);
  try {
    const writer = connection.writable.getWriter();
    // A server that refuses early does not read the rest.
    writer.write(typeof bytes === "string" ? encoder.encode(bytes) : bytes).catch(() => {});
    return await readAnswer(connection.readable.getReader());
  } finally {
    clearTimeout(timer);
  }
}

async function readAnswer(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<RawAnswer | null> {
  let received = "";
  while (true) {
    const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
    // One character a byte, until lengths no longer matter.
    for (const byte of value ?? []) received += String.fromCharCode(byte);
    const answer = parseAnswer(received, done);
    if (answer !== null || done) return answer;
  }
}

/** Parses an answer; `null` while it is incomplete. */
function parseAnswer(received: string, isClosed: boolean): RawAnswer | null {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const [statusLine, ...lines] = received.slice(0, end).split("\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine!)?.[1]);
  const headers = new Headers();
  for (const line of lines) headers.append(line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim());
  const body = readBody(received.slice(end + 4), { headers, status, isClosed });
  if (body === null) return null;
  return { status, headers, body: new TextDecoder().decode(Uint8Array.from(body, (byte) => byte.charCodeAt(0))) };
}

function readBody(
  rest: string,
  { headers, status, isClosed }: { readonly headers: Headers; readonly status: number; readonly isClosed: boolean },
): string | null {
  if (status === 204 || status === 304) return "";
  if (headers.get("transfer-encoding") === "chunked") return readChunks(rest);
  const length = headers.get("content-length");
  if (length === null) return isClosed ? rest : null;
  return rest.length < Number(length) ? null : rest.slice(0, Number(length));
}

function readChunks(rest: string): string | null {
  let body = "";
  for (let start = 0;;) {
    const end = rest.indexOf("\r\n", start);
    const size = parseInt(rest.slice(start, end), 16);
    if (end < 0 || rest.length < end + size + 4) return null;
    if (size === 0) return body;
    body += rest.slice(end + 2, end + 2 + size);
    start = end + 2 + size + 2;
  }
}
