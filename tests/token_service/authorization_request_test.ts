import { assertEquals } from "@std/assert";
import { createAnswerUrl, readAuthorizationRequest } from "../../lib/token_service/authorization_request.ts";
import { type Client, createParameters } from "../../lib/token_service/mod.ts";
import { API, CHALLENGE, REDIRECT_URI } from "./kit.ts";

const CLIENT: Client = {
  clientId: "spa",
  name: "The single page",
  redirectUris: [REDIRECT_URI, "https://client.test/cb?tenant=a"],
  postLogoutRedirectUris: [],
  grantTypes: ["authorization_code"],
  scopes: ["openid", "profile", "email"],
  audiences: [API],
  defaultAudience: null,
  isPublic: true,
  firstParty: true,
  vendorId: null,
  idTokenAlg: "RS256",
  isDisabled: false,
  createdAt: 0,
  updatedAt: 0,
};

const GOOD = {
  client_id: "spa",
  redirect_uri: REDIRECT_URI,
  response_type: "code",
  scope: "openid profile",
  state: "s",
  nonce: "n",
  code_challenge: CHALLENGE,
  code_challenge_method: "S256",
};

type Change = Readonly<Record<string, string>> | readonly (readonly [string, string])[];

function read(change: Change = {}, client: Client | null = CLIENT) {
  const pairs: readonly (readonly [string, string])[] = Array.isArray(change)
    ? [...Object.entries(GOOD), ...change]
    : Object.entries({ ...GOOD, ...change });
  return readAuthorizationRequest(createParameters(pairs), client, { defaultScopes: ["openid"] });
}

Deno.test("readAuthorizationRequest() reads a good request", () => {
  const reading = read({ prompt: "login consent", max_age: "0", audience: API, login_hint: "ada@example.com" });
  assertEquals(reading, {
    kind: "request",
    request: {
      client: CLIENT,
      redirectUri: REDIRECT_URI,
      state: "s",
      scopes: ["openid", "profile"],
      audience: API,
      challenge: CHALLENGE,
      nonce: "n",
      prompt: new Set(["login", "consent"] as const),
      maxAge: 0,
      loginHint: "ada@example.com",
      idTokenHint: null,
    },
  });
});

Deno.test("readAuthorizationRequest() ignores what it does not know and what only asks for a different look", () => {
  const ignored = {
    unknown: "x",
    ui_locales: "de sv",
    claims_locales: "de",
    acr_values: "a b",
    display: "popup",
    auth0Client: "eyJ",
    claims: '{"id_token":{}}',
    response_mode: "query",
    screen_hint: "signup",
    organization: "org_1",
    connection: "email",
  };
  assertEquals(read(ignored), read());
});

Deno.test("readAuthorizationRequest() tells the person, not the client, as long as either of them may be forged", () => {
  const rows: readonly (readonly [string, Change, Client | null])[] = [
    ["unknown client", {}, null],
    ["disabled client", {}, { ...CLIENT, isDisabled: true }],
    ["client_id twice", [["client_id", "spa"]], CLIENT],
    ["redirect_uri twice", [["redirect_uri", REDIRECT_URI]], CLIENT],
    ...[
      "",
      "https://client.test/cb#f",
      "https://client.test/cb/",
      "https://client.test/CB",
      "https://CLIENT.test/cb",
      "https://client.test:443/cb",
      "http://client.test/cb",
      "https://client.test@evil.test/cb",
      "https://evil.test\\@client.test/cb",
      "https://evilclient.test/cb",
      "https://client.test.evil.test/cb",
      "https://client.test/cb/../evil",
      "https://client.test/%63b",
      "https://client.test/app%2f..%2fevil",
      "https://client.test/cb?code=evil&state=evil",
      "https://client.test/cb?tenant=b",
      "https://client.test/cb?tenant=a&x=1",
      "//client.test/cb",
      "/cb",
      "https://client.test/cb\u0000",
      "https://client.test/cb ",
      " https://client.test/cb",
      "data:text/html,x",
      "javascript:alert(1)",
      "http://127.0.0.1:1234/cb",
      "urn:ietf:wg:oauth:2.0:oob",
      `https://client.test/cb${"a".repeat(5000)}`,
    ].map((redirect_uri) => [redirect_uri, { redirect_uri }, CLIENT] as const),
  ];
  for (const [what, change, client] of rows) {
    const reading = read(change, client);
    assertEquals([reading.kind, "error" in reading && reading.error], ["refused", "invalid_request"], what);
  }
});

Deno.test("readAuthorizationRequest() tells the client about everything else, by the registered code", () => {
  const rows: readonly (readonly [string, string, Change, Partial<Client>?])[] = [
    ["no response type", "invalid_request", { response_type: "" }],
    ["implicit", "unsupported_response_type", { response_type: "token" }],
    ["hybrid", "unsupported_response_type", { response_type: "code id_token" }],
    ["response type in another case", "unsupported_response_type", { response_type: "Code" }],
    ["response type twice", "invalid_request", [["response_type", "x"]]],
    ["fragment", "invalid_request", { response_mode: "fragment" }],
    ["no code grant", "unauthorized_client", {}, { grantTypes: ["client_credentials"] }],
    ["unknown scope", "invalid_scope", { scope: "openid admin:everything" }],
    ["scope that cannot be one", "invalid_scope", { scope: 'openid "' }],
    ["profile without openid", "invalid_scope", { scope: "profile" }],
    ["scope twice", "invalid_request", [["scope", "openid"]]],
    ["unknown name twice", "invalid_request", [["x", "1"], ["x", "1"]]],
    ["no challenge", "invalid_request", { code_challenge: "" }],
    ["no challenge method", "invalid_request", { code_challenge_method: "" }],
    ["plain", "invalid_request", { code_challenge_method: "plain" }],
    ["s256", "invalid_request", { code_challenge_method: "s256" }],
    ["short challenge", "invalid_request", { code_challenge: CHALLENGE.slice(1) }],
    ["long challenge", "invalid_request", { code_challenge: `${CHALLENGE}A` }],
    ["padded challenge", "invalid_request", { code_challenge: `${CHALLENGE.slice(1)}=` }],
    ["foreign audience", "invalid_target", { audience: "https://api.globex.test/" }],
    ["foreign resource", "invalid_target", { resource: "https://api.globex.test/" }],
    ["two resources", "invalid_target", [["resource", API], ["resource", "https://api.globex.test/"]]],
    ["audience and resource differ", "invalid_target", { audience: API, resource: "https://api.acme.test" }],
    ["none and more", "invalid_request", { prompt: "none login" }],
    ["unknown prompt", "invalid_request", { prompt: "please" }],
    ["max_age not a number", "invalid_request", { max_age: "abc" }],
    ["max_age negative", "invalid_request", { max_age: "-1" }],
    ["claims not JSON", "invalid_request", { claims: "{" }],
    ["claims not an object", "invalid_request", { claims: "[]" }],
    ["request object", "request_not_supported", { request: "eyJhbGciOiJub25lIn0.e30." }],
    ["request_uri", "request_uri_not_supported", { request_uri: "http://169.254.169.254/x" }],
    ["registration", "registration_not_supported", { registration: "{}" }],
  ];
  for (const [what, error, change, client] of rows) {
    const reading = read(change, { ...CLIENT, ...client });
    assertEquals<string | false>(reading.kind === "refused_to_client" && reading.refusal.error, error, what);
  }
});

Deno.test("readAuthorizationRequest() takes the defaults of server and client where the request is silent", () => {
  const reading = read({ scope: "", state: "", nonce: "" }, { ...CLIENT, defaultAudience: API });
  const request = reading.kind === "request" ? reading.request : null;
  assertEquals([request?.scopes, request?.audience, request?.state, request?.nonce], [["openid"], API, null, null]);
});

Deno.test("createAnswerUrl() keeps the registered address as it is and always says who answers", () => {
  const target = { client: CLIENT, redirectUri: REDIRECT_URI, state: null };
  assertEquals(
    createAnswerUrl(target, "https://id.test/", { code: "c" }),
    "https://client.test/cb?code=c&iss=https%3A%2F%2Fid.test%2F",
  );
  assertEquals(
    createAnswerUrl(
      { ...target, redirectUri: "https://client.test/cb?tenant=a", state: "a&b=c #" },
      "https://id.test/",
      { error: "login_required" },
    ),
    "https://client.test/cb?tenant=a&error=login_required&state=a%26b%3Dc+%23&iss=https%3A%2F%2Fid.test%2F",
  );
});
