/**
 * What the service uses of `@std/http/user-agent`, for machines that reach only the npm registry: the names of the common
 * browsers and systems, enough for "Firefox on Windows" in a list of sessions.
 *
 * @module
 */

/** A browser, as far as it says. */
export interface Browser {
  /** Such as `Firefox`. */
  readonly name: string | undefined;
  /** Such as `140.0`. */
  readonly version: string | undefined;
  /** Such as `140`. */
  readonly major: string | undefined;
}

/** An operating system, as far as the browser says. */
export interface Os {
  /** Such as `Windows`. */
  readonly name: string | undefined;
  /** Such as `10`. */
  readonly version: string | undefined;
}

// Tried in this order: most browsers also claim to be those further down.
const BROWSERS: readonly (readonly [string, RegExp])[] = [
  ["Edge", /\bEdg(?:e|A|iOS)?\/([\d.]+)/],
  ["Opera", /\bOPR\/([\d.]+)/],
  ["Samsung Browser", /\bSamsungBrowser\/([\d.]+)/],
  ["Mobile Firefox", /\bFxiOS\/([\d.]+)/],
  ["Mobile Firefox", /(?:Mobile|Tablet);.*\bFirefox\/([\d.]+)/],
  ["Firefox", /\bFirefox\/([\d.]+)/],
  ["Mobile Chrome", /\bCriOS\/([\d.]+)/],
  ["Chrome Headless", /\bHeadlessChrome\/([\d.]+)/],
  ["Mobile Chrome", /\bChrome\/([\d.]+) Mobile/],
  ["Chrome", /\bChrome\/([\d.]+)/],
  ["Mobile Safari", /\bVersion\/([\d.]+) .*Mobile\/\w+ Safari/],
  ["Safari", /\bVersion\/([\d.]+) .*Safari/],
];

const SYSTEMS: readonly (readonly [string, RegExp])[] = [
  ["Windows", /\bWindows NT ([\d.]+)/],
  ["iOS", /\b(?:iPhone|iPad|iPod)\b.* OS ([\d_]+) like Mac/],
  ["macOS", /\bMac OS X ?([\d_.]*)/],
  ["Android", /\bAndroid ?([\d.]*)/],
  ["Chrome OS", /\bCrOS \w+ ([\d.]+)/],
  ["Linux", /\bLinux ?([\d.]*)/],
];

const WINDOWS_VERSIONS: Readonly<Record<string, string>> = { "6.1": "7", "6.2": "8", "6.3": "8.1", "10.0": "10" };

/** A `User-Agent` header, understood. */
export class UserAgent {
  /** The header as it came. */
  readonly ua: string;

  /** Takes the header, or `null` where there was none. */
  constructor(ua: string | null) {
    this.ua = ua ?? "";
  }

  /** The browser it names. */
  get browser(): Browser {
    const [name, version] = firstMatch(BROWSERS, this.ua);
    return { name, version, major: version?.split(".")[0] };
  }

  /** The operating system it names. */
  get os(): Os {
    const [name, text] = firstMatch(SYSTEMS, this.ua);
    const version = text?.replaceAll("_", ".");
    return { name, version: name === "Windows" && version ? WINDOWS_VERSIONS[version] ?? version : version };
  }
}

function firstMatch(
  table: readonly (readonly [string, RegExp])[],
  text: string,
): readonly [name?: string, version?: string | undefined] {
  for (const [name, pattern] of table) {
    const match = pattern.exec(text);
    if (match !== null) return [name, match[1] || undefined];
  }
  return [];
}
