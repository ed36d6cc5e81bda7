import { assert, assertEquals, assertFalse } from "@std/assert";
import { isHost, isLoopbackName, isVendorId, nameOfHost, registrableDomainOf } from "../../lib/vendor/mod.ts";

Deno.test("isVendorId() takes 1 to 64 characters of a-z 0-9 - _", () => {
  for (const id of ["a", "0", "acme", "acme-2_x", "-", "_", "a".repeat(64), "auths", "my-login"]) {
    assert(isVendorId(id), id);
  }
});

Deno.test("isVendorId() refuses other texts, and the words of our own paths", () => {
  const bad = [
    "",
    "a".repeat(65),
    "Acme",
    "ac me",
    "ac.me",
    "ac/me",
    "ácme",
    "acme\n",
    "%61cme",
    "..",
    "acme;x",
    "__proto__\u0000",
  ];
  const reserved = [
    "auth",
    "login",
    "callback",
    "userinfo",
    "logout",
    "refresh",
    "sessions",
    "events",
    "backchannel-logout",
    "frontchannel-logout",
    "management",
  ];
  for (const id of [...bad, ...reserved]) assertFalse(isVendorId(id), id);
});

Deno.test("isHost() takes hosts in lower case, with a port where one is meant", () => {
  const hosts = [
    "localhost",
    "localhost:8787",
    "www.site.test",
    "www.site.test:1",
    "www.site.test:8080",
    "www.site.test:65535",
    "xn--bcher-kva.example",
    "a-b.c--d.test",
    "127.0.0.1",
    "127.0.0.1:8787",
    "[::1]",
    "[::1]:8787",
    "[2001:db8::ffff:192.0.2.1]",
    `${"a".repeat(63)}.test`,
    "1.2.3",
  ];
  for (const host of hosts) assert(isHost(host), host);
});

Deno.test("isHost() refuses everything else", () => {
  const bad = [
    "",
    ":8787",
    "WWW.site.test",
    "www.site.test.",
    ".site.test",
    "www..test",
    "-a.test",
    "a-.test",
    "a_b.test",
    "www.site.test:",
    "www.site.test:0",
    "www.site.test:080",
    "www.site.test:65536",
    "www.site.test:8080:8080",
    "www.site.test:8080x",
    "www.site.test/",
    "www.site.test?x",
    "www.site.test#x",
    "u@www.site.test",
    "www.site.test,evil.test",
    "www.site.test evil.test",
    " www.site.test",
    "www.site.test\n",
    "www.site.test\u0000",
    "bücher.example",
    "*.site.test",
    "::1",
    "[::1",
    "[::1]x",
    "[]",
    "[::1%25eth0]",
    "[g::1]",
    `${"a".repeat(64)}.test`,
    `${"a.".repeat(130)}test`,
  ];
  for (const host of bad) assertFalse(isHost(host), host);
});

Deno.test("nameOfHost() takes the port away", () => {
  const rows: readonly (readonly [host: string, name: string])[] = [
    ["www.site.test", "www.site.test"],
    ["www.site.test:8443", "www.site.test"],
    ["127.0.0.1:80", "127.0.0.1"],
    ["[::1]", "[::1]"],
    ["[2001:db8::1]:8443", "[2001:db8::1]"],
  ];
  for (const [host, name] of rows) assertEquals(nameOfHost(host), name);
});

Deno.test("isLoopbackName() knows the names of this machine and no other", () => {
  for (const name of ["localhost", "app.localhost", "a.b.localhost", "127.0.0.1", "127.255.255.254", "[::1]"]) {
    assert(isLoopbackName(name), name);
  }
  const others = [
    "",
    "localhost.",
    "localhost.evil.test",
    "evillocalhost",
    "localhost:8787",
    "127.0.0.1.evil.test",
    "127.0.0",
    "127.1",
    "128.0.0.1",
    "10.0.0.1",
    "0.0.0.0",
    "[::]",
    "[::2]",
    "127.0.0.1\n",
  ];
  for (const name of others) assertFalse(isLoopbackName(name), name);
});

Deno.test("registrableDomainOf() answers what a cookie may span", async () => {
  const rows: readonly (readonly [name: string, domain: string | null])[] = [
    ["site.test", "site.test"],
    ["api.site.test", "site.test"],
    ["a.b.c.site.test", "site.test"],
    ["site.example.com", "example.com"],
    ["www.site.co.uk", "site.co.uk"],
    ["www.xn--bcher-kva.example", "xn--bcher-kva.example"],
    // Public suffixes, also those of the private section: neighbours there are strangers.
    ["test", null],
    ["com", null],
    ["co.uk", null],
    ["github.io", null],
    ["publisher.github.io", "publisher.github.io"],
    ["www.publisher.github.io", "publisher.github.io"],
    ["publisher.deno.dev", "publisher.deno.dev"],
    ["deno.dev", null],
    ["s3.amazonaws.com", null],
    ["city.kawasaki.jp", "city.kawasaki.jp"],
    ["a.b.kawasaki.jp", "a.b.kawasaki.jp"],
    // Nothing that has a domain.
    ["localhost", null],
    ["app.localhost", null],
    ["intranet", null],
    ["127.0.0.1", null],
    ["10.20.30.40", null],
    ["[::1]", null],
    ["[2001:db8::192.0.2.1]", null],
    ["", null],
  ];
  for (const [name, domain] of rows) assertEquals(await registrableDomainOf(name), domain, name);
});
