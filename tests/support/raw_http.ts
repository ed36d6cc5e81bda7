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
  /** The body as it came. */
  readonly bytes: Uint8Array<ArrayBuffer>;
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

/** Answers before the answer (RFC 9110, section 15.2). */
const INTERIM_REGEXP = /^(?:HTTP\/1\.1 1(?!01)\d\d[^]*?\r\n\r\n)+/;

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
  return await withConnection(port, bytes, async (received) => {
    for await (const { answers } of received) if (answers.length > 0) return answers[0]!;
    return null;
  });
}

/** Everything that came back on a connection. */
export interface Conversation {
  /** Complete answers in order. */
  readonly answers: readonly RawAnswer[];
  /** Whether the other side closed the connection by itself. */
  readonly isClosed: boolean;
}

/** A last request, whose answer cannot be mistaken for another one. */
export interface Goodbye {
  /** The request; it asks for the connection to be closed. */
  readonly bytes: string;
  /** Tells its answer from others. */
  readonly isAnswer: (answer: RawAnswer) => boolean;
}

/**
 * Writes bytes to a connection of its own and reads every answer. After the first one a last request is sent: whoever took
 * a second request from the bytes answers that first, and nobody has to wait for what does not come. (To close our side
 * would not do: a request that is being answered would be given up.)
 */
export async function converse(port: number, bytes: string | Uint8Array, goodbye: Goodbye): Promise<Conversation> {
  return await withConnection(port, bytes, async (received, connection) => {
    let answers: readonly RawAnswer[] = [];
    let isTold = false;
    for await (const state of received) {
      answers = state.answers;
      if (isTold || state.isClosed || answers.length === 0 || announcesClose(answers.at(-1)!)) continue;
      isTold = true;
      await writeAll(connection, encoder.encode(goodbye.bytes)).catch(() => {});
    }
    const own = answers.filter((answer) => !goodbye.isAnswer(answer));
    return { answers: own, isClosed: own.length === answers.length };
  });
}

function announcesClose({ headers }: RawAnswer): boolean {
  return headers.get("connection")?.toLowerCase() === "close";
}

/** What has come so far. */
interface Received {
  readonly answers: readonly RawAnswer[];
  readonly isClosed: boolean;
}

async function withConnection<T>(
  port: number,
  bytes: string | Uint8Array,
  read: (received: AsyncIterable<Received>, connection: Deno.TcpConn) => Promise<T>,
): Promise<T> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    connection.close();
  }, TIMEOUT_MS);
  try {
    // A server that refuses early does not read the rest.
    const written = typeof bytes === "string" ? encoder.encode(bytes) : bytes;
    writeAll(connection, written).catch(() => {});
    const isHead = new TextDecoder().decode(written.subarray(0, 5)) === "HEAD ";
    const result = await read(readAnswers(connection, isHead), connection);
    if (isLate) throw new Error(`Cannot read an answer: the connection hangs for ${TIMEOUT_MS} ms`);
    return result;
  } finally {
    clearTimeout(timer);
  }
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await connection.write(bytes.subarray(written));
}

async function* readAnswers(connection: Deno.TcpConn, isHead: boolean): AsyncGenerator<Received> {
  const answers: RawAnswer[] = [];
  const buffer = new Uint8Array(65_536);
  let received = "";
  for (let isClosed = false; !isClosed;) {
    const length = await connection.read(buffer).catch(() => null);
    isClosed = length === null;
    // One character a byte, until lengths no longer matter.
    for (const byte of buffer.subarray(0, length ?? 0)) received += String.fromCharCode(byte);
    received = received.replace(INTERIM_REGEXP, "");
    for (
      let parsed = parseAnswer(received, { isClosed, isHead });
      parsed !== null;
      parsed = parseAnswer(received, { isClosed, isHead })
    ) {
      answers.push(parsed.answer);
      received = received.slice(parsed.length);
    }
    yield { answers, isClosed };
  }
}

/** Parses an answer; `null` while it is incomplete. */
function parseAnswer(
  received: string,
  context: { readonly isClosed: boolean; readonly isHead: boolean },
): { readonly answer: RawAnswer; readonly length: number } | null {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const [statusLine, ...lines] = received.slice(0, end).split("\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine!)?.[1]);
  const headers = new Headers();
  for (const line of lines) headers.append(line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim());
  const content = readBody(received.slice(end + 4), { headers, status, ...context });
  if (content === null) return null;
  const bytes = Uint8Array.from(content.body, (byte) => byte.charCodeAt(0));
  const answer = { status, headers, bytes, body: new TextDecoder().decode(bytes) };
  return { answer, length: end + 4 + content.length };
}

/** A body, and the characters that it took. */
interface Content {
  readonly body: string;
  readonly length: number;
}

function readBody(
  rest: string,
  { headers, status, isClosed, isHead }: {
    readonly headers: Headers;
    readonly status: number;
    readonly isClosed: boolean;
    readonly isHead: boolean;
  },
): Content | null {
  if (isHead || status === 101 || status === 204 || status === 304) return { body: "", length: 0 };
  if (headers.get("transfer-encoding") === "chunked") return readChunks(rest);
  const header = headers.get("content-length");
  if (header === null) return isClosed ? { body: rest, length: rest.length } : null;
  const length = Number(header);
  return rest.length < length ? null : { body: rest.slice(0, length), length };
}

function readChunks(rest: string): Content | null {
  let body = "";
  for (let start = 0;;) {
    const end = rest.indexOf("\r\n", start);
    const size = parseInt(rest.slice(start, end), 16);
    if (end < 0 || rest.length < end + size + 4) return null;
    if (size === 0) return { body, length: end + 4 };
    body += rest.slice(end + 2, end + 2 + size);
    start = end + 2 + size + 2;
  }
}
