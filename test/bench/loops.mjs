// A job side by side with a shell loop and with a bare loop of start requests, on one sandbox with a real PostgreSQL server.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { Client } from "pg";
import { BIN, environment, measure, megabytes, printTable, seconds } from "./client.mjs";

/**
 * @typedef {{ userId: string, instanceId: string, email: string, prompt: string }} Customer
 * @typedef {{ id: string, instanceId: string, prompt: string, status: string, exitCode: number | null, at: number }} Row
 * @typedef {Awaited<ReturnType<typeof measure>>} Cost
 * @typedef {Cost & { serverMs: number, rows: Row[], count: number, spanMs: number }} Result
 * @typedef {(sandbox: Sandbox, targets: Customer[]) => Promise<Cost>} Work
 * @typedef {object} Sandbox
 * @property {string} url
 * @property {string} token
 * @property {number} pid
 * @property {Client} database
 * @property {Customer[]} customers
 * @property {(argv: string[], more?: Partial<import("./client.mjs").Options>) => Promise<Cost>} cli
 * @property {NodeJS.ProcessEnv} env
 * @property {string} home
 * @property {string | undefined} profile
 * @property {number} sample so many starts of the shell loop stand for all
 * @property {number} slices
 * @property {number} concurrency
 * @property {string} agent `node` or `shell`
 */

const at = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));
/** What a run takes. */
const RUN_SECONDS = 0.2;
/** One in so many runs fails, so that outcomes can be told apart. */
const FAILING = 10;
const promptOf = (/** @type {number} */ exit) => `[rehearse delay=${RUN_SECONDS} lines=1 interval=0 exit=${exit}]`;
/** Does the same as the built-in program on such a prompt, for a hundredth of its cost. */
const CHEAP_AGENT = `case "$1" in *exit=1*) sleep ${RUN_SECONDS}; exit 1;; esac; exec sleep ${RUN_SECONDS}\n`;

/**
 * @typedef {Pick<Sandbox, "sample" | "slices" | "profile"> & { users: number, concurrencies: number[] }} Options
 *
 * @param {Options & { agents: string[] }} options
 */
export async function compareLoops({ agents, ...options }) {
  const home = await mkdtemp(join(tmpdir(), "kiloclaw-admin-bench-"));
  let postgres;
  try {
    postgres = await startPostgres();
    for (const agent of agents) await onSandbox({ ...options, agent, home, databaseUrl: postgres.url });
  } finally {
    await postgres?.stop();
    await rm(home, { recursive: true, force: true });
  }
}

async function startPostgres() {
  const outfile = join(at("../../node_modules/.cache"), `bench-postgres-${process.pid}.mjs`);
  await build({
    entryPoints: [at("../support/postgres.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
  });
  try {
    /** @type {Awaited<ReturnType<typeof import("../support/postgres.ts").startPostgres>>} */
    const postgres = await (await import(pathToFileURL(outfile).href)).startPostgres();
    if (!postgres) throw new Error("npm has no PostgreSQL for this platform");
    return postgres;
  } finally {
    await rm(outfile);
  }
}

/** @param {Options & { agent: string, home: string, databaseUrl: string }} options */
async function onSandbox({ users, sample, slices, concurrencies, agent, home, databaseUrl, profile }) {
  const env = { ...environment(home), KILOCLAW_ADMIN_PROFILE: "sandbox" };
  /** @type {Sandbox["cli"]} */
  const cli = (argv, more) => measure(process.execPath, [BIN, ...argv], { env, home, ...more });
  const script = join(home, "agent.sh");
  await writeFile(script, CHEAP_AGENT);
  const other = agent === "shell" ? ["--agent", `/bin/sh ${script}`] : [];
  const begin = ["sandbox", "start", "--detach", "--port", "0", "--users", String(users), "--database-url"];
  const { out } = await cli([...begin, databaseUrl, ...other], { metered: false });
  const url = out.trim();
  const database = new Client({ connectionString: databaseUrl });
  try {
    await database.connect();
    const token = (await cli(["sandbox", "token"])).out.trim();
    const customers = await customersIn(database);
    if (customers.length !== users) throw new Error(`the sandbox has ${customers.length} customers, not ${users}`);
    const { pid } = JSON.parse((await cli(["sandbox", "status", "--json"])).out);
    const sandbox = { url, token, pid, database, customers, cli, env, home, profile };
    for (const concurrency of concurrencies) await compare({ ...sandbox, sample, slices, concurrency, agent });
  } finally {
    await database.end();
    await cli(["sandbox", "stop"]);
  }
}

/**
 * @param {Client} database
 * @returns {Promise<Customer[]>}
 */
async function customersIn(database) {
  const { rows } = await database.query(
    `select i.id as "instanceId", i.user_id as "userId", u.google_user_email as email from kiloclaw_instances i
     join kilocode_users u on u.id = i.user_id where u.google_user_email like '%@load.example.com' order by i.id`,
  );
  return rows.map((row, at) => ({ ...row, prompt: promptOf(at % FAILING === 0 ? 1 : 0) }));
}

/** @param {Sandbox} sandbox */
async function compare(sandbox) {
  const { customers, sample, slices, concurrency, agent } = sandbox;
  const program = agent === "node" ? "the built-in program" : "a shell script";
  console.log(
    `\n${customers.length} targets, ${concurrency} at a time; a run is ${program} that sleeps ${RUN_SECONDS} s`,
  );
  const bare = { name: `bare loop of @trpc/client, in ${slices} slices`, work: bareLoop, targets: customers };
  const job = { name: `job, --detach, in ${slices} slices`, work: startJob, targets: customers };
  const shell = { name: `xargs -P ${concurrency}, ${sample} in ${slices} slices`, work: shellLoop };
  const all = [bare, job, { ...shell, targets: customers.slice(0, sample) }].map((one) => ({
    ...one,
    results: /** @type {Result[]} */ ([]),
  }));
  for (let slice = 0; slice < slices; slice++) {
    // In turns, and each of them first at times: so whatever else the machine does hits all alike.
    for (let turn = 0; turn < all.length; turn++) {
      const one = all[(slice + turn) % all.length];
      if (one === undefined) continue;
      const { name, work, targets, results } = one;
      const [from, to] = [slice, slice + 1].map((edge) => Math.round((targets.length * edge) / slices));
      results.push(await measureOne(sandbox, { name, work, targets: targets.slice(from, to) }));
    }
  }
  const whole = await measureOne(sandbox, { name: "job", work: followJob, targets: customers, ended: true });
  await checkReport(sandbox, whole.rows);
  print([...all, { name: "job, --wait, in one", results: [whole] }]);
}

/**
 * @param {Sandbox} sandbox
 * @param {{ name: string, work: Work, targets: Customer[], ended?: boolean }} what
 * @returns {Promise<Result>}
 */
async function measureOne(sandbox, { name, work, targets, ended = false }) {
  await sandbox.cli(["sandbox", "reset", "--yes"]);
  const before = await serverCpuMs(sandbox.pid);
  const cost = await work(sandbox, targets);
  const serverMs = (await serverCpuMs(sandbox.pid)) - before;
  const rows = await rowsIn(sandbox.database);
  check(name, rows, targets, ended);
  const times = rows.map(({ at }) => at);
  return { ...cost, serverMs, rows, count: rows.length, spanMs: Math.max(...times) - Math.min(...times) };
}

/** @type {Work} */
function bareLoop(sandbox, targets) {
  const { url, token, concurrency } = sandbox;
  const inputs = targets.map(({ userId, instanceId, prompt }) => ({ userId, instanceId, prompt }));
  const argv = [at("bare-loop.mjs"), url, token, String(concurrency)];
  return measure(process.execPath, argv, { ...sandbox, profile: undefined, input: JSON.stringify(inputs) });
}

/** @type {Work} */
function shellLoop(sandbox, targets) {
  const start = [process.execPath, BIN, "runs", "start", "-q", "-p", promptOf(0), "-u"];
  const argv = ["-P", String(sandbox.concurrency), "-n", "1", ...start];
  const input = targets.map(({ email }) => email).join("\n");
  return measure("xargs", argv, { ...sandbox, profile: undefined, input });
}

/**
 * @param {Sandbox} sandbox
 * @param {Customer[]} targets
 */
async function startJob({ home, cli, concurrency, profile }, targets, more = ["--detach"], codes = [0]) {
  const file = join(home, "users.csv");
  await writeFile(file, ["user,prompt", ...targets.map(({ email, prompt }) => `${email},"${prompt}"`)].join("\n"));
  const job = ["runs", "start", "--users-file", file, "-p", "{{prompt}}", "--concurrency", String(concurrency)];
  const yes = ["--yes", "--expect-count", String(targets.length), "-o", "id"];
  return cli([...job, ...yes, ...more], { codes, profile });
}

/**
 * Failed runs are what it is to find: exit code 9.
 *
 * @type {Work}
 */
const followJob = (sandbox, targets) => startJob(sandbox, targets, ["--wait"], [9]);

/**
 * What the sandbox has used itself, without its database and the runs.
 *
 * @param {number} pid
 */
async function serverCpuMs(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/**
 * @param {Client} database
 * @returns {Promise<Row[]>}
 */
async function rowsIn(database) {
  const { rows } = await database.query(
    `select r.id, r.instance_id as "instanceId", r.prompt, r.status, r.exit_code as "exitCode",
     extract(epoch from r.started_at)::float8 * 1000 as at from kiloclaw_cli_runs r
     join kilocode_users u on u.id = r.user_id where u.google_user_email like '%@load.example.com'`,
  );
  return rows;
}

/**
 * Every target has one run and no other has; every run that was followed is on record as it ended.
 *
 * @param {string} name
 * @param {Row[]} rows
 * @param {Customer[]} targets
 * @param {boolean} ended
 */
function check(name, rows, targets, ended) {
  const wrong = (/** @type {string} */ what) => {
    throw new Error(`${name}: ${what}`);
  };
  const started = new Set(rows.map(({ instanceId }) => instanceId));
  if (rows.length !== targets.length || targets.some(({ instanceId }) => !started.has(instanceId))) {
    wrong(`${rows.length} runs on ${started.size} instances, for ${targets.length} targets`);
  }
  for (const { id, prompt, status, exitCode } of ended ? rows : []) {
    const fails = prompt.includes("exit=1");
    if (status !== (fails ? "failed" : "completed") || exitCode !== (fails ? 1 : 0)) wrong(`run ${id} is ${status}`);
  }
}

/**
 * The job's report says of each target what the platform's row says.
 *
 * @param {Sandbox} sandbox
 * @param {Row[]} rows
 */
async function checkReport({ cli, home }, rows) {
  const file = join(home, "report.jsonl");
  await cli(["jobs", "report", "@latest", "-o", "jsonl"], { stdout: file });
  const items = new Map();
  for (const line of (await readFile(file, "utf8")).trim().split("\n")) {
    const item = JSON.parse(line);
    items.set(item.instanceId, item);
  }
  for (const { id, instanceId, status, exitCode } of rows) {
    const item = items.get(instanceId);
    if (item?.runId !== id || item.state !== status || item.exitCode !== exitCode) {
      throw new Error(`the report says ${JSON.stringify(item)} of run ${id}, which ${status} with ${exitCode}`);
    }
  }
}

/** @param {{ name: string, results: Result[] }[]} all the bare loop, the job, the shell loop, and what else there is */
function print(all) {
  const [bareLoop, , shellLoop] = all.map(addUp);
  if (bareLoop === undefined || shellLoop === undefined) throw new Error("nothing to compare with");
  const rows = all.map((one) => {
    const { cpuMs, serverMs, wallMs, rss, syncs, syncMs, count, startRate, wholeRate } = addUp(one);
    return [
      one.name,
      startRate.toFixed(1),
      (startRate / bareLoop.startRate).toFixed(2),
      seconds(wallMs),
      wholeRate.toFixed(1),
      (wholeRate / shellLoop.wholeRate).toFixed(1),
      (cpuMs / count).toFixed(1),
      (serverMs / count).toFixed(1),
      megabytes(rss),
      (syncs / count).toFixed(2),
      syncs === 0 ? "-" : (syncMs / syncs).toFixed(1),
    ];
  });
  const head = ["", "starts/s", "x bare", "s", "whole/s", "x shell", "CPU ms", "server ms", "MiB", "syncs", "ms each"];
  printTable([head, ...rows]);
  console.log(
    `Each started once, outcomes as on the platform's record. starts/s: from the first to the last, by its clock; s and whole/s: the
command, with planning and its end. A start: CPU ms of the client, server ms of the sandbox alone, syncs. Load ${loadavg()[0]?.toFixed(1)}.`,
  );
}

/**
 * Slices as if they were one.
 *
 * @param {{ results: Result[] }} measured
 */
function addUp({ results }) {
  const sum = (/** @type {"count" | "wallMs" | "spanMs" | "cpuMs" | "serverMs" | "syncs" | "syncMs"} */ key) =>
    results.reduce((total, one) => total + one[key], 0);
  const [count, wallMs, spanMs] = [sum("count"), sum("wallMs"), sum("spanMs")];
  return {
    count,
    wallMs,
    startRate: (1_000 * (count - results.length)) / spanMs,
    wholeRate: (1_000 * count) / wallMs,
    cpuMs: sum("cpuMs"),
    serverMs: sum("serverMs"),
    syncs: sum("syncs"),
    syncMs: sum("syncMs"),
    rss: Math.max(...results.map(({ rss }) => rss)),
  };
}
