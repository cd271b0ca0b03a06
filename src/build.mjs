// Bundles the command line and the sandbox's repair agent into dist/, one chunk per lazily imported module. CommonJS, because
// Node loads it without the ES-module loader, which costs more than what a short command does.
import { execFile } from "node:child_process";
import { cp, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { rolldown } from "rolldown";
import { BUNDLE } from "./bundle.mjs";
import { emptyDatabase, PGLITE } from "./empty-database.mjs";
import { noticesOf } from "./notices.mjs";

const dist = fileURLToPath(new URL("../dist", import.meta.url));

await rm(dist, { recursive: true, force: true });
const bundle = await rolldown(BUNDLE);
const { output } = await bundle.write({
  dir: dist,
  format: "cjs",
  // Node's ES-module loader costs more than most modules, and the chunks are loaded without it.
  dynamicImportInCjs: false,
  minify: { mangle: true, compress: true, codegen: true },
  comments: { legal: false },
  entryFileNames: "[name].cjs",
  chunkFileNames: "[name]-[hash].cjs",
  // Small, and used everywhere: each file that is opened costs more than what it has in it.
  codeSplitting: {
    groups: [
      { name: "ground", test: /src.(?:environment|errors|exit-codes|json|secrets|typed-command|files.missing)\.ts$/ },
    ],
  },
});
await bundle.close();
await writeFile(`${dist}/THIRD-PARTY-NOTICES.txt`, await noticesOf(output, [PGLITE]));
await cp(fileURLToPath(new URL("sandbox/database/migrations", import.meta.url)), `${dist}/migrations`, {
  recursive: true,
});
await writeFile(`${dist}/database.tar.br`, await emptyDatabase());
for (const file of ["sandbox.css", "sandbox.js"]) {
  await cp(fileURLToPath(new URL(`sandbox/web/browser/${file}`, import.meta.url)), `${dist}/browser/${file}`);
}
await cp(fileURLToPath(new URL("completion/scripts", import.meta.url)), `${dist}/completion`, { recursive: true });
const launcher = fileURLToPath(new URL("../bin/kiloclaw-admin.js", import.meta.url));
/** What the program that was just built prints. @param {string[]} argv */
const printed = async (...argv) => (await promisify(execFile)(process.execPath, [launcher, ...argv])).stdout;
await writeFile(`${dist}/schemas.json`, await printed("help", "json", "all"));
// The man page is the manual.
await writeFile(`${dist}/kiloclaw-admin.1`, await printed("help", "man"));
// The launcher prints it without the program, where it is not for a terminal of some width.
await writeFile(`${dist}/help.txt`, await printed("--help"));
