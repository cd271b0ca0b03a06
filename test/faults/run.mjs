// The whole fault campaign, or one case of it again.
//   npm run faults -- [--seeds 20] [--seed 17] [--fault reset] [--command start]
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const text = { type: "string" };
const { values } = parseArgs({ options: { seeds: text, seed: text, fault: text, command: text } });
const wish = Object.fromEntries(
  Object.entries(values).map(([name, value]) => [name, name.startsWith("seed") ? Number(value) : value]),
);
const root = fileURLToPath(new URL("../..", import.meta.url));
// Starts that are killed are no fault of the way: they have seeds of their own.
const what = ["faults/", ...(values.fault || values.command ? [] : ["process/start-killed"])];
const vitest = ["vitest", "run", "--config", "test/vitest.config.mts", "--disableConsoleIntercept", ...what];
const { status } = spawnSync("npx", vitest, {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, KILOCLAW_FAULTS: JSON.stringify(wish) },
});
process.exitCode = status ?? 1;
