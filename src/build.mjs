// Bundles the command line and the sandbox's repair agent into dist/, one chunk per lazily imported module. CommonJS, because
// Node loads it without the ES-module loader, which costs more than what a short command does.
import { cp, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const dist = at("../dist");

await rm(dist, { recursive: true, force: true });
const bundle = await rolldown({
  input: { main: at("main.ts"), agent: at("sandbox/agent/main.ts"), keyring: at("config/keyring-program.ts") },
  platform: "node",
  // WebAssembly, data files and native code that must stay where npm puts them.
  external: ["@electric-sql/pglite", "@napi-rs/keyring", "pg-native"],
  transform: { target: "node20.19" },
  plugins: [
    {
      // commander can run subcommands as programs of their own. These never are, and the module brings half of Node along.
      name: "commander-without-child-processes",
      transform: {
        filter: { id: /node_modules.commander.lib.command\.js$/ },
        handler: (code) => code.replace("require('node:child_process')", "{}"),
      },
    },
  ],
  logLevel: "warn",
});
await bundle.write({
  dir: dist,
  format: "cjs",
  minify: { mangle: true, compress: true, codegen: true },
  comments: { legal: false },
  entryFileNames: "[name].cjs",
  chunkFileNames: "[name]-[hash].cjs",
});
await bundle.close();
await cp(at("sandbox/database/migrations"), `${dist}/migrations`, { recursive: true });
