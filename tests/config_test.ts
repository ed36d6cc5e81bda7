import { assert, assertEquals, assertFalse, assertMatch, assertNotEquals } from "@std/assert";
import { type ConfigSources, readConfig, type ServiceConfig } from "../lib/config.ts";
import { encodeBase64Url } from "../lib/encoding.ts";
import { readTrustedProxies } from "../routes/shared/proxies.ts";

const KEY = encodeBase64Url(new Uint8Array(32).fill(7));
const OTHER_KEY = encodeBase64Url(new Uint8Array(32).fill(8));

/** A configured service: the least that it takes. */
const LEAST = { CLOAKROOM_MASTER_KEY: KEY, KV_PATH: "/var/lib/cloakroom/kv.sqlite" };

const TOKEN_SERVICE = "https://id.site.test/";

function sourcesOf(options: Partial<ConfigSources> & { readonly files?: Readonly<Record<string, string>> } = {}) {
  const { files = {}, ...rest } = options;
  const sources: ConfigSources = {
    readFile: (path) => Object.hasOwn(files, path) ? files[path]! : null,
    isTrustedProxies: (text) => readTrustedProxies(text) !== null,
    isHosted: false,
    random: (byteLength) => new Uint8Array(byteLength).fill(42),
    ...rest,
  };
  return sources;
}

function read(env: Readonly<Record<string, string>>, options: Parameters<typeof sourcesOf>[0] = {}): ServiceConfig {
  const outcome = readConfig(env, sourcesOf(options));
  if (outcome.kind === "refused") throw new Error(JSON.stringify(outcome.faults));
  return outcome.config;
}

function faultsOf(env: Readonly<Record<string, string>>, options: Parameters<typeof sourcesOf>[0] = {}) {
  const outcome = readConfig(env, sourcesOf(options));
  return outcome.kind === "refused" ? outcome.faults : [];
}

function variablesOf(env: Readonly<Record<string, string>>, options: Parameters<typeof sourcesOf>[0] = {}) {
  return faultsOf(env, options).map(({ variable }) => variable);
}

Deno.test("readConfig() reads a configured service and fills in the defaults", () => {
  const { masterKeys, ...config } = read(LEAST);
  assertEquals(masterKeys.map((key) => encodeBase64Url(key.reveal())), [KEY]);
  assertEquals(config, {
    host: "0.0.0.0",
    port: 8787,
    isDemo: false,
    kvPath: "/var/lib/cloakroom/kv.sqlite",
    publicUrl: null,
    management: null,
    issuer: null,
    upstream: null,
    tokenService: null,
    bootstrapClient: null,
    trustedProxies: "0",
    cacheBytes: 67_108_864,
    plainLoopbackCookies: false,
  });
});

Deno.test("readConfig() reads every variable", () => {
  const { masterKeys, bootstrapClient, ...config } = read({
    HOST: "127.0.0.1",
    PORT: "0",
    KV_PATH: ":memory:",
    TRUSTED_PROXIES: "10.0.0.0/8, 2001:db8::/32",
    CLOAKROOM_MASTER_KEY: `${KEY}, ${OTHER_KEY}`,
    CLOAKROOM_PUBLIC_URL: "https://api.site.test/prefix/",
    CLOAKROOM_MANAGEMENT_ISSUER: "https://admin.site.test",
    CLOAKROOM_MANAGEMENT_AUDIENCE: "urn:management",
    CLOAKROOM_ISSUER: "https://tenant.site.test/path/",
    CLOAKROOM_UPSTREAM: "https://backend.site.test/",
    CLOAKROOM_TOKEN_SERVICE: TOKEN_SERVICE,
    CLOAKROOM_BOOTSTRAP_CLIENT: "admin:a-secret-with-enough:letters",
    CLOAKROOM_CACHE_BYTES: "8388608",
    CLOAKROOM_LOOPBACK_COOKIES: "plain",
    CLOAKROOM_DEMO: "off",
    UNRELATED: "ignored",
  });
  assertEquals(masterKeys.map((key) => encodeBase64Url(key.reveal())), [KEY, OTHER_KEY]);
  assertEquals(bootstrapClient?.id, "admin");
  assertEquals(bootstrapClient?.secret.reveal(), "a-secret-with-enough:letters");
  assertEquals(config, {
    host: "127.0.0.1",
    port: 0,
    isDemo: false,
    kvPath: ":memory:",
    publicUrl: "https://api.site.test/prefix",
    management: { issuer: "https://admin.site.test", audience: "urn:management" },
    issuer: "https://tenant.site.test/path/",
    upstream: "https://backend.site.test",
    tokenService: TOKEN_SERVICE,
    trustedProxies: "10.0.0.0/8, 2001:db8::/32",
    cacheBytes: 8_388_608,
    plainLoopbackCookies: true,
  });
});

Deno.test("readConfig() never shows a secret", () => {
  const config = read({
    ...LEAST,
    CLOAKROOM_TOKEN_SERVICE: TOKEN_SERVICE,
    CLOAKROOM_PUBLIC_URL: "https://api.site.test",
    CLOAKROOM_BOOTSTRAP_CLIENT: "admin:a-secret-with-enough-letters",
  });
  for (const text of [JSON.stringify(config), Deno.inspect(config, { depth: 10 })]) {
    assertFalse(text.includes("a-secret"));
    assertFalse(text.includes("7, 7") || text.includes("[7,7"));
  }
});

Deno.test("readConfig() names the one variable that is wrong, and says what to do", async (t) => {
  const good = {
    ...LEAST,
    CLOAKROOM_TOKEN_SERVICE: TOKEN_SERVICE,
    CLOAKROOM_PUBLIC_URL: "https://api.site.test",
  };
  const short = encodeBase64Url(new Uint8Array(16));
  const rows: readonly (readonly [variable: string, value: string, advice: RegExp])[] = [
    ["HOST", "0.0.0.0:8787x/", /^Expected an address or host name such as 0\.0\.0\.0$/],
    ["HOST", "a b", /^Expected an address/],
    ["PORT", "65536", /^Expected a whole number from 0 to 65535$/],
    ["PORT", "-1", /^Expected a whole number/],
    ["PORT", "87.87", /^Expected a whole number/],
    ["PORT", "0x50", /^Expected a whole number/],
    ["PORT", " 80", /^Expected a whole number/],
    ["PORT", "1e3", /^Expected a whole number/],
    ["PORT", "http", /^Expected a whole number/],
    ["TRUSTED_PROXIES", "all", /^Expected a number of hops, or addresses and CIDR ranges separated by commas$/],
    ["TRUSTED_PROXIES", "10.0.0.0/33", /^Expected a number of hops/],
    ["TRUSTED_PROXIES", "10.0.0.0/8,", /^Expected a number of hops/],
    ["CLOAKROOM_MASTER_KEY", short, /^Expected 32 bytes as base64url \(43 characters\), got 16 bytes; make one with: /],
    ["CLOAKROOM_MASTER_KEY", `${KEY}=`, /this is not base64url without padding/],
    ["CLOAKROOM_MASTER_KEY", KEY.slice(0, -1), /this is not base64url without padding|got 31 bytes/],
    ["CLOAKROOM_MASTER_KEY", `${KEY}A`, /this is not base64url without padding|got 33 bytes/],
    ["CLOAKROOM_MASTER_KEY", "secret", /Expected 32 bytes/],
    ["CLOAKROOM_MASTER_KEY", `${KEY},${short}`, /got 16 bytes/],
    ["CLOAKROOM_MASTER_KEY", `${KEY},`, /got 0 bytes/],
    ["CLOAKROOM_PUBLIC_URL", "api.site.test", /^Expected an https address such as https:\/\/api\.site\.example/],
    ["CLOAKROOM_PUBLIC_URL", "http://api.site.test", /^Expected an https address/],
    ["CLOAKROOM_PUBLIC_URL", "https://api.site.test/?a", /^Expected an https address/],
    ["CLOAKROOM_PUBLIC_URL", "https://api.site.test/#a", /^Expected an https address/],
    ["CLOAKROOM_PUBLIC_URL", "https://u:p@api.site.test", /^Expected an https address/],
    ["CLOAKROOM_PUBLIC_URL", "https://API.site.test", /^Expected an https address/],
    ["CLOAKROOM_PUBLIC_URL", "https://api.site.test:443", /^Expected an https address/],
    ["CLOAKROOM_PUBLIC_URL", " https://api.site.test", /^Expected an https address/],
    ["CLOAKROOM_PUBLIC_URL", "https://api.site.test/a b", /^Expected an https address/],
    ["CLOAKROOM_PUBLIC_URL", "https://api.site.test/a/../b", /^Expected an https address/],
    ["CLOAKROOM_PUBLIC_URL", "https:/api.site.test", /^Expected an https address/],
    ["CLOAKROOM_PUBLIC_URL", "wss://api.site.test", /^Expected an https address/],
    ["CLOAKROOM_PUBLIC_URL", "javascript:alert(1)", /^Expected an https address/],
    ["CLOAKROOM_UPSTREAM", "http://backend.site.test", /^Expected an https address/],
    ["CLOAKROOM_ISSUER", "id.site.test", /^Expected an https address, exactly as the token service writes its issuer$/],
    ["CLOAKROOM_ISSUER", "http://id.site.test/", /^Expected an https address, exactly/],
    ["CLOAKROOM_ISSUER", "https://ID.site.test/", /^Expected an https address, exactly/],
    ["CLOAKROOM_MANAGEMENT_ISSUER", "admin", /^Expected an https address, exactly/],
    ["CLOAKROOM_TOKEN_SERVICE", "on", /^Expected an https address, exactly/],
    [
      "CLOAKROOM_BOOTSTRAP_CLIENT",
      "admin",
      /^Expected id:secret, the secret with at least 16 visible ASCII characters$/,
    ],
    ["CLOAKROOM_BOOTSTRAP_CLIENT", "admin:short", /^Expected id:secret/],
    ["CLOAKROOM_BOOTSTRAP_CLIENT", ":a-secret-with-enough-letters", /^Expected id:secret/],
    ["CLOAKROOM_BOOTSTRAP_CLIENT", "admin:a secret with enough letters", /^Expected id:secret/],
    ["CLOAKROOM_CACHE_BYTES", "64 MB", /^Expected whole bytes, at least 1048576$/],
    ["CLOAKROOM_CACHE_BYTES", "1000", /^Expected whole bytes/],
    ["CLOAKROOM_LOOPBACK_COOKIES", "yes", /^Expected secure or plain$/],
    ["CLOAKROOM_DEMO", "true", /^Expected on or off$/],
    ["CLOAKROOM_CONFIG", "/missing.json", /^Expected a JSON object, or the path of a file that holds one$/],
    ["CLOAKROOM_CONFIG", "{", /^Expected a JSON object/],
    ["CLOAKROOM_CONFIG", '{"PORT":80,"PORT":81}', /^Expected a JSON object/],
    ["CLOAKROOM_CONFIG", '{"PROT":80}', /^Unknown member PROT, did you mean "PORT"\?$/],
    ["CLOAKROOM_CONFIG", '{"CLOAKROOM_CONFIG":"{}"}', /^Unknown member CLOAKROOM_CONFIG/],
    ["CLOAKROOM_CONFIG", '{"PORT":true}', /^Expected a text as member PORT$/],
    ["CLOAKROOM_CONFIG", '{"PORT":["80"]}', /^Expected a text as member PORT$/],
    ["CLOAKROOM_CONFIG", '{"PORT":null}', /^Expected a text as member PORT$/],
    ["CLOAKROOM_MASTERKEY", KEY, /^Unknown variable, did you mean "CLOAKROOM_MASTER_KEY"\?$/],
    ["CLOAKROOM_MASTER_KEY_FILES", "x", /^Unknown variable, did you mean /],
    ["CLOAKROOM_PUBLIC_URL_FILE", "/x", /^Unknown variable, did you mean "CLOAKROOM_PUBLIC_URL"\?$/],
    ["CLOAKROOM_ISUER", TOKEN_SERVICE, /^Unknown variable, did you mean "CLOAKROOM_ISSUER"\?$/],
    ["CLOAKROOM_", "", /^Unknown variable/],
  ];
  assertEquals(faultsOf(good), []);
  for (const [variable, value, advice] of rows) {
    await t.step(`${variable}=${value}`, () => {
      const faults = faultsOf({ ...good, [variable]: value });
      assertEquals(faults.map((fault) => fault.variable), [variable]);
      assertMatch(faults[0]!.advice, advice);
    });
  }
});

Deno.test("readConfig() tells every fault at once", () => {
  const env = {
    HOST: "not a host",
    PORT: "x",
    TRUSTED_PROXIES: "x",
    CLOAKROOM_MASTER_KEY: "x",
    CLOAKROOM_PUBLIC_URL: "x",
    CLOAKROOM_MANAGEMENT_ISSUER: "x",
    CLOAKROOM_ISSUER: "x",
    CLOAKROOM_UPSTREAM: "x",
    CLOAKROOM_TOKEN_SERVICE: "x",
    CLOAKROOM_BOOTSTRAP_CLIENT: "x",
    CLOAKROOM_CACHE_BYTES: "x",
    CLOAKROOM_LOOPBACK_COOKIES: "x",
    CLOAKROOM_CONFIG: "x",
    CLOAKROOM_DEMO: "x",
    CLOAKROOM_UNKNOWN: "x",
  };
  assertEquals(variablesOf(env).toSorted(), [...Object.keys(env), "KV_PATH"].toSorted());
});

Deno.test("readConfig() repeats no value in its advice", () => {
  const names = [
    "HOST",
    "PORT",
    "TRUSTED_PROXIES",
    "CLOAKROOM_MASTER_KEY",
    "CLOAKROOM_BOOTSTRAP_CLIENT",
    "CLOAKROOM_ISSUER",
  ];
  const faults = faultsOf(Object.fromEntries(names.map((name) => [name, "canary value"])));
  assertFalse(JSON.stringify(faults).includes("canary"));
});

Deno.test("readConfig() wants a master key and a database of a configured service", () => {
  assertEquals(variablesOf({ HOST: "0.0.0.0" }), ["CLOAKROOM_MASTER_KEY", "KV_PATH"]);
  assertEquals(variablesOf({ CLOAKROOM_DEMO: "off" }), ["CLOAKROOM_MASTER_KEY", "KV_PATH"]);
  assertEquals(variablesOf({ KV_PATH: "/x" }), ["CLOAKROOM_MASTER_KEY"]);
  assertEquals(variablesOf({ CLOAKROOM_MASTER_KEY: KEY }), ["KV_PATH"]);
  assertEquals(variablesOf({ CLOAKROOM_MASTER_KEY: KEY }, { isHosted: true }), []);
  assertEquals(read({ CLOAKROOM_MASTER_KEY: KEY }, { isHosted: true }).kvPath, null);
  assertEquals(read({ ...LEAST, KV_PATH: "https://kv.site.test" }, { isHosted: true }).kvPath, "https://kv.site.test");
});

Deno.test("readConfig() takes an empty variable for none", () => {
  const config = read({ ...LEAST, HOST: "", PORT: "", CLOAKROOM_ISSUER: "", CLOAKROOM_CONFIG: "", CLOAKROOM_DEMO: "" });
  assertEquals([config.host, config.port, config.issuer], ["0.0.0.0", 8787, null]);
  assertEquals(variablesOf({ ...LEAST, CLOAKROOM_MASTER_KEY: "" }), ["CLOAKROOM_MASTER_KEY"]);
});

Deno.test("readConfig() runs the demo only where nothing is configured, on loopback", () => {
  const demos: readonly Readonly<Record<string, string>>[] = [
    {},
    { PORT: "0" },
    { HOST: "localhost" },
    { HOST: "127.0.0.1", PORT: "8080" },
    { HOST: "::1" },
    { HOST: "[::1]" },
    { CLOAKROOM_LOOPBACK_COOKIES: "plain" },
    { CLOAKROOM_DEMO: "on" },
    { CLOAKROOM_DEMO: "on", CLOAKROOM_ISSUER: TOKEN_SERVICE },
    { UNRELATED: "x", PATH: "/bin" },
  ];
  for (const env of demos) {
    const config = read(env);
    assert(config.isDemo, JSON.stringify(env));
    assertEquals(config.host, env.HOST ?? "127.0.0.1");
    assertEquals(config.kvPath, ":memory:");
    assertEquals(config.masterKeys[0].reveal(), new Uint8Array(32).fill(42));
  }
  assertEquals(encodeBase64Url(read({ CLOAKROOM_DEMO: "on", CLOAKROOM_MASTER_KEY: KEY }).masterKeys[0].reveal()), KEY);
  const services: readonly Readonly<Record<string, string>>[] = [
    { ...LEAST },
    { ...LEAST, HOST: "127.0.0.1" },
    { ...LEAST, CLOAKROOM_DEMO: "off" },
    { ...LEAST, CLOAKROOM_CONFIG: "{}" },
  ];
  for (const env of services) assertFalse(read(env).isDemo, JSON.stringify(env));
});

Deno.test("readConfig() keeps the demo's published passwords on this machine", () => {
  for (const HOST of ["0.0.0.0", "192.168.1.7", "::", "localhost.evil.test", "example.com", "127.0.0.1.evil.test"]) {
    const faults = faultsOf({ HOST, CLOAKROOM_DEMO: "on" });
    assertEquals(faults.map(({ variable }) => variable), ["HOST"], HOST);
    assertMatch(faults[0]!.advice, /loopback.*CLOAKROOM_DEMO=off/);
  }
  const hosted = faultsOf({ CLOAKROOM_DEMO: "on" }, { isHosted: true });
  assertEquals(hosted.map(({ variable }) => variable), ["CLOAKROOM_DEMO"]);
  assertNotEquals(variablesOf({}, { isHosted: true }), []);
});

Deno.test("readConfig() keeps the demo's state in memory", () => {
  assertEquals(variablesOf({ CLOAKROOM_DEMO: "on", KV_PATH: "/var/lib/cloakroom/kv.sqlite" }), ["KV_PATH"]);
  assertEquals(read({ CLOAKROOM_DEMO: "on", KV_PATH: ":memory:" }).kvPath, ":memory:");
});

Deno.test("readConfig() takes plain http on loopback, for development", () => {
  const config = read({
    ...LEAST,
    CLOAKROOM_PUBLIC_URL: "http://localhost:8787",
    CLOAKROOM_ISSUER: "http://127.0.0.1:8788/",
    CLOAKROOM_UPSTREAM: "http://[::1]:8789",
  });
  assertEquals([config.publicUrl, config.issuer, config.upstream], [
    "http://localhost:8787",
    "http://127.0.0.1:8788/",
    "http://[::1]:8789",
  ]);
});

Deno.test("readConfig() works out who may manage", () => {
  const embedded = { ...LEAST, CLOAKROOM_TOKEN_SERVICE: TOKEN_SERVICE };
  const address = { CLOAKROOM_PUBLIC_URL: "https://api.site.test/" };
  assertEquals(read({ ...LEAST, ...address }).management, null);
  assertEquals(read({ ...embedded, ...address }).management, {
    issuer: TOKEN_SERVICE,
    audience: "https://api.site.test/management",
  });
  assertEquals(variablesOf(embedded), ["CLOAKROOM_MANAGEMENT_AUDIENCE"]);
  assertEquals(read({ ...embedded, CLOAKROOM_MANAGEMENT_AUDIENCE: "urn:m" }).management?.audience, "urn:m");
  assertEquals(read({ ...LEAST, CLOAKROOM_TOKEN_SERVICE: "off" }).tokenService, null);
});

Deno.test("readConfig() does not let the embedded token service take the app's place", () => {
  const faultsAt = (tokenService: string, publicUrl: string) =>
    variablesOf({ ...LEAST, CLOAKROOM_TOKEN_SERVICE: tokenService, CLOAKROOM_PUBLIC_URL: publicUrl });
  for (const tokenService of ["https://api.site.test", "https://api.site.test/"]) {
    assertEquals(faultsAt(tokenService, "https://api.site.test"), ["CLOAKROOM_TOKEN_SERVICE"]);
  }
  assertEquals(faultsAt("https://api.site.test/id", "https://api.site.test"), []);
  assertEquals(faultsAt("https://id.site.test/", "https://api.site.test"), []);
});

Deno.test("readConfig() wants the embedded token service for its bootstrap client", () => {
  const client = { CLOAKROOM_BOOTSTRAP_CLIENT: "admin:a-secret-with-enough-letters" };
  assertEquals(variablesOf({ ...LEAST, ...client }), ["CLOAKROOM_BOOTSTRAP_CLIENT"]);
  assertEquals(variablesOf({ ...LEAST, ...client, CLOAKROOM_TOKEN_SERVICE: "off" }), ["CLOAKROOM_BOOTSTRAP_CLIENT"]);
});

Deno.test("readConfig() takes secrets from files", () => {
  const files = { "/run/key": `${KEY}\n`, "/run/client": "admin:a-secret-with-enough-letters\n", "/run/empty": "" };
  const env = {
    KV_PATH: ":memory:",
    CLOAKROOM_PUBLIC_URL: "https://api.site.test",
    CLOAKROOM_TOKEN_SERVICE: TOKEN_SERVICE,
    CLOAKROOM_MASTER_KEY_FILE: "/run/key",
    CLOAKROOM_BOOTSTRAP_CLIENT_FILE: "/run/client",
  };
  const config = read(env, { files });
  assertEquals(encodeBase64Url(config.masterKeys[0].reveal()), KEY);
  assertEquals(config.bootstrapClient?.secret.reveal(), "a-secret-with-enough-letters");

  assertEquals(variablesOf({ ...env, CLOAKROOM_MASTER_KEY: KEY }, { files }), ["CLOAKROOM_MASTER_KEY_FILE"]);
  assertEquals(variablesOf({ ...env, CLOAKROOM_MASTER_KEY: "" }, { files }), []);
  assertEquals(variablesOf({ ...env, CLOAKROOM_MASTER_KEY_FILE: "/run/empty" }, { files }), ["CLOAKROOM_MASTER_KEY"]);
});

Deno.test("readConfig() faults a secret's file that cannot be read", () => {
  const [fault] = faultsOf({ KV_PATH: ":memory:", CLOAKROOM_MASTER_KEY_FILE: "/run/missing" });
  assertEquals(fault, {
    variable: "CLOAKROOM_MASTER_KEY_FILE",
    advice: "The file cannot be read: check the path and the permission",
  });
});

Deno.test("readConfig() takes everything from one JSON text or file; variables go before it", () => {
  const members = {
    $schema: "https://example.com/schema.json",
    CLOAKROOM_MASTER_KEY: KEY,
    KV_PATH: ":memory:",
    PORT: 8080,
    CLOAKROOM_ISSUER: TOKEN_SERVICE,
  };
  const text = JSON.stringify(members);
  const files = { "/etc/cloakroom.json": `\n ${text}\n`, "/run/key": OTHER_KEY };
  for (const CLOAKROOM_CONFIG of [text, `  ${text}`, "/etc/cloakroom.json"]) {
    const config = read({ CLOAKROOM_CONFIG, PORT: "9090" }, { files });
    assertEquals([config.port, config.issuer, config.kvPath], [9090, TOKEN_SERVICE, ":memory:"]);
    assertFalse(config.isDemo);
  }
  const withFile = read({ CLOAKROOM_CONFIG: text, CLOAKROOM_MASTER_KEY_FILE: "/run/key" }, { files });
  assertEquals(encodeBase64Url(withFile.masterKeys[0].reveal()), OTHER_KEY);
});
