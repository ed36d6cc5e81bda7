/**
 * What the service uses of `@std/http/negotiation`, for machines that reach only the npm registry.
 *
 * @module
 */

interface MediaRange {
  readonly type: string;
  readonly subtype: string;
  readonly parameters: readonly string[];
  readonly quality: number;
}

/**
 * Chooses the offered media type that the request's `Accept` header likes best
 * ({@link https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1 | RFC 9110, 12.5.1}).
 *
 * @param request The request, or anything with its headers
 * @param types The offered types, the server's favourite first
 * @returns The best of them, or `undefined` if the request accepts none
 */
export function accepts(request: Pick<Request, "headers">, ...types: string[]): string | undefined {
  const header = request.headers.get("accept");
  if (!header) return types[0];
  const ranges = splitOutsideQuotes(header, ",").map(parseRange).filter((range) => range !== null);
  return types
    .map((type, offered) => ({ type, offered, ...judge(type, ranges) }))
    .filter(({ quality }) => quality > 0)
    .sort((a, b) =>
      b.quality - a.quality || b.precision - a.precision || a.position - b.position || a.offered - b.offered
    )[0]?.type;
}

/** The most precise range that covers a type decides about it, wherever it stands in the header. */
function judge(offer: string, ranges: readonly MediaRange[]): { quality: number; precision: number; position: number } {
  const own = parseRange(offer);
  let best = { quality: 0, precision: -1, position: -1 };
  if (own === null) return best;
  for (const [position, range] of ranges.entries()) {
    const precision = precisionOf(range, own);
    const better = precision > best.precision || (precision === best.precision && range.quality > best.quality);
    if (precision >= 0 && better) best = { quality: range.quality, precision, position };
  }
  return best;
}

/** Type, subtype and parameters named by the range count 4, 2 and 1; -1 means it does not cover the offer. */
function precisionOf(range: MediaRange, offer: MediaRange): number {
  let precision = 0;
  if (range.type === offer.type) precision += 4;
  else if (range.type !== "*") return -1;
  if (range.subtype === offer.subtype) precision += 2;
  else if (range.subtype !== "*") return -1;
  if (range.parameters.length === 0) return precision;
  return range.parameters.every((parameter) => offer.parameters.includes(parameter)) ? precision + 1 : -1;
}

function parseRange(text: string): MediaRange | null {
  const [name = "", ...rest] = splitOutsideQuotes(text, ";").map((part) => part.trim());
  const [type, subtype, more] = name.toLowerCase().split("/");
  if (!type || !subtype || more !== undefined) return null;
  const parameters: string[] = [];
  for (const parameter of rest) {
    const [key = "", value = ""] = parameter.split("=", 2).map((part) => part.trim());
    // What follows q= are extensions of Accept, not parameters of the type.
    if (key.toLowerCase() === "q") return { type, subtype, parameters, quality: Number.parseFloat(value) };
    parameters.push(`${key.toLowerCase()}=${value.replace(/^"(.*)"$/, "$1")}`);
  }
  return { type, subtype, parameters, quality: 1 };
}

function splitOutsideQuotes(text: string, separator: "," | ";"): string[] {
  const parts: string[] = [];
  let part = "";
  let quoted = false;
  for (const character of text) {
    if (character === '"') quoted = !quoted;
    if (character === separator && !quoted) {
      parts.push(part);
      part = "";
    } else {
      part += character;
    }
  }
  return [...parts, part];
}
