// An incident of 300 customers, run by four people in real terminals.
//   npm run campaign -- incident
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const vitest = ["vitest", "run", "--config", "test/vitest.config.mts", "process/incident"];
const { status } = spawnSync("npx", vitest, {
  cwd: fileURLToPath(new URL("../..", import.meta.url)),
  stdio: "inherit",
  env: { ...process.env, KILOCLAW_INCIDENT: "1" },
});
process.exitCode = status ?? 1;
