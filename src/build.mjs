// Bundles the command line and the sandbox's repair agent into dist/, one chunk per lazily imported module.
import { cp, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const dist = at("../dist");

await rm(dist, { recursive: true, force: true });
await build({
  entryPoints: { main: at("main.ts"), agent: at("sandbox/agent/main.ts") },
  outdir: dist,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "none",
  // WebAssembly and data files that must stay where npm puts them.
  external: ["@electric-sql/pglite", "pg-native"],
  // CommonJS dependencies use what an ES module does not have.
  banner: {
    js: [
      'import{createRequire as __cr}from"node:module";import{fileURLToPath as __fp}from"node:url";',
      "const require=__cr(import.meta.url),__filename=__fp(import.meta.url);",
    ].join(""),
  },
  logLevel: "warning",
});
await cp(at("sandbox/database/migrations"), `${dist}/migrations`, { recursive: true });
