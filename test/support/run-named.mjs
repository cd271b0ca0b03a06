import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * Runs one of several programs: the first argument is its name, the others are the program's own. Without a name, or with one
 * that is not there, it lists them and ends with 2.
 *
 * @param {string} script the npm script that stands for all of them
 * @param {Record<string, { file: URL, what: string, usesDist?: boolean, node?: string[] }>} programs by name. `what`: a line
 *   about it; `usesDist`: the command line is built first; `node`: arguments for Node
 */
export function runNamed(script, programs) {
  const [name = "", ...rest] = process.argv.slice(2);
  const program = Object.hasOwn(programs, name) ? programs[name] : undefined;
  if (program === undefined) {
    console.error(`npm run ${script} -- NAME [OPTIONS]`);
    for (const [known, { what }] of Object.entries(programs)) console.error(`  ${known.padEnd(10)}${what}`);
    process.exitCode = 2;
    return;
  }
  const { file, usesDist = false, node = [] } = program;
  if (usesDist && run([fileURLToPath(new URL("../../src/build.mjs", import.meta.url))]) !== 0) return;
  run([...node, fileURLToPath(file), ...rest]);
}

/** @param {string[]} argv */
function run(argv) {
  const { status } = spawnSync(process.execPath, argv, { stdio: "inherit" });
  process.exitCode = status ?? 1;
  return process.exitCode;
}
