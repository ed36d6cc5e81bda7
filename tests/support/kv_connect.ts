/**
 * A database behind KV Connect, as small as the protocol allows: what `Deno.openKv("http://…")` sends is decoded,
 * applied to a sorted list in memory, and answered. Keys and values stay the bytes that they came as.
 *
 * {@link https://github.com/denoland/denokv/blob/main/proto/kv-connect.md The protocol} and its
 * {@link https://github.com/denoland/denokv/blob/main/proto/schema/datapath.proto messages}.
 *
 * @module
 */

type Bytes = Uint8Array<ArrayBuffer>;

interface Entry {
  readonly key: Bytes;
  readonly value: Bytes;
  readonly encoding: number;
  readonly version: bigint;
}

/** A server. */
export interface KvConnectServer extends AsyncDisposable {
  readonly url: string;
  readonly accessToken: string;
  /** Stops listening, and keeps what it holds. */
  stop(): Promise<void>;
  /** Listens again, at the same address. */
  resume(): void;
}

/** `MutationType`, `AtomicWriteStatus`, `SnapshotReadStatus` of the schema. */
const SET = 1;
const DELETE = 2;
const WRITTEN = 1;
const CHECK_FAILED = 2;
const READ = 1;

/** Starts a server on a free port of loopback. */
export function startKvConnect(): KvConnectServer {
  const accessToken = crypto.randomUUID();
  const entries = new Map<string, Entry>();
  let version = 0n;

  function read(ranges: readonly Message[]): Bytes {
    const sorted = [...entries].sort(([a], [b]) => a < b ? -1 : 1);
    const outputs = ranges.map((range) => {
      const [start, end] = [range.bytes(1).toHex(), range.bytes(2).toHex()];
      const within = sorted.filter(([key]) => key >= start && key < end).map(([, entry]) => entry);
      const ordered = range.number(4) === 1 ? within.toReversed() : within;
      return write([1, ordered.slice(0, range.number(3)).map(writeEntry)]);
    });
    return write([1, outputs], [4, 1], [8, READ]);
  }

  function commit(checks: readonly Message[], mutations: readonly Message[]): Bytes {
    const failed = checks.flatMap((check, i) => {
      const present = entries.get(check.bytes(1).toHex());
      const versionstamp = present === undefined ? "" : writeVersion(present.version).toHex();
      return versionstamp === check.bytes(2).toHex() ? [] : [i];
    });
    if (failed.length > 0) return write([1, CHECK_FAILED], ...failed.map((i) => [4, i] as const));
    version++;
    for (const mutation of mutations) {
      const key = mutation.bytes(1);
      const kind = mutation.number(3);
      if (kind === DELETE) entries.delete(key.toHex());
      else if (kind === SET) {
        const value = mutation.message(2);
        entries.set(key.toHex(), { key, value: value.bytes(1), encoding: value.number(2), version });
      } else throw new RangeError(`Cannot apply a mutation of type ${kind}`);
    }
    return write([1, WRITTEN], [2, writeVersion(version)]);
  }

  async function answer(request: Request): Promise<Response> {
    if (request.headers.get("authorization") !== `Bearer ${accessToken}`) return new Response(null, { status: 401 });
    const { pathname } = new URL(request.url);
    if (pathname === "/") {
      return Response.json({
        version: 3,
        databaseId: crypto.randomUUID(),
        endpoints: [{ url: "/data", consistency: "strong" }],
        token: accessToken,
        expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
      });
    }
    const message = readMessage(await request.bytes());
    const body = pathname === "/data/snapshot_read"
      ? read(message.messages(1))
      : commit(message.messages(1), message.messages(2));
    return new Response(body, { headers: { "content-type": "application/x-protobuf" } });
  }

  const serve = (port: number) => Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, answer);
  let server = serve(0);
  const { port } = server.addr;
  return {
    url: `http://127.0.0.1:${port}`,
    accessToken,
    stop: () => server.shutdown(),
    resume: () => void (server = serve(port)),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function writeEntry({ key, value, encoding, version }: Entry): Bytes {
  return write([1, key], [2, value], [3, encoding], [4, writeVersion(version)]);
}

/** Ten bytes, of which the last two count within a transaction. */
function writeVersion(version: bigint): Bytes {
  const bytes = new Uint8Array(10);
  new DataView(bytes.buffer).setBigUint64(0, version);
  return bytes;
}

/** A decoded message of Protocol Buffers: its fields by number. */
interface Message {
  number(field: number): number;
  bytes(field: number): Bytes;
  message(field: number): Message;
  messages(field: number): readonly Message[];
}

function readMessage(bytes: Bytes): Message {
  const numbers = new Map<number, number>();
  const texts = new Map<number, Bytes[]>();
  let place = 0;
  const readVarint = (): number => {
    let value = 0n;
    for (let shift = 0n;; shift += 7n) {
      const byte = bytes[place++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(value);
    }
  };
  while (place < bytes.length) {
    const tag = readVarint();
    const [field, type] = [tag >>> 3, tag & 7];
    if (type === 0) numbers.set(field, readVarint());
    else if (type === 2) {
      const length = readVarint();
      const text = bytes.slice(place, place += length);
      texts.set(field, [...texts.get(field) ?? [], text]);
    } else throw new RangeError(`Cannot read a field of wire type ${type}`);
  }
  const bytesOf = (field: number) => texts.get(field)?.at(-1) ?? new Uint8Array();
  return {
    number: (field) => numbers.get(field) ?? 0,
    bytes: bytesOf,
    message: (field) => readMessage(bytesOf(field)),
    messages: (field) => (texts.get(field) ?? []).map(readMessage),
  };
}

/** Encodes a message; a list stands for a repeated field. */
function write(...fields: readonly (readonly [field: number, value: number | Bytes | readonly Bytes[]])[]): Bytes {
  const out: number[] = [];
  const writeVarint = (value: number): void => {
    for (; value >= 0x80; value = Math.floor(value / 128)) out.push(value % 128 | 0x80);
    out.push(value);
  };
  for (const [field, value] of fields) {
    if (typeof value === "number") {
      writeVarint(field << 3);
      writeVarint(value);
      continue;
    }
    for (const bytes of value instanceof Uint8Array ? [value] : value) {
      writeVarint(field << 3 | 2);
      writeVarint(bytes.length);
      for (const byte of bytes) out.push(byte);
    }
  }
  return Uint8Array.from(out);
}
