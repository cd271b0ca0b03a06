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
    {
      // What only unusual texts are measured with takes Node longer to make than a command for all else: it is made for those.
      name: "string-width-without-segmenter-at-first",
      transform: {
        filter: { id: /node_modules.string-width.index\.js$/ },
        handler: (code) =>
          code
            .replace(
              "const segmenter = new Intl.Segmenter();",
              "let made; const segmenter = { segment: (text) => (made ??= new Intl.Segmenter()).segment(text) };",
            )
            .replace(/const rgiEmojiRegex = (.*);/, "const rgiEmojiRegex = { test: (text) => $1.test(text) };"),
      },
    },
  ],
  logLevel: "warn",
};
