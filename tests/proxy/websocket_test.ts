import { assertEquals } from "@std/assert";
import {
  closingForBrowser,
  closingForUpstream,
  isSoundHandshake,
  isWebSocketHandshake,
  readProtocols,
} from "../../lib/proxy/websocket.ts";

Deno.test("isWebSocketHandshake() knows a WebSocket from other upgrades", () => {
  const rows: readonly (readonly [method: string, connection: string, upgrade: string, is: boolean])[] = [
    ["GET", "Upgrade", "websocket", true],
    ["GET", "keep-alive, upgrade", "WebSocket", true],
    ["POST", "Upgrade", "websocket", false],
    ["GET", "Upgrade", "h2c", false],
    ["GET", "Upgrade", "websocket, h2c", false],
    ["GET", "keep-alive", "websocket", false],
    ["GET", "upgraded", "websocket", false],
  ];
  for (const [method, connection, upgrade, is] of rows) {
    assertEquals(isWebSocketHandshake(method, new Headers({ connection, upgrade })), is, `${connection} ${upgrade}`);
  }
  assertEquals(isWebSocketHandshake("GET", new Headers()), false);
});

Deno.test("isSoundHandshake() wants version 13 and a key of 16 bytes", () => {
  const good = { "sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
  assertEquals(isSoundHandshake(new Headers(good)), true);
  for (const version of ["", "8", "13, 8", "013"]) {
    assertEquals(isSoundHandshake(new Headers({ ...good, "sec-websocket-version": version })), false, version);
  }
  for (const key of ["", "eA==", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSE=", "x".repeat(24)]) {
    assertEquals(isSoundHandshake(new Headers({ ...good, "sec-websocket-key": key })), false, key);
  }
});

Deno.test("readProtocols() reads subprotocols in order, each once", () => {
  const read = (header: string) => readProtocols(new Headers({ "sec-websocket-protocol": header }));
  assertEquals(readProtocols(new Headers()), []);
  assertEquals(read("chat.v1"), ["chat.v1"]);
  assertEquals(read("b,  a ,c"), ["b", "a", "c"]);
  for (const header of ["", ",", "a,,b", "a, a", "a b", "a/b", '"a"', "a;b"]) assertEquals(read(header), null, header);
});

Deno.test("each side is told of the other's end in codes that it may be sent", () => {
  const rows: readonly (readonly [code: number, browser: number, upstream: number | null])[] = [
    [1000, 1000, 1000],
    [1001, 1001, null],
    [1003, 1003, null],
    [1004, 1011, null],
    [1005, 1000, null],
    [1006, 1011, null],
    [1007, 1007, null],
    [1013, 1013, null],
    [1014, 1011, null],
    [1015, 1011, null],
    [0, 1011, null],
    [2999, 1011, null],
    [3000, 3000, 3000],
    [4999, 4999, 4999],
    [5000, 1011, null],
  ];
  for (const [code, browser, upstream] of rows) {
    assertEquals(closingForBrowser({ code, reason: "" }).code, browser, `${code} for the browser`);
    assertEquals(closingForUpstream({ code, reason: "" })?.code ?? null, upstream, `${code} for the upstream`);
  }
  assertEquals(closingForBrowser({ code: 4000, reason: "why" }), { code: 4000, reason: "why" });
  assertEquals(closingForUpstream({ code: 4000, reason: "why" }), { code: 4000, reason: "why" });
});
