// What it costs to watch 10, 100 and 1,000 runs that say nothing, and how soon an end is seen: one process for all, next to a
// process for each, and next to a plain loop that asks about each run every 3 s, as the platform's own page does. All against
// one sandbox on a real Postgres, with a real process for every run.
//   npm run bench -- watch [--sizes 10,100,1000] [--rest 30] [--ways table,lines,each,loop] [--profile FOLDER]
// With a folder, each watching process leaves a CPU profile there.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { Meter } from "./meter.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BIN = join(ROOT, "bin", "kiloclaw-admin.js");
const LOOP = join(ROOT, "test", "bench", "watch-loop.mjs");
const { values } = parseArgs({
  options: {
    sizes: { type: "string", default: "10,100,1000" },
    rest: { type: "string", default: "30" },
    ways: { type: "string", default: "table,lines,each,loop" },
    profile: { type: "string" },
  },
});
const sizes = values.sizes.split(",").map(Number);
const restMs = Number(values.rest) * 1_000;
const most = Math.max(...sizes);

/** A run that says nothing is asked about every 10 s once it has been silent for 30. */
const CALM_MS = 36_000;
const CADENCE_MS = 10_000;
/** Processes of one run each that this machine is asked to hold at a time. */
const MAX_PROCESSES = 100;
const SAMPLE_OF_MANY = 50;
const MAX_ENDS = 40;
const ENDS_WITHIN_MS = 20_000;
const MAX_NOTICE_MS = 60_000;

/** A run's process: it says one line, and another when it is told to end. */
const AGENT = `#!/bin/sh
echo "at work"
read -r code < "$KILOCLAW_BENCH_GATES/\${1##*#}"
echo "done"
exit "$code"
`;

const home = await mkdtemp(join(tmpdir(), "kiloclaw-admin-bench-"));
const gates = join(home, "gates");
/** @type {NodeJS.ProcessEnv} */
const env = {
  ...process.env,
  KILOCLAW_ADMIN_CONFIG_DIR: join(home, "config"),
  KILOCLAW_ADMIN_PROFILE: "sandbox",
  KILOCLAW_BENCH_GATES: gates,
};
delete env.NODE_EXTRA_CA_CERTS;

const tool = (/** @type {string[]} */ ...argv) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...argv], {
    env,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(stderr);
  return stdout.trim();
};

/**
 * Loads a module of the project's that is TypeScript.
 *
 * @param {string[]} path
 */
async function load(...path) {
  const outfile = join(ROOT, "node_modules", ".cache", "kiloclaw-admin", `bench-${process.pid}.mjs`);
  const entryPoints = [join(ROOT, ...path)];
  await build({ entryPoints, outfile, bundle: true, format: "esm", platform: "node", packages: "external" });
  try {
    return await import(`${pathToFileURL(outfile).href}?${path.join("/")}`);
  } finally {
    await rm(outfile);
  }
}

const quantile = (/** @type {number[]} */ sorted, /** @type {number} */ part) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;

/**
 * @typedef {{ number: number, id: string, userId: string, instanceId: string }} Run
 * @typedef {(procedure: string, input: Record<string, unknown>) => Promise<any>} Call
 * @typedef {"table" | "lines" | "each" | "loop"} Way
 */

/** The sandbox's runs: each on an instance of its own, its prompt saying its number and in which sizes it is watched. */
class Runs {
  #customer;
  #call;
  /**
   * By run ID: when the run was told to end.
   *
   * @type {Map<string, number>}
   */
  told = new Map();

  /**
   * @param {typeof import("../../src/sandbox/seed/people.ts").loadCustomer} customer
   * @param {Call} call
   */
  constructor(customer, call) {
    this.#customer = customer;
    this.#call = call;
  }

  /**
   * Marks are what a watch searches for: `of-10.` is in the prompts of the first ten.
   *
   * @param {number} number
   * @returns {Promise<Run>}
   */
  async start(number) {
    const { instanceId, person } = this.#customer(number + 1);
    const userId = person.id;
    const marks = sizes.filter((size) => number < size).map((size) => `of-${size}.`);
    const prompt = `${marks.join(" ")} #${number}`;
    const { id } = await this.#call("startKiloCliRun", { userId, instanceId, prompt });
    return { number, id, userId, instanceId };
  }

  async startAll() {
    /** @type {Run[]} */
    const runs = [];
    const numbers = Array.from({ length: most }, (_, number) => number);
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let number = numbers.shift(); number !== undefined; number = numbers.shift())
          runs[number] = await this.start(number);
      }),
    );
    return runs;
  }

  /** @param {Run} run */
  async end({ number, id }) {
    this.told.set(id, performance.now());
    await writeFile(join(gates, String(number)), "0\n");
  }
}

/** Processes that watch, and what they were seen to do. */
class Watchers {
  /** @type {import("node:child_process").ChildProcess[]} */
  children = [];
  /** @type {number[]} */
  pids = [];
  /** What each of those that have ended said on standard error. */
  said = new Map();
  frames = 0;
  /**
   * By run ID: when its end was seen.
   *
   * @type {Map<string, number>}
   */
  noticed = new Map();

  /**
   * A process whose standard output is lines that name a run that has ended.
   *
   * @param {string[]} argv
   */
  lines(argv) {
    const child = spawn(process.execPath, argv, { env, stdio: ["ignore", "pipe", "pipe"] });
    let rest = "";
    child.stdout.setEncoding("utf8").on("data", (/** @type {string} */ text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const id = /^\{"type":"end","runId":"([^"]+)"/.exec(line)?.[1];
        if (id) this.noticed.set(id, performance.now());
      }
    });
    this.#keep(child, child.pid ?? 0);
  }

  /**
   * A process at a terminal of its own.
   *
   * @param {string[]} argv
   */
  async table(argv) {
    const pidFile = join(home, "pid");
    const words = [process.execPath, ...argv].map((word) => `'${word}'`).join(" ");
    const command = `stty rows 50 cols 160; echo $$ > '${pidFile}'; exec ${words}`;
    const child = spawn("script", ["-qec", command, "/dev/null"], {
      env: { ...env, SHELL: "/bin/sh", TERM: "xterm-256color" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    // Each frame begins with what takes the last one away.
    // oxlint-disable-next-line no-control-regex -- that is what it writes
    child.stdout.setEncoding("latin1").on("data", (text) => (this.frames += text.match(/\u001b\[J/g)?.length ?? 0));
    await sleep(1_000);
    this.#keep(child, Number(await readFile(pidFile, "utf8")));
  }

  /**
   * @param {import("node:child_process").ChildProcessByStdio<null, import("node:stream").Readable, import("node:stream").Readable>} child
   * @param {number} pid
   */
  #keep(child, pid) {
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (said = (said + text).slice(-2_000)));
    child.once("exit", () => this.said.set(pid, said));
    this.children.push(child);
    this.pids.push(pid);
  }

  async stop() {
    for (const [index, child] of this.children.entries()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, "exit");
      process.kill(this.pids[index] ?? 0, "SIGINT");
      await ended;
    }
  }

  /** Seconds of CPU so far, of all of them together, and their memory now, in MiB. */
  async cost() {
    let cpu = 0;
    let rss = 0;
    for (const pid of this.pids) {
      const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      // Clock ticks of 1/100 s: proc(5), utime and stime.
      if (fields.length > 12) cpu += (Number(fields[11]) + Number(fields[12])) / 100;
      const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
      rss += Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1_024;
    }
    return { cpu, rss };
  }
}

const profiling = values.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${values.profile}`];
const watch = (/** @type {string[]} */ ...argv) => [...profiling, BIN, "runs", "watch", ...argv];
/**
 * @typedef {object} Measured
 * @property {string} name
 * @property {(watchers: Watchers, size: number, runs: Run[], access: { url: string, token: string }) => void | Promise<void>} begin
 */

/** @type {Record<Way, Measured>} */
const WAYS = {
  table: {
    name: "one process, a table on a terminal",
    begin: (watchers, size) => watchers.table(watch("--running", "-S", `of-${size}.`)),
  },
  lines: {
    name: "one process, -o jsonl",
    begin: (watchers, size) => watchers.lines(watch("--running", "-S", `of-${size}.`, "-o", "jsonl")),
  },
  each: {
    name: "(a) a process for each run",
    begin: (watchers, _size, runs) => {
      for (const { id, userId } of runs) watchers.lines(watch(id, "--user", userId, "-o", "jsonl"));
    },
  },
  loop: {
    name: "(b) a loop of @trpc/client, every 3 s",
    begin: async (watchers, _size, runs, { url, token }) => {
      const file = join(home, "runs.json");
      await writeFile(file, JSON.stringify(runs));
      watchers.lines([LOOP, url, token, file]);
    },
  },
};

/**
 * @param {Way} way
 * @param {number} size
 * @param {Run[]} board
 * @param {{ meter: Meter, runs: Runs, url: string, token: string, settle: (run: Run) => Promise<unknown> }} access
 */
async function measure(way, size, board, { meter, runs, ...access }) {
  const watchers = new Watchers();
  const sample = way === "each" && size > MAX_PROCESSES ? SAMPLE_OF_MANY : size;
  const watched = board.slice(0, sample);
  try {
    await WAYS[way].begin(watchers, size, watched, access);
    await sleep(CALM_MS + sample * (way === "each" ? 150 : 10));
    const before = await watchers.cost();
    const [wire, frames, began] = [meter.read(), watchers.frames, performance.now()];
    await sleep(restMs);
    const after = await watchers.cost();
    const then = meter.read();
    const seconds = (performance.now() - began) / 1_000;
    const shown = {
      way,
      size,
      sample,
      rss: after.rss,
      requests: ((then.requests - wire.requests) / seconds) * 60,
      bytes: ((then.bytes - wire.bytes) / seconds) * 60,
      cpu: ((after.cpu - before.cpu) / seconds) * 100,
      frames: (watchers.frames - frames) / seconds,
    };
    return { ...shown, notices: way === "table" ? undefined : await endings(watchers, watched, runs) };
  } finally {
    await watchers.stop();
    // Those that have ended are there again for the next.
    for (const run of watched) {
      if (!runs.told.has(run.id)) continue;
      await access.settle(run);
      board[run.number] = await runs.start(run.number);
    }
  }
}

/**
 * Ends some of the runs at times by chance.
 *
 * @param {Watchers} watchers
 * @param {Run[]} watched
 * @param {Runs} runs
 * @returns how long each end took to be seen, in milliseconds
 */
async function endings(watchers, watched, runs) {
  const chosen = watched.filter((_, index) => index % Math.ceil(watched.length / MAX_ENDS) === 0);
  await Promise.all(
    chosen.map(async (run) => {
      await sleep(Math.random() * ENDS_WITHIN_MS);
      await runs.end(run);
    }),
  );
  const deadline = performance.now() + MAX_NOTICE_MS;
  const waiting = () => chosen.some(({ id }) => !watchers.noticed.has(id));
  while (waiting() && performance.now() < deadline) await sleep(200);
  if (waiting()) throw new Error(`an end was not seen for a minute: ${[...watchers.said.values()].join()}`);
  return chosen.map(({ id }) => Number(watchers.noticed.get(id)) - Number(runs.told.get(id))).toSorted((a, b) => a - b);
}

const TITLES = ["requests/min", "KiB/min", "CPU %", "RSS MiB", "frames/s", "end p50 s", "end p95 s"];
const line = (/** @type {string} */ name, /** @type {unknown[]} */ cells) =>
  console.log(name.padEnd(46) + cells.map((cell) => String(cell).padStart(13)).join(""));

/**
 * @param {number} size
 * @param {Awaited<ReturnType<typeof measure>>[]} rows
 */
function show(size, rows) {
  line(`\n${size} runs`, TITLES);
  const each = rows.find(({ way }) => way === "each");
  for (const row of rows) {
    const { way, sample, requests, bytes, cpu, rss, frames, notices } = row;
    line(`${WAYS[way].name}${sample < size ? `: ${sample} of them` : ""}`, [
      requests.toFixed(0),
      (bytes / 1_024).toFixed(0),
      cpu.toFixed(1),
      rss.toFixed(0),
      way === "table" ? frames.toFixed(1) : "",
      notices ? (quantile(notices, 0.5) / 1_000).toFixed(1) : "",
      notices ? (quantile(notices, 0.95) / 1_000).toFixed(1) : "",
    ]);
    if (!each || row === each) continue;
    const ratio = (/** @type {"requests" | "bytes" | "cpu" | "rss"} */ key) =>
      `1/${(((each[key] / each.sample) * size) / row[key]).toFixed(1)}`;
    line("    of (a), run for run", [ratio("requests"), ratio("bytes"), ratio("cpu"), ratio("rss")]);
  }
}

/** @type {typeof import("../support/postgres.ts")} */
const { startPostgres } = await load("test", "support", "postgres.ts");
/** @type {typeof import("../../src/sandbox/seed/people.ts")} */
const { loadCustomer } = await load("src", "sandbox", "seed", "people.ts");
const server = await startPostgres();
if (!server) throw new Error("there is no PostgreSQL for this platform in node_modules");
try {
  await mkdir(gates, { recursive: true });
  const agent = join(home, "agent.sh");
  await writeFile(agent, AGENT, { mode: 0o755 });
  const made = spawnSync(
    "mkfifo",
    Array.from({ length: most }, (_, number) => join(gates, String(number))),
  );
  if (made.status !== 0) throw new Error(String(made.stderr));
  const url = tool(
    "sandbox",
    "start",
    "--detach",
    "--port",
    "0",
    "--users",
    String(most),
    "--database-url",
    server.url,
    "--agent",
    `/bin/sh ${agent}`,
  );
  const token = tool("sandbox", "token");
  // From here on nothing waits for a process without turns of the loop: the meter has to go on.
  const meter = await Meter.open(url);
  Object.assign(env, { KILOCLAW_ADMIN_HOST: meter.url, KILOCLAW_ADMIN_TOKEN: token });
  /** @type {Call} */
  const call = async (procedure, input) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const mutation = procedure.startsWith("start");
    const address = `${url}/api/trpc/admin.kiloclawInstances.${procedure}`;
    const response = mutation
      ? await fetch(address, { method: "POST", headers, body: JSON.stringify(input) })
      : await fetch(`${address}?input=${encodeURIComponent(JSON.stringify(input))}`, { headers });
    const { result, error } = /** @type {any} */ (await response.json());
    if (error) throw new Error(`${procedure}: ${error.message}`);
    return result.data;
  };
  const settle = (/** @type {Run} */ { id: runId, userId, instanceId }) =>
    call("getKiloCliRunStatus", { userId, runId, instanceId });
  const runs = new Runs(loadCustomer, call);
  const board = await runs.startAll();
  const processes = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).length;
  console.log(
    `${board.length} runs in progress (${processes} processes here); at rest for ${restMs / 1_000} s; Node ${process.versions.node}`,
  );
  for (const size of sizes) {
    const rows = [];
    for (const way of /** @type {Way[]} */ (values.ways.split(","))) {
      rows.push(await measure(way, size, board, { meter, runs, url: meter.url, token, settle }));
    }
    show(size, rows);
  }
  console.log(
    `\nCPU: of one core, of the watching processes alone. An end is seen within 2 x ${CADENCE_MS / 1_000} s if all is well.`,
  );
  meter.close();
} finally {
  spawnSync(process.execPath, [BIN, "sandbox", "stop"], { env: { ...env, KILOCLAW_ADMIN_HOST: undefined } });
  await server.stop();
  await rm(home, { recursive: true, force: true });
}
