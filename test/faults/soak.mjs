// Watching over a way that fails one answer in five, for as long as is asked for.
//   npm run campaign -- soak [--minutes 30] [--seed 1]
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const text = /** @type {const} */ ({ type: "string" });
const { values } = parseArgs({ options: { minutes: { ...text, default: "30" }, seed: { ...text, default: "1" } } });
const wish = { minutes: Number(values.minutes), seed: Number(values.seed) };
if (!(wish.minutes > 0) || !Number.isInteger(wish.seed)) {
  console.error("npm run campaign -- soak [--minutes 30] [--seed 1]: minutes is a number above 0, seed a whole one");
  process.exit(2);
}
const vitest = ["vitest", "run", "--config", "test/vitest.config.mts", "--disableConsoleIntercept", "faults/soak"];
const { status } = spawnSync("npx", vitest, {
  cwd: fileURLToPath(new URL("../..", import.meta.url)),
  stdio: "inherit",
  env: { ...process.env, KILOCLAW_SOAK: JSON.stringify(wish) },
});
process.exitCode = status ?? 1;
