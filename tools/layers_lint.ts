/**
 * Which way imports may point, as lint rules. `deno lint` and the editor load them from `deno.json`.
 *
 * Routes know HTTP, the library knows the protocols and no framework, only `server.ts` knows this machine. Inside the
 * library, folders stand in rows, and a row sees the rows below it. What lies outside both folders may import everything.
 *
 * @module
 */

/** A row of the table: folders under the same rule. */
type Row = "leaf" | "protocol" | "feature" | "store" | "tool" | "browser" | "routes" | "unlisted" | "free";

/** Where a file stands. */
interface Place {
  readonly row: Row;
  /** The folder below `lib/`, or the file itself for what lies directly in it. */
  readonly folder: string;
}

const ROW_OF_FOLDER: Readonly<Record<string, Row>> = {
  pkce: "protocol",
  seal: "protocol",
  jwt: "protocol",
  oauth: "protocol",
  links: "protocol",
  vendor: "protocol",
  session_token: "protocol",
  config: "feature",
  token_handler: "feature",
  proxy: "feature",
  token_service: "feature",
  store: "store",
  doctor: "tool",
  cli: "tool",
  browser: "browser",
};

/** What a row may import besides its own folder: code of these rows, only types of those. */
const MAY_SEE: Readonly<Record<Exclude<Row, "unlisted" | "free">, { code: readonly Row[]; types: readonly Row[] }>> = {
  leaf: { code: ["leaf"], types: [] },
  protocol: { code: ["leaf"], types: [] },
  feature: { code: ["leaf", "protocol"], types: ["store"] },
  store: { code: ["leaf"], types: ["protocol"] },
  tool: { code: ["leaf", "protocol", "feature", "store", "tool", "browser"], types: [] },
  browser: { code: [], types: [] },
  routes: { code: ["leaf", "protocol", "feature", "store", "tool", "browser"], types: [] },
};

/** The packages that the library and the routes may use, and the folders that may. */
const PACKAGES: readonly (readonly [name: string, folders: readonly string[]])[] = [
  ["@hono/hono", ["routes"]],
  ["@std/http", ["routes"]],
  ["@panva/jose", ["jwt", "token_service", "links", "session_token"]],
  ["tldts", ["vendor"]],
];

const ROOT = new URL("..", import.meta.url).pathname;

function placeOf(path: string): Place {
  const [top = "", ...below] = path.split("/");
  if (top === "routes") return { row: "routes", folder: "routes" };
  if (top !== "lib") return { row: "free", folder: top };
  const folder = (below[0] ?? "").replace(/\.ts$/, "");
  return { row: ROW_OF_FOLDER[folder] ?? (below.length === 1 ? "leaf" : "unlisted"), folder };
}

function pathOf(filename: string): string {
  const path = filename.replaceAll("\\", "/");
  return path.startsWith(ROOT) ? path.slice(ROOT.length) : path;
}

/** The sentence about a forbidden import, or `null` for an allowed one. */
function judgeImport(path: string, name: string, typesOnly: boolean): string | null {
  const own = placeOf(path);
  if (own.row === "unlisted") return `lib/${own.folder} has no row in tools/layers_lint.ts`;
  if (!/^\.{0,2}\//.test(name)) return judgePackage(own, name);
  if (own.row === "free") return null;
  const other = placeOf(new URL(name, `file:///${path}`).pathname.slice(1));
  if (own.row === other.row && own.folder === other.folder) return null;
  const { code, types } = MAY_SEE[own.row];
  if (code.includes(other.row)) return null;
  if (!types.includes(other.row)) return `${own.folder} may not see ${other.folder}`;
  return typesOnly ? null : `${own.folder} may import types from ${other.folder}, not code`;
}

function judgePackage(own: Place, name: string): string | null {
  if (name === "node:crypto") return "cryptography is Web Crypto here";
  if (own.row === "free") return null;
  const [known, folders] = PACKAGES.find(([known]) => name === known || name.startsWith(`${known}/`)) ?? [];
  if (folders === undefined) return "the package has no line in tools/layers_lint.ts";
  return folders.includes(own.folder) ? null : `${known} is for ${folders.join(", ")}`;
}

const importsPointDown: Deno.lint.Rule = {
  create(context) {
    const path = pathOf(context.filename);

    function check(source: Deno.lint.Node, typesOnly: boolean): void {
      if (source.type !== "Literal" || typeof source.value !== "string") return;
      const fault = judgeImport(path, source.value, typesOnly);
      if (fault !== null) context.report({ node: source, message: `Cannot import "${source.value}": ${fault}` });
    }

    return {
      ImportDeclaration(node) {
        const types = node.specifiers.length > 0 &&
          node.specifiers.every((part) => part.type === "ImportSpecifier" && part.importKind === "type");
        check(node.source, types || node.importKind === "type");
      },
      ExportAllDeclaration: (node) => check(node.source, node.exportKind === "type"),
      ExportNamedDeclaration(node) {
        if (node.source !== null) check(node.source, node.exportKind === "type");
      },
      ImportExpression: (node) => check(node.source, false),
    };
  },
};

/** The library and the routes run on other runtimes and log through what they are given. */
const machineStaysOutside: Deno.lint.Rule = {
  create(context) {
    const { row } = placeOf(pathOf(context.filename));
    if (row === "free") return {};
    return {
      Identifier(node) {
        if (node.name === "Deno") {
          context.report({ node, message: "Deno belongs in server.ts: take what you need as an argument" });
        }
      },
      'MemberExpression[object.name="console"]'(node: Deno.lint.MemberExpression) {
        context.report({ node, message: "Nothing is printed here: take a Logger" });
      },
    };
  },
};

const plugin: Deno.lint.Plugin = {
  name: "layers",
  rules: {
    "imports-point-down": importsPointDown,
    "machine-stays-outside": machineStaysOutside,
  },
};

export default plugin;
