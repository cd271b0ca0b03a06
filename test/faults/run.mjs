// The whole fault campaign, one case of it again, or jobs alone: killed, over a way that fails, and meeting each other.
//   npm run campaign -- faults [--seeds 20] [--seed 17] [--fault reset] [--command start]
//   npm run campaign -- faults --jobs
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const text = /** @type {const} */ ({ type: "string" });
const { values } = parseArgs({
  options: { seeds: text, seed: text, fault: text, command: text, jobs: { type: "boolean" } },
});
const { jobs, ...asked } = values;
const wish = Object.fromEntries(
  Object.entries(asked).map(([name, value]) => [name, name.startsWith("seed") ? Number(value) : value]),
);
const root = fileURLToPath(new URL("../..", import.meta.url));
// What is killed is no fault of the way, and what happens to a job is no case: they have seeds of their own.
const killed = ["process/start-killed", "process/job-killed"];
const what = jobs
  ? ["faults/jobs", "process/job-killed"]
  : values.fault || values.command
    ? ["faults/start", "faults/others"]
    : ["faults/", ...killed];
const vitest = ["vitest", "run", "--config", "test/vitest.config.mts", "--disableConsoleIntercept", ...what];
const { status } = spawnSync("npx", vitest, {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, KILOCLAW_FAULTS: JSON.stringify(wish) },
});
process.exitCode = status ?? 1;
