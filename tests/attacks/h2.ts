/**
 * HTTP/2 frames, written by hand ([RFC 9113](https://www.rfc-editor.org/rfc/rfc9113)).
 *
 * @module
 */

const encoder = new TextEncoder();

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** Types of frames. */
const FRAMES = { headers: 1, resetStream: 3, settings: 4 };

/** Flags of a header frame with nothing behind it: end of stream, end of headers. */
const COMPLETE = 0x01 | 0x04;

/** The error with which browsers break off. */
const CANCEL = [0, 0, 0, 8];

/**
 * A connection on which streams are opened and reset at once.
 *
 * @param streams How many.
 * @param address What each of them asks for.
 * @returns The bytes.
 */
export function createH2Resets(
  streams: number,
  { authority, path }: { readonly authority: string; readonly path: string },
): Uint8Array {
  // RFC 7541, appendix A: entries 2 and 6 of the static table are GET and http, 1 and 4 the names of the other two.
  const request = [0x82, 0x86, 0x01, ...textOf(authority), 0x04, ...textOf(path)];
  const bytes = [...encoder.encode(PREFACE), ...frame("settings", { stream: 0, payload: [] })];
  for (let i = 0; i < streams; i++) {
    const stream = 2 * i + 1;
    bytes.push(...frame("headers", { stream, payload: request, flags: COMPLETE }));
    bytes.push(...frame("resetStream", { stream, payload: CANCEL }));
  }
  return Uint8Array.from(bytes);
}

/** A short text without Huffman coding. */
function textOf(text: string): readonly number[] {
  return [text.length, ...encoder.encode(text)];
}

function frame(
  type: keyof typeof FRAMES,
  { stream, payload, flags = 0 }: {
    readonly stream: number;
    readonly payload: readonly number[];
    readonly flags?: number;
  },
): readonly number[] {
  const length = [payload.length >> 16, payload.length >> 8, payload.length].map((byte) => byte & 0xff);
  const id = [stream >> 24, stream >> 16, stream >> 8, stream].map((byte) => byte & 0xff);
  return [...length, FRAMES[type], flags, ...id, ...payload];
}
