// What a safe start costs next to a bare one, which is a single POST by a minimal program: in requests and in time, measured in
// turns so that the machine's moods hit both.
//   npm run bench -- start [RUNS]     default: 15 runs
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const BIN = fileURLToPath(new URL("../../bin/kiloclaw-admin.js", import.meta.url));
const runs = Number(process.argv[2] ?? 15);
const home = await mkdtemp(join(tmpdir(), "kiloclaw-admin-bench-"));
/** @type {NodeJS.ProcessEnv} */
const env = { ...process.env, KILOCLAW_ADMIN_CONFIG_DIR: home, KILOCLAW_ADMIN_PROFILE: "sandbox" };
// It is read at every start and would drown the differences, in the bare start too.
delete env.NODE_EXTRA_CA_CERTS;
const PROMPT = "[rehearse lines=1]";
const PATH = "/api/trpc/admin.kiloclawInstances.startKiloCliRun";

const BARE = `
  const [url, token, body] = process.argv.slice(1);
  const headers = { authorization: "Bearer " + token, "content-type": "application/json" };
  require("node:http").request(url, { method: "POST", headers }, (answer) => {
    answer.resume();
    if (answer.statusCode !== 200) process.exitCode = 1;
  }).end(body);
`;

/**
 * Runs a program to its end: how long it takes, and what it says on standard error.
 *
 * @param {string[]} argv
 * @returns {Promise<{ ms: number, said: string }>}
 */
function time(argv) {
  return new Promise((resolve, reject) => {
    const began = process.hrtime.bigint();
    const child = spawn(process.execPath, argv, { env, stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (text) => (said += text));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code !== 0) reject(new Error(`exit code ${code}: ${said}`));
      else resolve({ ms: Number(process.hrtime.bigint() - began) / 1e6, said });
    });
  });
}

const median = (/** @type {number[]} */ values) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const output = (/** @type {string[]} */ ...argv) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...argv], { env, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout.trim();
};

try {
  const url = output("sandbox", "start", "--detach", "--port", "0", "--users", String(2 * runs + 2));
  const token = output("sandbox", "token");
  const search = ["--search", "@load.example.com", "--limit", "1000", "--no-refresh"];
  /** @type {{ id?: string, userId?: string, userEmail?: string }[]} */
  const customers = JSON.parse(output("instances", "list", ...search, "--json", "--fields", "id,userId,userEmail"));
  const next = () => customers.shift() ?? {};
  const bare = () => {
    const { id: instanceId, userId } = next();
    return time(["-e", BARE, `${url}${PATH}`, token, JSON.stringify({ userId, instanceId, prompt: PROMPT })]);
  };
  const ours = (/** @type {string[]} */ ...more) =>
    time([BIN, "runs", "start", "-u", next().userEmail ?? "", "-p", PROMPT, ...more]);

  await bare();
  const { said } = await ours("--debug");
  const calls = said.split("\n").filter((line) => line.startsWith("debug: "));
  /** @type {{ bare: number[], ours: number[] }} */
  const times = { bare: [], ours: [] };
  for (let run = 0; run < runs; run++) {
    times.bare.push((await bare()).ms);
    times.ours.push((await ours()).ms);
  }
  /** @type {number[]} */
  const empty = [];
  for (let run = 0; run < runs; run++) empty.push((await time(["-e", "0"])).ms);

  const row = (/** @type {string} */ name, /** @type {number} */ requests, /** @type {number} */ ms) => {
    const figures = [requests, ms.toFixed(0), (ms - median(empty)).toFixed(0)].map((figure) =>
      String(figure).padStart(10),
    );
    console.log(name.padEnd(34) + figures.join(""));
  };
  console.log(`medians of ${runs}, in turns; Node ${process.versions.node} alone takes ${median(empty).toFixed(0)} ms`);
  console.log(`${"start".padEnd(34)}${["requests", "ms", "- node"].map((title) => title.padStart(10)).join("")}`);
  row("one POST by a minimal program", 1, median(times.bare));
  row("kiloclaw-admin runs start", calls.length, median(times.ours));
  console.log(`\n${calls.join("\n")}`);
} finally {
  spawnSync(process.execPath, [BIN, "sandbox", "stop"], { env });
  await rm(home, { recursive: true, force: true });
}
