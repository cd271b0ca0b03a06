// What starting up costs, as ratios to a bare `node -e 0`, measured in turn in one run so that the machine's moods hit both.
//   npm run bench -- startup [RUNS] [NODE …]     default: 21 runs, this Node
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const BIN = fileURLToPath(new URL("../../bin/kiloclaw-admin.js", import.meta.url));
const [runs = "21", ...nodes] = process.argv.slice(2);
const home = await mkdtemp(join(tmpdir(), "kiloclaw-admin-bench-"));
/** @type {NodeJS.ProcessEnv} */
const env = { ...process.env, KILOCLAW_ADMIN_CONFIG_DIR: home, KILOCLAW_ADMIN_PROFILE: "sandbox" };
// It is read at every start and would drown the differences, in the baseline too.
delete env.NODE_EXTRA_CA_CERTS;

const CASES = [
  { name: "--version", argv: ["--version"], limit: 1.08 },
  { name: "--help", argv: ["--help"], limit: 1.35 },
  { name: "runs --help", argv: ["runs", "--help"], limit: 1.6 },
  { name: "runs list --no-refresh -o json", argv: ["runs", "list", "--no-refresh", "-o", "json"], limit: 3 },
];

/**
 * @param {string} node
 * @param {string[]} argv
 * @returns {Promise<number>} milliseconds
 */
function time(node, argv) {
  return new Promise((resolve, reject) => {
    const began = process.hrtime.bigint();
    const child = spawn(node, argv, { env, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.resume();
    child.stderr.resume();
    child.on("error", reject);
    child.on("close", (code) => {
      if (code !== 0) reject(new Error(`exit code ${code}: ${argv.join(" ")}`));
      else resolve(Number(process.hrtime.bigint() - began) / 1e6);
    });
  });
}

const median = (/** @type {number[]} */ values) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

const started = spawnSync(process.execPath, [BIN, "sandbox", "start", "--detach", "--port", "0"], { env });
if (started.status !== 0) throw new Error(String(started.stderr));
let missed = 0;
try {
  for (const node of nodes.length > 0 ? nodes : [process.execPath]) {
    const version = String(spawnSync(node, ["--version"], { env }).stdout).trim();
    for (const { argv } of CASES) await time(node, [BIN, ...argv]);
    /** @type {number[]} */
    const bareTimes = [];
    const cases = CASES.map((one) => ({ ...one, times: /** @type {number[]} */ ([]) }));
    for (let run = 0; run < Number(runs); run++) {
      bareTimes.push(await time(node, ["-e", "0"]));
      for (const { argv, times } of cases) times.push(await time(node, [BIN, ...argv]));
    }
    const bare = median(bareTimes);
    console.log(`\n${version}: node -e 0 takes ${bare.toFixed(1)} ms (median of ${runs})`);
    console.log(`${"command".padEnd(34)}${"ms".padStart(8)}${"ratio".padStart(8)}${"aim".padStart(8)}`);
    for (const { name, limit, times } of cases) {
      const ms = median(times);
      if (ms / bare > limit) missed += 1;
      const figures = [ms.toFixed(1), (ms / bare).toFixed(2), `≤ ${limit}`].map((figure) => figure.padStart(8));
      console.log(name.padEnd(34) + figures.join("") + (ms / bare > limit ? "  missed" : ""));
    }
  }
} finally {
  spawnSync(process.execPath, [BIN, "sandbox", "stop"], { env });
  await rm(home, { recursive: true, force: true });
}
if (missed > 0) console.log(`\n${missed} above the aim`);
