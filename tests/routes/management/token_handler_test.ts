import { assert, assertEquals, assertFalse, assertNotEquals } from "@std/assert";
import { APP, codeOf, createSetting, ISSUER, MANAGEMENT_AUDIENCE, NAVIGATION, readProblem } from "../setting.ts";
import { signJwt } from "../../support/signing_key.ts";

const GLOBEX = "/vendors/globex/token-handler";
const ACME = "/vendors/acme/token-handler";
const BODY = { clientId: "globex-app", hosts: ["api.globex.test"] };

function bodyOf(body: unknown, headers: HeadersInit = {}): RequestInit {
  return { body: JSON.stringify(body), headers };
}

Deno.test("PUT creates a vendor, then changes it; GET reads it; DELETE removes it", async () => {
  const { manage, clock, cloakroom } = await createSetting();
  const created = await manage("PUT", GLOBEX, bodyOf(BODY));
  assertEquals(created.status, 201);
  assertEquals(created.headers.get("content-type"), "application/json");
  assertEquals(created.headers.get("cache-control"), "no-store");
  const { keyId, ...echo } = await created.json();
  assertEquals(keyId, await cloakroom.keys.activeKeyId("globex"));
  const settings = {
    vendorId: "globex",
    ...BODY,
    issuer: null,
    clientAuthMethod: "none",
    authHostname: null,
    publicUrl: null,
    allowedOrigins: [],
    cookieDomain: null,
    cookieScope: "domain",
    tokenStore: "cookie",
    scopes: ["openid", "profile", "email", "offline_access"],
    audience: [],
    upstreams: null,
    requireCsrfHeader: false,
    userinfoWithAccessCookieAlone: true,
    sessionIdleSeconds: 604_800,
    sessionMaxSeconds: 2_592_000,
    hintCookieName: "signed_in",
    passCookies: [],
    postLogoutRedirects: [],
    relayUnverifiedBearer: false,
    hasClientSecret: false,
    callbackUrls: ["https://api.globex.test/auth/globex/callback"],
    createdAt: "2027-01-15T08:00:00.000Z",
    updatedAt: "2027-01-15T08:00:00.000Z",
  };
  const { claims: _, ...echoed } = echo;
  assertEquals(echoed, settings);

  clock.advance(60);
  const changed = await manage("PUT", GLOBEX, bodyOf({ ...BODY, clientId: "changed" }));
  assertEquals(changed.status, 200);
  const { clientId, createdAt, updatedAt } = await changed.json();
  assertEquals([clientId, createdAt, updatedAt], ["changed", "2027-01-15T08:00:00.000Z", "2027-01-15T08:01:00.000Z"]);
  assertNotEquals(changed.headers.get("etag"), created.headers.get("etag"));

  const read = await manage("GET", GLOBEX);
  assertEquals([read.status, read.headers.get("etag")], [200, changed.headers.get("etag")]);
  assertEquals((await read.json()).clientId, "changed");

  const removed = await manage("DELETE", GLOBEX);
  assertEquals([removed.status, await removed.text()], [204, ""]);
  assertEquals(await codeOf(await manage("GET", GLOBEX)), "vendor_unknown");
  assertEquals((await manage("DELETE", GLOBEX)).status, 204, "deleting what is gone is fine");
});

Deno.test("a saved vendor is served at once", async () => {
  const { manage, send } = await createSetting();
  assertEquals(await codeOf(await send("https://api.globex.test/auth/globex/userinfo")), "vendor_unknown");
  await manage("PUT", GLOBEX, bodyOf(BODY));
  assertEquals(await codeOf(await send("https://api.globex.test/auth/globex/userinfo")), "unauthenticated");
  await manage("DELETE", GLOBEX);
  assertEquals(await codeOf(await send("https://api.globex.test/auth/globex/userinfo")), "vendor_unknown");
});

Deno.test("the paths under /management/v1 are the same", async () => {
  const { manage } = await createSetting();
  assertEquals((await manage("PUT", `/v1${GLOBEX}`, bodyOf(BODY))).status, 201);
  assertEquals((await manage("GET", GLOBEX)).status, 200);
});

Deno.test("HEAD reads and never changes anything", async () => {
  const { manage, cloakroom, makeToken } = await createSetting();
  const { version } = (await cloakroom.vendors.read("acme"))!;
  const answer = await manage("HEAD", ACME);
  assertEquals([answer.status, await answer.text(), answer.headers.get("etag")], [200, "", `"${version}"`]);
  assertEquals((await cloakroom.vendors.read("acme"))?.version, version);
  const reader = await makeToken({ scope: "read:vendors" });
  assertEquals((await manage("HEAD", ACME, { token: reader })).status, 200);

  const keyId = await cloakroom.keys.activeKeyId("acme");
  assertEquals((await manage("HEAD", `${ACME}/keys`)).status, 200);
  assertEquals((await cloakroom.keys.list("acme")).map((key) => key.keyId), [keyId]);
});

Deno.test("a method that a management path does not take is told so", async () => {
  const { manage, cloakroom } = await createSetting();
  for (const method of ["POST", "PATCH", "OPTIONS"]) {
    const answer = await manage(method, ACME);
    assertEquals([answer.headers.get("allow"), await codeOf(answer)], ["GET, HEAD, PUT, DELETE", "method_refused"]);
  }
  assert(await cloakroom.vendors.read("acme") !== null);
});

Deno.test("a client secret is written and never read back", async () => {
  const { manage, records, log } = await createSetting();
  const secret = "a-secret-of-the-client";
  const saved = await manage("PUT", GLOBEX, bodyOf({ ...BODY, clientSecret: secret }));
  const texts = [
    await saved.text(),
    await (await manage("GET", GLOBEX)).text(),
    await (await manage("PUT", `${GLOBEX}?dryRun=true`, bodyOf({ ...BODY, clientSecret: secret }))).text(),
    JSON.stringify(await records.list(["vendor"])),
    JSON.stringify(log),
  ];
  for (const text of texts) assertFalse(text.includes(secret));
  assertEquals(JSON.parse(texts[0]!).hasClientSecret, true);
  assertEquals(JSON.parse(texts[0]!).clientAuthMethod, "client_secret_basic");
});

Deno.test("If-Match lets a change through only over the version it names", async (t) => {
  const { manage, cloakroom } = await createSetting();
  const version = async () => `"${(await cloakroom.vendors.read("acme"))!.version}"`;
  const current = await version();
  const rows: readonly (readonly [ifMatch: string, code: string | number])[] = [
    ['"stale"', "precondition_failed"],
    ['""', "precondition_failed"],
    [current.slice(1, -1), "precondition_failed"],
    [`W/${current}`, "precondition_failed"],
    ["", "precondition_failed"],
    ["*", 200],
  ];
  for (const [ifMatch, code] of rows) {
    await t.step(`PUT with ${ifMatch}`, async () => {
      const before = await version();
      const answer = await manage("PUT", ACME, bodyOf({ clientId: "changed" }, { "if-match": ifMatch }));
      assertEquals(await codeOf(answer), code);
      if (code !== 200) assertEquals(await version(), before);
    });
  }
  await t.step("PUT with the present version, then again", async () => {
    const headers = { "if-match": await version() };
    assertEquals((await manage("PUT", ACME, bodyOf({ clientId: "a" }, headers))).status, 200);
    assertEquals(await codeOf(await manage("PUT", ACME, bodyOf({ clientId: "b" }, headers))), "precondition_failed");
  });
  await t.step("PUT of a vendor that does not exist", async () => {
    for (const ifMatch of ["*", '"1"']) {
      const answer = await manage("PUT", GLOBEX, bodyOf(BODY, { "if-match": ifMatch }));
      assertEquals(await codeOf(answer), "precondition_failed", ifMatch);
    }
    assertEquals(await cloakroom.vendors.read("globex"), null);
  });
  await t.step("DELETE", async () => {
    const headers = { "if-match": '"stale"' };
    assertEquals(await codeOf(await manage("DELETE", ACME, { headers })), "precondition_failed");
    assert(await cloakroom.vendors.read("acme") !== null);
    assertEquals((await manage("DELETE", ACME, { headers: { "if-match": await version() } })).status, 204);
  });
});

Deno.test("a dry run says what would happen, and stores nothing", async (t) => {
  const { manage, cloakroom } = await createSetting();
  const dry = (body: unknown, headers: HeadersInit = {}) =>
    manage("PUT", `${GLOBEX}?dryRun=true`, bodyOf(body, headers));
  await t.step("of good settings", async () => {
    const answer = await dry(BODY);
    const { dryRun, vendorId, clientId } = await answer.json();
    assertEquals([answer.status, dryRun, vendorId, clientId], [200, true, "globex", "globex-app"]);
  });
  await t.step("of bad settings", async () => {
    assertEquals(await codeOf(await dry({ ...BODY, issuer: "x" })), "settings_refused");
  });
  await t.step("of a missing secret", async () => {
    const problem = await readProblem(await dry({ ...BODY, clientAuthMethod: "client_secret_basic" }));
    assertEquals(problem.errors, [{ pointer: "/clientSecret", detail: "Missing: this clientAuthMethod needs one" }]);
  });
  await t.step("of a host that another vendor has", async () => {
    assertEquals(await codeOf(await dry({ ...BODY, hosts: ["api.acme.test"] })), "conflict");
  });
  await t.step("of a stale version", async () => {
    assertEquals(await codeOf(await dry(BODY, { "if-match": '"1"' })), "precondition_failed");
  });
  assertEquals(await cloakroom.vendors.read("globex"), null);
  assertEquals(await cloakroom.keys.list("globex"), []);
});

Deno.test("every fault of a body is told with its pointer, and nothing is stored", async () => {
  const { manage, cloakroom } = await createSetting();
  const answer = await manage("PUT", GLOBEX, bodyOf({ issuer: "x", hosts: ["a.test", "B"], tokenStor: "kv" }));
  assertEquals(answer.status, 400);
  const problem = await readProblem(answer);
  assertEquals(problem.code, "settings_refused");
  assertEquals((problem.errors as { pointer: string }[]).map(({ pointer }) => pointer).toSorted(), [
    "/clientId",
    "/hosts/1",
    "/issuer",
    "/tokenStor",
  ]);
  assert(JSON.stringify(problem.errors).includes('did you mean \\"tokenStore\\"?'));
  assertEquals(await cloakroom.vendors.read("globex"), null);
});

Deno.test("a body that is no JSON object is refused", async (t) => {
  const { manage, cloakroom } = await createSetting();
  const bodies: Readonly<Record<string, BodyInit>> = {
    "nothing": "",
    "no JSON": "{clientId:1}",
    "a list": '[{"clientId":"x"}]',
    "null": "null",
    "a text": '"x"',
    "a member twice": '{"clientId":"x","clientId":"y"}',
    "two objects": '{"clientId":"x"}{"clientId":"y"}',
    "byte order mark": '\ufeff{"clientId":"x"}',
    "not UTF-8": Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d),
    "nested for ever": "[".repeat(50_000),
  };
  for (const [what, body] of Object.entries(bodies)) {
    await t.step(what, async () => {
      const problem = await readProblem(await manage("PUT", GLOBEX, { body }));
      assertEquals(problem.code, "settings_refused");
      assertEquals(problem.errors, [{ pointer: "", detail: "Expected a JSON object" }]);
    });
  }
  assertEquals(await cloakroom.vendors.read("globex"), null);
});

Deno.test("a body of another type, or too large, is refused", async () => {
  const { manage } = await createSetting();
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "text/json"]) {
    const answer = await manage("PUT", GLOBEX, bodyOf(BODY, { "content-type": type }));
    assertEquals(await codeOf(answer), "content_type_refused", type);
  }
  const typed = await manage("PUT", GLOBEX, bodyOf(BODY, { "content-type": "Application/JSON; charset=utf-8" }));
  assertEquals(typed.status, 201);
  assertEquals(await codeOf(await manage("PUT", GLOBEX, { body: `{"a":"${"x".repeat(65_536)}"}` })), "body_too_large");
});

Deno.test("a host that another vendor has is a conflict that names it", async () => {
  const { manage, cloakroom } = await createSetting();
  const answer = await manage("PUT", GLOBEX, bodyOf({ ...BODY, hosts: ["api.globex.test", "api.acme.test"] }));
  assertEquals(answer.status, 409);
  const problem = await readProblem(answer);
  assertEquals(problem.code, "conflict");
  assertEquals(problem.errors, [{ pointer: "/hosts/1", detail: "Another vendor uses this host" }]);
  assertEquals(await cloakroom.vendors.read("globex"), null);
});

Deno.test("a vendor id that cannot be one is refused", async () => {
  const { manage } = await createSetting();
  for (const id of ["login", "Acme", "a.b", "%40", "x".repeat(65)]) {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const init = method === "PUT" ? bodyOf(BODY) : {};
      const problem = await readProblem(await manage(method, `/vendors/${id}/token-handler`, init));
      assertEquals(problem.code, "settings_refused", id);
    }
  }
});

Deno.test("a management call needs a token of the management issuer, for the management", async (t) => {
  const { send, idp, makeToken, cloakroom, clock, log } = await createSetting();
  const rows: Readonly<Record<string, string | null>> = {
    "none": null,
    "Basic": "Basic b3BlcmF0b3I6c2VjcmV0",
    "an empty Bearer": "Bearer ",
    "no token": "Bearer x",
    "two tokens": `Bearer ${await makeToken()} ${await makeToken()}`,
    "another scheme": `Token ${await makeToken()}`,
    "expired": `Bearer ${await makeToken({ exp: clock() - 61 })}`,
    "another issuer": `Bearer ${await makeToken({ iss: "https://evil.test/" })}`,
    "another audience": `Bearer ${await makeToken({ aud: "https://upstream.test/" })}`,
    "no audience": `Bearer ${await makeToken({ aud: undefined })}`,
    "an ID token": `Bearer ${await signJwt(idp.key, {}, {
      iss: ISSUER,
      sub: "operator",
      aud: MANAGEMENT_AUDIENCE,
      nonce: "n",
      iat: clock(),
      exp: clock() + 60,
    })}`,
    "a list of scopes": `Bearer ${await makeToken({ scope: ["write:vendors"] })}`,
    "an odd vendor": `Bearer ${await makeToken({ vendor_id: 7 })}`,
    "a list of vendors": `Bearer ${await makeToken({ vendor_id: ["acme"] })}`,
    "tampered": `Bearer ${(await makeToken()).replace(/.$/, (last) => last === "A" ? "Q" : "A")}`,
  };
  for (const [what, authorization] of Object.entries(rows)) {
    await t.step(what, async () => {
      for (const method of ["GET", "PUT", "DELETE"]) {
        const headers = { "content-type": "application/json", ...(authorization === null ? {} : { authorization }) };
        const init = { method, headers, ...(method === "PUT" ? { body: JSON.stringify(BODY) } : {}) };
        const answer = await send(`/management${ACME}`, init);
        assertEquals([answer.status, answer.headers.get("www-authenticate")], [401, "Bearer"]);
        const problem = await readProblem(answer);
        assertEquals([problem.code, "login_url" in problem], ["token_refused", false]);
      }
    });
  }
  assertEquals((await cloakroom.vendors.read("acme"))?.record.settings.clientId, "web-app");
  assertFalse(JSON.stringify(log).includes("eyJ"), "no token in the log");
});

Deno.test("cookies of a user open nothing in the management", async () => {
  const { signIn, send } = await createSetting();
  const browser = await signIn();
  const cookie = browser.jar.header(new URL(APP))!;
  for (const headers of [{ cookie }, { cookie, "sec-fetch-site": "same-origin" }]) {
    assertEquals(await codeOf(await send(`/management${ACME}`, { headers })), "token_refused");
  }
});

Deno.test("scopes and the vendor that a token is bound to decide what it may do", async (t) => {
  const { manage, makeToken, cloakroom } = await createSetting();
  const rows: readonly (readonly [claims: Record<string, unknown>, method: string, path: string, code: unknown])[] = [
    [{ scope: "read:vendors" }, "GET", ACME, 200],
    [{ scope: "read:vendors" }, "PUT", ACME, "forbidden"],
    [{ scope: "read:vendors" }, "DELETE", ACME, "forbidden"],
    [{ scope: "write:vendors" }, "GET", ACME, "forbidden"],
    [{ scope: "write:vendors" }, "PUT", ACME, 200],
    [{ scope: "write:vendorsx xwrite:vendors" }, "PUT", ACME, "forbidden"],
    [{ scope: "" }, "GET", ACME, "forbidden"],
    [{ scope: undefined }, "GET", ACME, "forbidden"],
    [{ vendor_id: "acme" }, "GET", ACME, 200],
    [{ vendor_id: "acme" }, "PUT", ACME, 200],
    [{ vendor_id: "acme" }, "GET", GLOBEX, "forbidden"],
    [{ vendor_id: "acme" }, "PUT", GLOBEX, "forbidden"],
    [{ vendor_id: "acme" }, "DELETE", GLOBEX, "forbidden"],
    [{ vendor_id: "globex" }, "GET", ACME, "forbidden"],
    [{ vendor_id: "" }, "GET", ACME, "forbidden"],
    [{ vendor_id: "globex" }, "PUT", GLOBEX, 201],
    [{ vendor_id: null }, "GET", GLOBEX, 200],
    [{ scope: "read:vendors" }, "POST", `${ACME}/keys`, "forbidden"],
    [{ scope: "write:keys" }, "POST", `${ACME}/keys`, 201],
  ];
  for (const [claims, method, path, code] of rows) {
    await t.step(`${JSON.stringify(claims)} ${method} ${path}`, async () => {
      const init = method === "PUT" ? bodyOf(path === ACME ? { clientId: "web-app" } : BODY) : {};
      const answer = await manage(method, path, { ...init, token: await makeToken(claims) });
      if (answer.status === 403) {
        const needed = path.endsWith("/keys") ? "write:keys" : method === "GET" ? "read:vendors" : "write:vendors";
        assertEquals(
          answer.headers.get("www-authenticate"),
          `Bearer error="insufficient_scope", scope="${needed}"`,
        );
      }
      assertEquals(await codeOf(answer), code as string);
    });
  }
  assert(await cloakroom.vendors.read("acme") !== null);
});

Deno.test("a management issuer that is away is told as such, and nobody is refused for it", async () => {
  const { manage, idp } = await createSetting();
  idp.change.discovery = () => new Response(null, { status: 503 });
  const answer = await manage("GET", ACME);
  assertEquals([answer.status, answer.headers.get("retry-after")], [503, "5"]);
  assertEquals(await codeOf(answer), "token_service_unreachable");
});

Deno.test("a management issuer whose keys are away, or that speaks for another, is told apart", async () => {
  const { manage, idp, log } = await createSetting();
  idp.change.jwks = () => new Response(null, { status: 503 });
  assertEquals(await codeOf(await manage("GET", ACME)), "token_service_unreachable");
  const strange = await createSetting();
  strange.idp.change.discovery = (good) => Response.json({ ...good, issuer: "https://evil.test/" });
  assertEquals(await codeOf(await strange.manage("GET", ACME)), "token_service_error");
  assertEquals(strange.log.map(({ level, event, reason }) => [level, event, reason]), [
    ["error", "management_metadata_refused", "issuer_mismatch"],
  ]);
  assertEquals(log.map(({ level, event }) => [level, event]), [["warn", "management_keys_unavailable"]]);
});

Deno.test("without a management issuer nobody manages", async () => {
  const { manage } = await createSetting({ cloakroom: { management: null } });
  assertEquals(await codeOf(await manage("GET", ACME)), "token_refused");
});

Deno.test("callback addresses follow from the public address, the hosts, or the request", async () => {
  const { manage } = await createSetting({ cloakroom: { defaults: { issuer: ISSUER, publicUrl: null } } });
  const urls = async (members: Record<string, unknown>) =>
    (await (await manage("PUT", GLOBEX, bodyOf({ clientId: "x", ...members }))).json()).callbackUrls;
  const path = "/auth/globex/callback";
  assertEquals(await urls({ publicUrl: "https://www.globex.test/p" }), [`https://www.globex.test/p${path}`]);
  assertEquals(await urls({ hosts: ["a.globex.test", "b.globex.test:8443"] }), [
    `https://a.globex.test${path}`,
    `https://b.globex.test:8443${path}`,
  ]);
  assertEquals(await urls({}), [`${APP}${path}`]);
});

Deno.test("a person who looks gets a page", async () => {
  const { send } = await createSetting();
  const answer = await send(`/management${ACME}`, { headers: NAVIGATION });
  assertEquals([answer.status, answer.headers.get("content-type")], [401, "text/html; charset=utf-8"]);
  assert((await answer.text()).includes("token_refused"));
});

Deno.test("saveVendor() names every fault", async () => {
  const { cloakroom } = await createSetting();
  const messageOf = async (settings: unknown) => {
    const error = await cloakroom.saveVendor("globex", settings).then(() => null, (error) => error);
    assert(error instanceof TypeError);
    return error.message;
  };
  assertEquals(
    await messageOf({ issuer: "x" }),
    'Cannot save vendor "globex": /issuer Expected an https address without query or fragment, exactly as the token ' +
      "service writes its issuer; /clientId Missing: the client id at the token service",
  );
  assertEquals(
    await messageOf({ clientId: "x", hosts: ["api.acme.test"] }),
    'Cannot save vendor "globex": /hosts another vendor uses api.acme.test',
  );
});
