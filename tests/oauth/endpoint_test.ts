import { assertEquals } from "@std/assert";
import { readEndpoint } from "../../lib/oauth/endpoint.ts";

Deno.test("readEndpoint() takes https addresses of named hosts, in their normal form", () => {
  const table: Readonly<Record<string, string>> = {
    "https://id.test/token": "https://id.test/token",
    "https://id.test": "https://id.test/",
    "https://ID.test:443/a/../token?x=1#frag": "https://id.test/token?x=1",
    "https://id.test:8443/token": "https://id.test:8443/token",
    "https://bücher.test/": "https://xn--bcher-kva.test/",
    "https://localhost.evil.test/": "https://localhost.evil.test/",
    "https://mylocalhost/": "https://mylocalhost/",
    "https://127.0.0.1.nip.test/": "https://127.0.0.1.nip.test/",
  };
  for (const [value, expected] of Object.entries(table)) {
    assertEquals(readEndpoint(value), expected);
    assertEquals(readEndpoint(value, { insecureAllowHttpLoopback: true }), expected);
  }
});

const neverGood: readonly unknown[] = [
  ...[
    "http://id.test/",
    "ftp://id.test/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "data:,x",
    "blob:https://id.test/x",
  ],
  ...[
    "ws://id.test/",
    "wss://id.test/",
    "gopher://id.test/",
    "//id.test/token",
    "/token",
    "token",
    "",
    " ",
    "https://",
  ],
  ...["https://user@id.test/", "https://user:secret@id.test/", "https://:secret@id.test/", "https://id.test:99999/"],
  ...["https://10.0.0.1/", "https://169.254.169.254/latest/meta-data", "https://192.168.1.1/", "https://8.8.8.8/"],
  ...[
    "https://0.0.0.0/",
    "https://[::]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[64:ff9b::7f00:1]/",
  ],
  ...["https://[::ffff:127.0.0.1]/", "https://[::ffff:10.0.0.1]/", "https://0xa9fea9fe/", "https://2852039166/"],
  ...["https://id .test/", "https://id\u0000.test/", "http://0.0.0.0/"],
  ...[null, undefined, 1, true, {}, ["https://id.test/"], { href: "https://id.test/" }],
];

Deno.test("readEndpoint() refuses everything else, in any spelling", () => {
  for (const value of neverGood) {
    assertEquals(readEndpoint(value), undefined, String(value));
    assertEquals(readEndpoint(value, { insecureAllowHttpLoopback: true }), undefined, String(value));
  }
});

Deno.test("readEndpoint() takes loopback hosts only where that is allowed, then without TLS too", () => {
  const hosts = [
    ...["127.0.0.1", "127.0.0.2", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1."],
    ...["localhost", "LOCALHOST", "localhost.", "id.localhost", "id.localhost.", "[::1]", "[0:0:0:0:0:0:0:1]"],
  ];
  for (const host of hosts) {
    for (const scheme of ["http", "https"]) {
      const value = `${scheme}://${host}:8788/token`;
      assertEquals(readEndpoint(value), undefined, value);
      assertEquals(readEndpoint(value, { insecureAllowHttpLoopback: false }), undefined, value);
      assertEquals(readEndpoint(value, { insecureAllowHttpLoopback: true }), new URL(value).href, value);
    }
    assertEquals(readEndpoint(`ftp://${host}/`, { insecureAllowHttpLoopback: true }), undefined);
    assertEquals(readEndpoint(`http://user@${host}/`, { insecureAllowHttpLoopback: true }), undefined);
  }
});
