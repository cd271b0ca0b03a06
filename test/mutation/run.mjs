/**
 * How strong the tests of the safety core are: changes it in many small ways, one at a time, and looks which changes a test
 * notices. A campaign of its own: it takes minutes for each group.
 *
 *   npm run campaign -- mutation [GROUP…] [--only FILE] [--concurrency N]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Stryker } from "@stryker-mutator/core";
import { GROUPS } from "./groups.mjs";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { concurrency: { type: "string", default: "2" }, only: { type: "string" } },
});
const names = positionals.length > 0 ? positionals : Object.keys(GROUPS);
const unknown = names.filter((name) => !(name in GROUPS));
if (unknown.length > 0)
  throw new Error(`no such group: ${unknown.join(", ")}; groups: ${Object.keys(GROUPS).join(", ")}`);

const DETECTED = new Set(["Killed", "Timeout"]);
const UNDETECTED = new Set(["Survived", "NoCoverage"]);
const totals = { killed: 0, left: 0 };
mkdirSync("dist", { recursive: true });
for (const name of names) {
  const group = GROUPS[name];
  if (!group) continue;
  const { mutate: all, tests, timeoutMs = 20_000 } = group;
  const mutate = values.only === undefined ? all : [values.only];
  process.env.MUTATION_TESTS = JSON.stringify(tests.map((test) => `${test}.test.ts`));
  const began = performance.now();
  const results = await new Stryker({
    mutate,
    testRunner: "vitest",
    plugins: ["@stryker-mutator/vitest-runner"],
    vitest: { configFile: "test/mutation/vitest.config.mts", related: false },
    coverageAnalysis: "perTest",
    // What runs once at import would need all tests again for each of its mutants.
    ignoreStatic: true,
    // Words are for people: tests look at those that promise something.
    mutator: { excludedMutations: ["StringLiteral"] },
    // TypeScript 7 has no API that could read it, and nothing here needs it.
    tsconfigFile: "none",
    concurrency: Number(values.concurrency),
    timeoutMS: timeoutMs,
    dryRunTimeoutMinutes: 15,
    tempDirName: "node_modules/.stryker-tmp",
    ignorePatterns: ["dist"],
    reporters: ["dots"],
    // An enum that its package keeps to itself.
    logLevel: /** @type {any} */ ("warn"),
    allowConsoleColors: false,
  }).runMutationTest();
  const left = results.filter(({ status }) => UNDETECTED.has(status));
  const killed = results.filter(({ status }) => DETECTED.has(status)).length;
  totals.killed += killed;
  totals.left += left.length;
  console.log(`${name}: ${score(killed, left.length)} in ${Math.round((performance.now() - began) / 1000)} s`);
  const lines = left.map(
    ({ fileName, location: { start }, mutatorName, replacement, status }) =>
      `  ${fileName}:${start.line}:${start.column} ${mutatorName}${status === "NoCoverage" ? " (no test comes here)" : ""}: ${replacement?.replaceAll(/\s+/g, " ").slice(0, 100)}`,
  );
  for (const line of lines.toSorted()) console.log(line);
  writeFileSync(`dist/mutation-${name}.json`, JSON.stringify(results));
}
console.log(`all: ${score(totals.killed, totals.left)}`);

/**
 * @param {number} killed
 * @param {number} left
 */
function score(killed, left) {
  return `${killed} of ${killed + left} mutants killed (${((100 * killed) / Math.max(1, killed + left)).toFixed(1)} %)`;
}
