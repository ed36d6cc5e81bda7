import { assertEquals } from "@std/assert";
import { matchUpstream, type Upstream } from "../../lib/vendor/mod.ts";

const UPSTREAMS: readonly Upstream[] = [
  { path: "/api", target: "https://api.test" },
  { path: "/", target: "https://rest.test", methods: ["GET", "HEAD"] },
  { path: "/api/v2/items", target: "https://items.test", methods: ["POST"] },
  { path: "/api/v2", target: "https://v2.test" },
];

function targetOf(method: string, path: string, upstreams = UPSTREAMS): unknown {
  const match = matchUpstream(upstreams, { method, path });
  return match.kind === "found" ? match.upstream.target : match;
}

Deno.test("matchUpstream() takes the longest path that covers the call, whatever the order", () => {
  const rows: readonly (readonly [path: string, target: string])[] = [
    ["/", "https://rest.test"],
    ["/x", "https://rest.test"],
    ["/ap", "https://rest.test"],
    ["/apis", "https://rest.test"],
    ["/api-v2", "https://rest.test"],
    ["/API", "https://rest.test"],
    ["/x/api", "https://rest.test"],
    ["/api", "https://api.test"],
    ["/api/", "https://api.test"],
    ["/api/x", "https://api.test"],
    ["/api/v1/items", "https://api.test"],
    ["/api/v20", "https://api.test"],
    ["/api/v2", "https://v2.test"],
    ["/api/v2/", "https://v2.test"],
    ["/api/v2/item", "https://v2.test"],
    ["/api/v2/itemsx", "https://v2.test"],
  ];
  for (const [path, target] of rows) {
    assertEquals(targetOf("GET", path), target, path);
    assertEquals(targetOf("GET", path, UPSTREAMS.toReversed()), target, path);
  }
  assertEquals(targetOf("POST", "/api/v2/items/7"), "https://items.test");
});

Deno.test("matchUpstream() refuses a method without trying a shorter path", () => {
  assertEquals(targetOf("GET", "/api/v2/items"), { kind: "method_refused", methods: ["POST"] });
  assertEquals(targetOf("DELETE", "/x"), { kind: "method_refused", methods: ["GET", "HEAD"] });
  assertEquals(targetOf("get", "/x"), { kind: "method_refused", methods: ["GET", "HEAD"] });
});

Deno.test("matchUpstream() reaches nothing that is not in the table", () => {
  const api = [{ path: "/api", target: "https://api.test" }];
  for (const path of ["/", "/private", "/apix", "/ap", "/x/api", "//api"]) {
    assertEquals(targetOf("GET", path, api), { kind: "not_found" }, path);
  }
  assertEquals(targetOf("GET", "/api", []), { kind: "not_found" });
});

Deno.test("matchUpstream() keeps a row's rules where path parameters follow", () => {
  const upstreams = [{ path: "/api", target: "https://a.test" }, { path: "/api/admin", target: "https://b.test" }];
  for (const path of ["/api/admin", "/api/admin/x", "/api/admin;x", "/api/admin;x/y"]) {
    const match = matchUpstream(upstreams, { method: "GET", path });
    assertEquals(match.kind === "found" && match.upstream.path, "/api/admin", path);
  }
});
