import { fileURLToPath } from "node:url";

const at = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));

/**
 * What goes into `dist`: the command line, the sandbox's repair agent, and the programs that ask the keyring and run jq.
 *
 * @type {import("rolldown").InputOptions}
 */
export const BUNDLE = {
  input: {
    main: at("main.ts"),
    agent: at("sandbox/agent/main.ts"),
    keyring: at("config/keyring-program.ts"),
    jq: at("terminal/jq-program.ts"),
  },
  platform: "node",
  // WebAssembly, data files and native code that must stay where npm puts them.
  external: ["@electric-sql/pglite", "jq-wasm", "@napi-rs/keyring", "pg-native"],
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
};
