import { assert, assertEquals } from "@std/assert";
import { publicClient } from "../../../lib/oauth/mod.ts";
import { MAX_COOKIE_VALUE } from "../../../lib/token_handler/sessions.ts";
import type { Vendor } from "../../../lib/token_handler/vendors.ts";
import { readVendorSettings } from "../../../lib/vendor/mod.ts";
import {
  clearCookies,
  clearSessionCookies,
  type CookieJar,
  type CookieOptions,
  cookiesOf,
  passedCookies,
  readCookies,
  setSessionCookies,
  setTransactionCookie,
} from "../../../routes/shared/cookies.ts";

function vendorOf(members: Readonly<Record<string, unknown>> = {}): Vendor {
  const reading = readVendorSettings({ clientId: "web-app", ...members });
  if (reading.kind === "refused") throw new Error(JSON.stringify(reading.faults));
  const issuer = "https://id.test/";
  return { ...reading.settings, id: "acme", issuer, upstreams: [], authenticateClient: publicClient("web-app") };
}

async function jarOf(
  { members = {}, ...options }: Partial<CookieOptions> & { readonly members?: Readonly<Record<string, unknown>> } = {},
): Promise<CookieJar> {
  return await cookiesOf(vendorOf(members), {
    host: "api.site.test",
    isPlainHttp: false,
    plainLoopbackCookies: false,
    ...options,
  });
}

function written(write: (headers: Headers) => void): readonly string[] {
  const headers = new Headers();
  write(headers);
  return headers.getSetCookie();
}

const VALUES = { at: "AT", rt: "RT" };

const SHARED = [
  "at=AT; Domain=.site.test; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=86400",
  "__Host-rt=RT; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=2592000",
  "signed_in=1; Domain=.site.test; Path=/; Secure; SameSite=Lax; Max-Age=2592000",
];

const ALONE = [
  "at=AT; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=86400",
  "__Host-rt=RT; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=2592000",
  "signed_in=1; Path=/; Secure; SameSite=Lax; Max-Age=2592000",
];

const PLAIN = [
  "at=AT; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400",
  "rt=RT; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000",
  "signed_in=1; Path=/; SameSite=Lax; Max-Age=2592000",
];

const HOST_SCOPED = [
  "__Host-at=AT; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=86400",
  "__Host-rt=RT; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=2592000",
  "signed_in=1; Path=/; Secure; SameSite=Lax; Max-Age=2592000",
];

function withDomain(domain: string): readonly string[] {
  return SHARED.map((line) => line.replace(".site.test", `.${domain}`));
}

Deno.test("the session's cookies are those of the contract, byte for byte", async (t) => {
  const plain = { isPlainHttp: true, plainLoopbackCookies: true };
  const rows: Readonly<Record<string, readonly [Parameters<typeof jarOf>[0], readonly string[]]>> = {
    "a host below a registrable domain": [{}, SHARED],
    "a port": [{ host: "api.site.test:8443" }, SHARED],
    "the registrable domain itself": [{ host: "site.test" }, SHARED],
    "a deep host": [{ host: "a.b.c.site.co.uk" }, withDomain("site.co.uk")],
    "a private suffix": [{ host: "api.publisher.github.io" }, withDomain("publisher.github.io")],
    "a public suffix": [{ host: "github.io" }, ALONE],
    "localhost": [{ host: "localhost:8787", isPlainHttp: true }, ALONE],
    "localhost over https": [{ host: "localhost:8787" }, ALONE],
    "a name below localhost": [{ host: "app.localhost", isPlainHttp: true }, ALONE],
    "an IPv4 address": [{ host: "192.0.2.7" }, ALONE],
    "an IPv6 address": [{ host: "[2001:db8::1]:8443" }, ALONE],
    "a single label": [{ host: "intranet" }, ALONE],
    "plain cookies on plain loopback": [{ host: "localhost:8787", ...plain }, PLAIN],
    "plain cookies on 127.0.0.1": [{ host: "127.0.0.1:8787", ...plain }, PLAIN],
    "plain cookies on [::1]": [{ host: "[::1]:8787", ...plain }, PLAIN],
    "plain cookies wanted, https on loopback": [{ host: "localhost:8787", plainLoopbackCookies: true }, ALONE],
    "plain cookies wanted, plain http elsewhere": [{ host: "api.site.test", ...plain }, SHARED],
    "plain cookies wanted, a name that only begins like loopback": [
      { host: "localhost.evil.test", ...plain },
      withDomain("evil.test"),
    ],
    "plain http elsewhere": [{ isPlainHttp: true }, SHARED],
    "host scope": [{ members: { cookieScope: "host" } }, HOST_SCOPED],
    "host scope on localhost": [{ host: "localhost:8787", members: { cookieScope: "host" } }, HOST_SCOPED],
    "host scope, plain": [
      { host: "localhost:8787", ...plain, members: { cookieScope: "host" } },
      PLAIN.map((line) => line.startsWith("at=") ? line.replace("Lax", "Strict") : line),
    ],
    "a narrower domain": [
      { host: "api.eu.site.test", members: { cookieDomain: "eu.site.test" } },
      withDomain("eu.site.test"),
    ],
    "the host as domain": [{ members: { cookieDomain: "api.site.test" } }, withDomain("api.site.test")],
    "the registrable domain as domain": [{ members: { cookieDomain: "site.test" } }, SHARED],
    "a domain of others": [{ members: { cookieDomain: "evil.test" } }, SHARED],
    "a domain that only ends alike": [
      { host: "api.mysite.test", members: { cookieDomain: "site.test" } },
      withDomain("mysite.test"),
    ],
    "a sibling's domain": [{ members: { cookieDomain: "www.site.test" } }, SHARED],
    "a public suffix as domain": [{ host: "site.co.uk", members: { cookieDomain: "co.uk" } }, withDomain("site.co.uk")],
    "a domain on localhost": [{ host: "localhost", members: { cookieDomain: "site.test" } }, ALONE],
    "another hint": [
      { members: { hintCookieName: "sesamy_is_authenticated" } },
      SHARED.with(2, SHARED[2]!.replace("signed_in", "sesamy_is_authenticated")),
    ],
  };
  for (const [what, [options, lines]] of Object.entries(rows)) {
    await t.step(what, async () => {
      const jar = await jarOf(options);
      assertEquals(written((headers) => setSessionCookies(headers, jar, VALUES)), lines);
    });
  }
});

Deno.test("a refreshed handle leaves __Host-rt as it is", async () => {
  const jar = await jarOf();
  const lines = written((headers) => setSessionCookies(headers, jar, { at: "AT", rt: null }));
  assertEquals(lines, SHARED.toSpliced(1, 1));
});

Deno.test("clearing names cookies exactly as setting does, and a shared one's host-only twin too", async () => {
  const shared = await jarOf();
  assertEquals(written((headers) => clearSessionCookies(headers, shared)), [
    "at=; Domain=.site.test; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
    "at=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
    "__Host-rt=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0",
    "signed_in=; Domain=.site.test; Path=/; Secure; SameSite=Lax; Max-Age=0",
    "signed_in=; Path=/; Secure; SameSite=Lax; Max-Age=0",
  ]);
  const alone = await jarOf({ members: { cookieScope: "host" } });
  assertEquals(written((headers) => clearSessionCookies(headers, alone)), [
    "__Host-at=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0",
    "__Host-rt=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0",
    "signed_in=; Path=/; Secure; SameSite=Lax; Max-Age=0",
  ]);
  assertEquals(written((headers) => clearCookies(headers, [shared.transaction("abcdefgh")])), [
    "__Host-tx-abcdefgh=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
  ]);
});

Deno.test("a sign-in's cookie is that of the contract, and at most four live", async (t) => {
  const set = "__Host-tx-newstate=TX; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600";
  const cleared = (name: string) => `__Host-tx-${name}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0`;
  const rows: readonly (readonly [present: readonly string[], gone: readonly string[]])[] = [
    [[], []],
    [["a", "b", "c"], []],
    [["a", "b", "c", "d"], ["a"]],
    // More than four were opened at once: answers on their way bring theirs, so more go.
    [["a", "b", "c", "d", "e"], ["a", "b", "c"]],
    [["a", "b", "c", "d", "e", "f"], ["a", "b", "c", "d"]],
  ];
  const jar = await jarOf();
  for (const [present, gone] of rows) {
    await t.step(`${present.length} present`, () => {
      const lines = written((headers) => {
        setTransactionCookie(headers, jar, { name: "newstate", sealed: "TX", present });
      });
      assertEquals(lines, [...gone.map(cleared), set]);
      assert(present.length - gone.length + 1 <= 4);
    });
  }
  const plain = await jarOf({ host: "localhost:8787", isPlainHttp: true, plainLoopbackCookies: true });
  assertEquals(
    written((headers) => setTransactionCookie(headers, plain, { name: "newstate", sealed: "TX", present: [] })),
    ["tx-newstate=TX; Path=/; HttpOnly; SameSite=Lax; Max-Age=600"],
  );
});

Deno.test("the largest sealed value fits into 3,800 bytes with its name", async () => {
  const jars = [await jarOf(), await jarOf({ members: { cookieScope: "host" } })];
  for (const jar of jars) {
    for (const { name } of [jar.at, jar.rt, jar.transaction("abcdefgh")]) {
      assert(name.length + MAX_COOKIE_VALUE <= 3800, name);
    }
  }
});

Deno.test("readCookies() reads our cookies wherever they stand", async () => {
  const jar = await jarOf();
  const rows: readonly (readonly [header: string | null, at: string | null, rt: string | null])[] = [
    [null, null, null],
    ["", null, null],
    ["at=A", "A", null],
    ["a=b; at=A; c=d; __Host-rt=R", "A", "R"],
    ["__Host-rt=R;at=A", "A", "R"],
    ["at= A \t;\t__Host-rt=R ", "A", "R"],
    ["at=", "", null],
    ["at", null, null],
    ["at;", null, null],
    ["at=A=B==", "A=B==", null],
    ["AT=A; At=B; aT=C", null, null],
    ["xat=A; at-x=B; at.x=C; at0=D", null, null],
    ["x=at=A", null, null],
    ["x=y at=A", null, null],
    ["x; at=A", "A", null],
    ["=at=A", null, null],
    ["__host-rt=R", null, null],
    ["__Host-rt =R", null, null],
    ["__Host-rtx=R; x__Host-rt=S", null, null],
    // Unicode spaces that some parsers would trim.
    ["\u00a0at=A", null, null],
    ["x=y;\u00a0__Host-rt=R", null, null],
    ["\u000bat=A", null, null],
  ];
  for (const [header, at, rt] of rows) {
    const cookies = readCookies(header, jar);
    assertEquals([cookies.value("at"), cookies.value("__Host-rt")], [at, rt], JSON.stringify(header));
  }
});

Deno.test("readCookies() takes two cookies of one name for none that opens, whichever comes first", async () => {
  const jar = await jarOf();
  for (const header of ["at=A; at=B", "at=A;at=A", "at=; at=A", "at=A; x=y; at=", "at=A; at=B; at=C"]) {
    assertEquals(readCookies(header, jar).value("at"), "", header);
  }
});

Deno.test("readCookies() lists sign-ins on their way, the oldest first", async () => {
  const jar = await jarOf();
  const header = "tx-plain=1; __Host-tx-bbbbbbbb=1; at=A; __Host-tx-aaaaaaaa=2; __Host-tx-bbbbbbbb=3; __Host-txx=1";
  const cookies = readCookies(header, jar);
  assertEquals(cookies.transactions, ["bbbbbbbb", "aaaaaaaa"]);
  assertEquals(cookies.value("__Host-tx-aaaaaaaa"), "2");
  assertEquals(cookies.value("__Host-tx-bbbbbbbb"), "");
  assertEquals(readCookies(null, jar).transactions, []);
});

Deno.test("passedCookies() hands on what the vendor lists, and nothing else", () => {
  const header = "at=A; locale=de; __Host-rt=R;theme=dark ; xlocale=1; locale=en; signed_in=1";
  const rows: readonly (readonly [passed: readonly string[], handed: string | null])[] = [
    [[], null],
    [["locale"], "locale=de; locale=en"],
    [["theme", "missing"], "theme=dark"],
    [["missing"], null],
    [["LOCALE"], null],
  ];
  for (const [passed, handed] of rows) assertEquals(passedCookies(header, passed), handed, `${passed}`);
  assertEquals(passedCookies(null, ["locale"]), null);
});
