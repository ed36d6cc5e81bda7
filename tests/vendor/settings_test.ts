import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import { type ReadSettingsOptions, readVendorSettings } from "../../lib/vendor/mod.ts";
import { suggestFor } from "../../lib/vendor/settings.ts";

const DAYS_30 = 2_592_000;

/** Every setting, each with a value other than its default. */
const FULL = {
  clientId: "web-app",
  clientSecret: "a-secret-of-the-client",
  clientAuthMethod: "client_secret_post",
  issuer: "https://id.site.test/tenant/",
  authHostname: "id.site.test",
  publicUrl: "https://www.site.test/cloakroom",
  hosts: ["www.site.test", "api.site.test:8443"],
  allowedOrigins: ["https://www.site.test", "https://shop.site.test:8443"],
  cookieDomain: "site.test",
  cookieScope: "domain",
  tokenStore: "kv",
  scopes: ["openid", "read:all"],
  audience: ["https://api.site.test", "urn:other"],
  claims: ["sub", "https://site.test/roles"],
  upstreams: [
    {
      path: "/",
      target: "https://api.example.test",
      audience: "https://api.example.test/",
      scopes: ["read:all", "write:all"],
      maxBodyBytes: 209_715_200,
    },
    {
      path: "/v1/items",
      target: "https://items.example.test/base",
      methods: ["GET", "POST"],
      anonymous: true,
      timeoutMs: 500,
    },
  ],
  requireCsrfHeader: true,
  userinfoWithAccessCookieAlone: false,
  sessionIdleSeconds: 600,
  sessionMaxSeconds: 3600,
  hintCookieName: "sesamy_is_authenticated",
  passCookies: ["locale", "theme"],
  postLogoutRedirects: ["https://www.site.test/goodbye"],
  relayUnverifiedBearer: true,
};

function read(input: unknown, options: ReadSettingsOptions = {}) {
  const outcome = readVendorSettings(input, options);
  if (outcome.kind === "refused") throw new Error(JSON.stringify(outcome.faults));
  return outcome;
}

function faultsOf(input: unknown, options: ReadSettingsOptions = {}) {
  const outcome = readVendorSettings(input, options);
  return outcome.kind === "refused" ? outcome.faults : [];
}

Deno.test("readVendorSettings() takes a client id alone and fills in the defaults", () => {
  assertEquals(read({ clientId: "web-app" }), {
    kind: "read",
    keepsClient: true,
    clientSecret: null,
    settings: {
      clientId: "web-app",
      issuer: null,
      clientAuthMethod: "none",
      authHostname: null,
      publicUrl: null,
      hosts: [],
      allowedOrigins: [],
      cookieDomain: null,
      cookieScope: "domain",
      tokenStore: "cookie",
      scopes: ["openid", "profile", "email", "offline_access"],
      audience: [],
      claims: [
        "sub",
        "name",
        "given_name",
        "family_name",
        "nickname",
        "preferred_username",
        "email",
        "email_verified",
        "picture",
        "locale",
      ],
      upstreams: null,
      requireCsrfHeader: false,
      userinfoWithAccessCookieAlone: true,
      sessionIdleSeconds: 604_800,
      sessionMaxSeconds: DAYS_30,
      hintCookieName: "signed_in",
      passCookies: [],
      postLogoutRedirects: [],
      relayUnverifiedBearer: false,
    },
  });
});

Deno.test("readVendorSettings() takes every setting as it is written", () => {
  const { clientSecret, ...settings } = FULL;
  assertEquals(read(FULL), { kind: "read", settings: settings as never, clientSecret, keepsClient: false });
});

Deno.test("readVendorSettings() never hands the secret on among the settings", () => {
  assertFalse(JSON.stringify(read(FULL).settings).includes(FULL.clientSecret));
});

Deno.test("readVendorSettings() reads the forms that mean the same as one", async (t) => {
  const rows: Readonly<Record<string, readonly [given: Record<string, unknown>, read: Record<string, unknown>]>> = {
    "one audience": [{ audience: "urn:api" }, { audience: ["urn:api"] }],
    "a public address with a slash": [{ publicUrl: "https://www.site.test/" }, { publicUrl: "https://www.site.test" }],
    "an upstream with a slash": [
      { upstreams: [{ path: "/", target: "https://api.example.test/base/" }] },
      { upstreams: [{ path: "/", target: "https://api.example.test/base" }] },
    ],
    "an issuer keeps its slash": [{ issuer: "https://id.site.test/" }, { issuer: "https://id.site.test/" }],
    "an issuer keeps having none": [{ issuer: "https://id.site.test" }, { issuer: "https://id.site.test" }],
    "null for what has no default": [
      { issuer: null, authHostname: null, publicUrl: null, cookieDomain: null, upstreams: null, clientSecret: null },
      { issuer: null, authHostname: null, publicUrl: null, cookieDomain: null, upstreams: null },
    ],
    "a secret makes a confidential client": [{ clientSecret: "s" }, { clientAuthMethod: "client_secret_basic" }],
    "a short session is idle no longer than it lasts": [{ sessionMaxSeconds: 3600 }, { sessionIdleSeconds: 3600 }],
    "methods": [
      { upstreams: [{ path: "/", target: "https://a.test", methods: ["HEAD", "PUT", "PATCH", "DELETE"] }] },
      { upstreams: [{ path: "/", target: "https://a.test", methods: ["HEAD", "PUT", "PATCH", "DELETE"] }] },
    ],
    "the longest session": [{ sessionMaxSeconds: DAYS_30 }, { sessionMaxSeconds: DAYS_30 }],
    "the shortest session": [{ sessionMaxSeconds: 60, sessionIdleSeconds: 60 }, { sessionMaxSeconds: 60 }],
    "an IPv6 host": [{ hosts: ["[2001:db8::1]:8443"] }, { hosts: ["[2001:db8::1]:8443"] }],
  };
  for (const [what, [given, expected]] of Object.entries(rows)) {
    await t.step(what, () => {
      const settings = read({ clientId: "web-app", ...given }).settings as unknown as Record<string, unknown>;
      for (const [name, value] of Object.entries(expected)) assertEquals(settings[name], value, name);
    });
  }
});

/** One bad value a row: the setting, the value, and where the fault is. */
const BAD: readonly (readonly [name: string, value: unknown, pointer?: string])[] = [
  ["clientId", ""],
  ["clientId", null],
  ["clientId", 7],
  ["clientId", "two\nlines"],
  ["clientId", "ümlaut"],
  ["clientId", "line\nfeed"],
  ["clientId", "x".repeat(257)],
  ["clientSecret", ""],
  ["clientSecret", 12345],
  ["clientSecret", "with\u0000null"],
  ["clientAuthMethod", "client_secret_jwt"],
  ["clientAuthMethod", "NONE"],
  ["clientAuthMethod", null],
  ["issuer", "id.site.test"],
  ["issuer", "http://id.site.test/"],
  ["issuer", "https://id.site.test/?tenant=1"],
  ["issuer", "https://id.site.test/?"],
  ["issuer", "https://id.site.test/#"],
  ["issuer", "https://id.site.test/#x"],
  ["issuer", "https://user@id.site.test/"],
  ["issuer", "https://user:password@id.site.test/"],
  ["issuer", "https://ID.site.test/"],
  ["issuer", "https://id.site.test:443/"],
  ["issuer", "https://id.site.test:8443/"],
  ["issuer", " https://id.site.test/"],
  ["issuer", "https://id.site.test/\n"],
  ["issuer", "https://id.site.test/a/../b"],
  ["issuer", "https://id.site.test/a/%2e%2e/b"],
  ["issuer", "https://id.site.test/..;/b"],
  ["issuer", "https:/id.site.test/"],
  ["issuer", "https:\\\\id.site.test\\"],
  ["issuer", "https://localhost/"],
  ["issuer", "https://id.localhost/"],
  ["issuer", "http://127.0.0.1:8788/"],
  ["issuer", "https://127.1/"],
  ["issuer", "https://0x7f000001/"],
  ["issuer", "https://2130706433/"],
  ["issuer", "https://10.0.0.1/"],
  ["issuer", "https://169.254.169.254/latest/"],
  ["issuer", "https://[::1]/"],
  ["issuer", "https://[::ffff:7f00:1]/"],
  ["issuer", "https://[fd00::1]/"],
  ["issuer", "https://0.0.0.0/"],
  ["issuer", "https://intranet/"],
  ["issuer", "https://id.site.test./"],
  ["issuer", "https://id_site.test/"],
  ["issuer", "javascript:alert(1)"],
  ["issuer", "file:///etc/passwd"],
  ["issuer", "data:application/json,{}"],
  ["issuer", "//id.site.test/"],
  ["issuer", `https://id.site.test/${"x".repeat(512)}`],
  ["issuer", ["https://id.site.test/"]],
  ["issuer", { href: "https://id.site.test/" }],
  ["authHostname", "https://id.site.test"],
  ["authHostname", "id.site.test/"],
  ["authHostname", "id.site.test:8443"],
  ["authHostname", "id.site.test?x"],
  ["authHostname", "evil.test@id.site.test"],
  ["authHostname", "ID.site.test"],
  ["authHostname", ""],
  ["authHostname", "id..site.test"],
  ["authHostname", "-id.site.test"],
  ["publicUrl", "www.site.test"],
  ["publicUrl", "http://www.site.test"],
  ["publicUrl", "https://www.site.test/a?b"],
  ["publicUrl", "https://www.site.test/a b"],
  ["publicUrl", 443],
  ["hosts", "www.site.test"],
  ["hosts", null],
  ["hosts", { 0: "www.site.test" }],
  ["hosts", ["https://www.site.test"], "/hosts/0"],
  ["hosts", ["www.site.test", "WWW.site.test"], "/hosts/1"],
  ["hosts", ["www.site.test", "*.site.test"], "/hosts/1"],
  ["hosts", ["www.site.test:0"], "/hosts/0"],
  ["hosts", ["www.site.test:65536"], "/hosts/0"],
  ["hosts", ["www.site.test/"], "/hosts/0"],
  ["hosts", [""], "/hosts/0"],
  ["hosts", [null], "/hosts/0"],
  ["hosts", Array(101).fill("www.site.test")],
  ["allowedOrigins", "https://www.site.test"],
  ["allowedOrigins", ["*"], "/allowedOrigins/0"],
  ["allowedOrigins", ["null"], "/allowedOrigins/0"],
  ["allowedOrigins", ["https://*.site.test"], "/allowedOrigins/0"],
  ["allowedOrigins", ["https://www.site.test/"], "/allowedOrigins/0"],
  ["allowedOrigins", ["https://www.site.test", "https://www.site.test/path"], "/allowedOrigins/1"],
  ["allowedOrigins", ["http://www.site.test"], "/allowedOrigins/0"],
  ["allowedOrigins", ["http://localhost:3000"], "/allowedOrigins/0"],
  ["allowedOrigins", ["https://www.site.test:443"], "/allowedOrigins/0"],
  ["allowedOrigins", ["HTTPS://www.site.test"], "/allowedOrigins/0"],
  ["allowedOrigins", ["https://u@www.site.test"], "/allowedOrigins/0"],
  ["allowedOrigins", ["chrome-extension://abc"], "/allowedOrigins/0"],
  ["allowedOrigins", [7], "/allowedOrigins/0"],
  ["cookieDomain", ".site.test"],
  ["cookieDomain", "test"],
  ["cookieDomain", "site.test:8443"],
  ["cookieDomain", "site.test; Path=/x"],
  ["cookieDomain", "SITE.test"],
  ["cookieScope", "site"],
  ["cookieScope", true],
  ["tokenStore", "memory"],
  ["scopes", "openid profile"],
  ["scopes", ["openid profile"], "/scopes/0"],
  ["scopes", ["openid", '"'], "/scopes/1"],
  ["scopes", ["a\\b"], "/scopes/0"],
  ["scopes", [""], "/scopes/0"],
  ["scopes", ["x".repeat(129)], "/scopes/0"],
  ["audience", ""],
  ["audience", { aud: "x" }],
  ["audience", ["urn:api", ""], "/audience/1"],
  ["audience", ["two words"], "/audience/0"],
  ["claims", "sub"],
  ["claims", ["sub", 1], "/claims/1"],
  ["claims", ["white space"], "/claims/0"],
  ["upstreams", "https://api.example.test"],
  ["upstreams", { path: "/", target: "https://api.example.test" }],
  ["upstreams", ["https://api.example.test"], "/upstreams/0"],
  ["upstreams", [null], "/upstreams/0"],
  ["requireCsrfHeader", "true"],
  ["requireCsrfHeader", 1],
  ["requireCsrfHeader", null],
  ["userinfoWithAccessCookieAlone", "false"],
  ["relayUnverifiedBearer", 0],
  ["sessionIdleSeconds", 59],
  ["sessionIdleSeconds", "600"],
  ["sessionIdleSeconds", 600.5],
  ["sessionIdleSeconds", -600],
  ["sessionIdleSeconds", 1e300],
  ["sessionMaxSeconds", 0],
  ["sessionMaxSeconds", DAYS_30 + 1],
  ["sessionMaxSeconds", null],
  ["hintCookieName", ""],
  ["hintCookieName", "at"],
  ["hintCookieName", "AT"],
  ["hintCookieName", "rt"],
  ["hintCookieName", "tx-abcdefgh"],
  ["hintCookieName", "__Host-rt"],
  ["hintCookieName", "__host-rt"],
  ["hintCookieName", "__Secure-x"],
  ["hintCookieName", "__Http-x"],
  ["hintCookieName", "a;b"],
  ["hintCookieName", "a=b"],
  ["hintCookieName", "a b"],
  ["hintCookieName", "ä"],
  ["hintCookieName", "x".repeat(65)],
  ["passCookies", ["at"], "/passCookies/0"],
  ["passCookies", ["locale", "__Host-rt"], "/passCookies/1"],
  ["passCookies", ["__Host-tx-abcdefgh"], "/passCookies/0"],
  ["passCookies", ["rt"], "/passCookies/0"],
  ["passCookies", ["tx-abcdefgh"], "/passCookies/0"],
  ["passCookies", "locale"],
  ["postLogoutRedirects", ["/goodbye"], "/postLogoutRedirects/0"],
  ["postLogoutRedirects", ["https://www.site.test/goodbye?x=1"], "/postLogoutRedirects/0"],
  ["postLogoutRedirects", "https://www.site.test/goodbye"],
];

Deno.test("readVendorSettings() names the one setting that is wrong, and nothing else", async (t) => {
  assertEquals(faultsOf(FULL), []);
  for (const [name, value, pointer = `/${name}`] of BAD) {
    await t.step(`${name}: ${JSON.stringify(value)?.slice(0, 60)}`, () => {
      const faults = faultsOf({ ...FULL, [name]: value });
      assertEquals(faults.map((fault) => fault.pointer), [pointer]);
      assertMatch(faults[0]!.detail, /^Expected /);
    });
  }
});

Deno.test("readVendorSettings() names the one member of an upstream that is wrong", async (t) => {
  const good = { path: "/api", target: "https://api.example.test" };
  const rows: readonly (readonly [member: string, value: unknown, pointer?: string])[] = [
    ["path", undefined],
    ["path", ""],
    ["path", "api"],
    ["path", "/api/"],
    ["path", "//api"],
    ["path", "/a/../b"],
    ["path", "/."],
    ["path", "/a%2fb"],
    ["path", "/a?b"],
    ["path", "/a#b"],
    ["path", "/a b"],
    ["path", "/a\\b"],
    ["path", "/auth"],
    ["path", "/auth/acme"],
    ["path", "/management"],
    ["path", "/oauth/token"],
    ["path", "/.well-known"],
    ["path", "/healthz"],
    ["path", 1],
    ["target", undefined],
    ["target", "api.example.test"],
    ["target", "http://api.example.test"],
    ["target", "https://api.example.test?x"],
    ["target", "https://10.0.0.1"],
    ["target", "https://localhost:8789"],
    ["target", "https://user@api.example.test"],
    ["methods", "GET"],
    ["methods", ["GET", "get"], "/upstreams/1/methods/1"],
    ["methods", ["TRACE"], "/upstreams/1/methods/0"],
    ["methods", ["CONNECT"], "/upstreams/1/methods/0"],
    ["methods", [], "/upstreams/1/methods"],
    ["anonymous", "yes"],
    ["anonymous", null],
    ["timeoutMs", 99],
    ["timeoutMs", 600_001],
    ["timeoutMs", 1000.5],
    ["timeoutMs", "1000"],
    ["audience", ""],
    ["audience", "a b"],
    ["audience", ["https://api.example.test"]],
    ["scopes", "read:all"],
    ["scopes", []],
    ["scopes", ["read:all", "a b"], "/upstreams/1/scopes/1"],
    ["maxBodyBytes", 0],
    ["maxBodyBytes", 2 ** 40 + 1],
    ["maxBodyBytes", 0.5],
    ["maxBodyBytes", "10 MiB"],
    ["prefix", "/api"],
    ["targt", "https://api.example.test"],
    ["__proto__", 1],
    ["a/b~c", 1, "/upstreams/1/a~1b~0c"],
  ];
  assertEquals(faultsOf({ ...FULL, upstreams: [good, { ...good, path: "/other" }] }), []);
  for (const [member, value, pointer = `/upstreams/1/${member}`] of rows) {
    await t.step(`${member}: ${JSON.stringify(value)}`, () => {
      const upstream = JSON.parse(JSON.stringify({ ...good, path: "/other" }));
      Object.defineProperty(upstream, member, { value, enumerable: true, configurable: true, writable: true });
      assertEquals(faultsOf({ ...FULL, upstreams: [good, upstream] }).map((fault) => fault.pointer), [pointer]);
    });
  }
});

Deno.test("readVendorSettings() refuses two upstreams with one path: the second could never be reached", () => {
  const upstreams = [
    { path: "/api", target: "https://one.example.test" },
    { path: "/", target: "https://two.example.test" },
    { path: "/api", target: "https://three.example.test" },
  ];
  assertEquals(faultsOf({ ...FULL, upstreams }).map(({ pointer }) => pointer), ["/upstreams/2/path"]);
});

Deno.test("readVendorSettings() tells of contradictions between settings", async (t) => {
  const rows: Readonly<Record<string, readonly [Record<string, unknown>, string]>> = {
    "a secret for a public client": [{ clientSecret: "s", clientAuthMethod: "none" }, "/clientAuthMethod"],
    "a domain for cookies without one": [{ cookieScope: "host", cookieDomain: "site.test" }, "/cookieDomain"],
    "an idle time beyond the session's": [
      { sessionIdleSeconds: 7200, sessionMaxSeconds: 3600 },
      "/sessionIdleSeconds",
    ],
    "our hint for upstreams": [{ passCookies: ["signed_in"] }, "/passCookies"],
    "scopes that a call without a token does not have": [
      { upstreams: [{ path: "/", target: "https://a.test", anonymous: true, scopes: ["read:all"] }] },
      "/upstreams/0/scopes",
    ],
    "another hint for upstreams": [{ passCookies: ["x", "hint"], hintCookieName: "hint" }, "/passCookies"],
  };
  for (const [what, [members, pointer]] of Object.entries(rows)) {
    await t.step(what, () => {
      assertEquals(faultsOf({ clientId: "web-app", ...members }).map((fault) => fault.pointer), [pointer]);
    });
  }
});

Deno.test("readVendorSettings() refuses what is no object, at the root", () => {
  for (const input of [undefined, null, "", "{}", 1, true, [], [{ clientId: "web-app" }]]) {
    assertEquals(faultsOf(input), [{ pointer: "", detail: "Expected a JSON object" }], JSON.stringify(input));
  }
});

Deno.test("readVendorSettings() wants a client id", () => {
  assertEquals(faultsOf({}), [{ pointer: "/clientId", detail: "Missing: the client id at the token service" }]);
});

Deno.test("readVendorSettings() tells every fault at once", () => {
  const faults = faultsOf({
    clientID: "web-app",
    issuer: "id.site.test",
    hosts: ["www.site.test", "HOST", 3],
    upstreams: [{ path: "api", target: "x", method: "GET" }],
    tokenStore: "memory",
  });
  assertEquals(faults.map(({ pointer }) => pointer).toSorted(), [
    "/clientID",
    "/clientId",
    "/hosts/1",
    "/hosts/2",
    "/issuer",
    "/tokenStore",
    "/upstreams/0/method",
    "/upstreams/0/path",
    "/upstreams/0/target",
  ]);
});

Deno.test("readVendorSettings() points to unknown settings and says which one was meant", () => {
  const rows: readonly (readonly [name: string, pointer: string, detail: string])[] = [
    ["client_id", "/client_id", 'Unknown setting, did you mean "clientId"?'],
    ["clientID", "/clientID", 'Unknown setting, did you mean "clientId"?'],
    ["allowedOrigin", "/allowedOrigin", 'Unknown setting, did you mean "allowedOrigins"?'],
    ["hostnames", "/hostnames", "Unknown setting"],
    ["host", "/host", 'Unknown setting, did you mean "hosts"?'],
    ["scope", "/scope", 'Unknown setting, did you mean "scopes"?'],
    ["postLogoutRedirectUris", "/postLogoutRedirectUris", 'Unknown setting, did you mean "postLogoutRedirects"?'],
    ["toString", "/toString", "Unknown setting"],
    ["constructor", "/constructor", "Unknown setting"],
    ["hasOwnProperty", "/hasOwnProperty", "Unknown setting"],
    ["a/b~c", "/a~1b~0c", "Unknown setting"],
    ["", "/", "Unknown setting"],
    ["x".repeat(10_000), `/${"x".repeat(64)}`, "Unknown setting"],
  ];
  for (const [name, pointer, detail] of rows) {
    assertEquals(faultsOf({ clientId: "web-app", [name]: 1 }), [{ pointer, detail }], name.slice(0, 40));
  }
  assertEquals(faultsOf(JSON.parse('{"clientId":"web-app","__proto__":{"issuer":"x"}}')), [
    { pointer: "/__proto__", detail: "Unknown setting" },
  ]);
});

Deno.test("readVendorSettings() takes loopback servers only for development", () => {
  const local = {
    clientId: "web-app",
    issuer: "http://127.0.0.1:8788/",
    publicUrl: "http://localhost:8787",
    allowedOrigins: ["http://localhost:3000", "http://[::1]:3000"],
    upstreams: [{ path: "/", target: "http://[::1]:8789" }],
    postLogoutRedirects: ["http://app.localhost:3000/"],
  };
  assertEquals(faultsOf(local).map(({ pointer }) => pointer), [
    "/issuer",
    "/publicUrl",
    "/allowedOrigins/0",
    "/allowedOrigins/1",
    "/upstreams/0/target",
    "/postLogoutRedirects/0",
  ]);
  assertEquals(faultsOf(local, { insecureAllowLoopback: true }), []);
});

Deno.test("readVendorSettings() takes no other insecure server, not even for development", () => {
  const addresses = ["http://id.site.test/", "http://10.0.0.1/", "http://localhost.evil.test/", "ftp://localhost/"];
  for (const issuer of addresses) {
    const faults = faultsOf({ clientId: "web-app", issuer }, { insecureAllowLoopback: true });
    assertEquals(faults.map(({ pointer }) => pointer), ["/issuer"], issuer);
  }
});

Deno.test("no fault repeats what was given", () => {
  for (const [name] of BAD) {
    const faults = faultsOf({ ...FULL, [name]: "<script>canary</script>" });
    assert(faults.every(({ detail }) => !detail.includes("canary")), name);
  }
});

Deno.test("suggestFor() names the nearest known word, or none", () => {
  const known = ["issuer", "hosts", "audience", "CLOAKROOM_MASTER_KEY"];
  const rows: readonly (readonly [name: string, suggestion: string])[] = [
    ["isuer", ', did you mean "issuer"?'],
    ["ISSUER", ', did you mean "issuer"?'],
    ["host", ', did you mean "hosts"?'],
    ["audiences", ', did you mean "audience"?'],
    ["CLOAKROOM_MASTERKEY", ', did you mean "CLOAKROOM_MASTER_KEY"?'],
    ["CLOAKROOM_MASTER_KEX", ', did you mean "CLOAKROOM_MASTER_KEY"?'],
    ["", ""],
    ["something else", ""],
    ["x".repeat(1_000_000), ""],
  ];
  for (const [name, suggestion] of rows) assertEquals(suggestFor(name, known), suggestion, name.slice(0, 30));
  assertEquals(suggestFor("issuer", []), "");
});
