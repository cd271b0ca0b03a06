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
const vitest = ["vitest", "run", "--config", "test/vitest.config.mts", "--disableConsoleIntercept", "faults/"];
const { status } = spawnSync("npx", vitest, {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, KILOCLAW_FAULTS: JSON.stringify(wish) },
});
process.exitCode = status ?? 1;
