// A job side by side with a shell loop and with a bare loop of start requests, on one sandbox with a real PostgreSQL server.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { Client } from "pg";
import { BIN, environment, measure, megabytes, printTable, seconds } from "./client.mjs";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
/** What a run takes. */
const RUN_SECONDS = 0.2;
/** One in so many runs fails, so that outcomes can be told apart. */
const FAILING = 10;
const promptOf = (exit) => `[rehearse delay=${RUN_SECONDS} lines=1 interval=0 exit=${exit}]`;
/** Does the same as the built-in program on such a prompt, for a hundredth of its cost. */
const CHEAP_AGENT = `case "$1" in *exit=1*) sleep ${RUN_SECONDS}; exit 1;; esac; exec sleep ${RUN_SECONDS}\n`;

/** @param options `users`, `sample`, `concurrencies`, `agents` (`node`, `shell`), `profile` */
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
    entryPoints: [at("../postgres.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
  });
  try {
    const postgres = await (await import(pathToFileURL(outfile))).startPostgres();
    if (!postgres) throw new Error("npm has no PostgreSQL for this platform");
    return postgres;
  } finally {
    await rm(outfile);
  }
}

async function onSandbox({ users, sample, concurrencies, agent, home, databaseUrl, profile }) {
  const env = { ...environment(home), KILOCLAW_ADMIN_PROFILE: "sandbox" };
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
    for (const concurrency of concurrencies) await compare({ ...sandbox, sample, concurrency, agent });
  } finally {
    await database.end();
    await cli(["sandbox", "stop"]);
  }
}

async function customersIn(database) {
  const { rows } = await database.query(
    `select i.id as "instanceId", i.user_id as "userId", u.google_user_email as email from kiloclaw_instances i
     join kilocode_users u on u.id = i.user_id where u.google_user_email like '%@load.example.com' order by i.id`,
  );
  return rows.map((row, at) => ({ ...row, prompt: promptOf(at % FAILING === 0 ? 1 : 0) }));
}

async function compare(sandbox) {
  const { customers, sample, concurrency, agent } = sandbox;
  const part = customers.slice(0, sample);
  const file = join(sandbox.home, "users.csv");
  await writeFile(file, ["user,prompt", ...customers.map(({ email, prompt }) => `${email},"${prompt}"`)].join("\n"));
  const job = ["runs", "start", "--users-file", file, "-p", "{{prompt}}", "--concurrency", String(concurrency)];
  const yes = ["--yes", "--expect-count", String(customers.length), "-o", "id"];
  const program = agent === "node" ? "the built-in program" : "a shell script";
  console.log(
    `\n${customers.length} targets, ${concurrency} at a time; a run is ${program} that sleeps ${RUN_SECONDS} s`,
  );

  const results = [];
  const add = async (name, targets, work, { ended = false, codes } = {}) => {
    await sandbox.cli(["sandbox", "reset", "--yes"]);
    const before = await serverCpuMs(sandbox.pid);
    const cost = await work(codes);
    cost.serverMs = (await serverCpuMs(sandbox.pid)) - before;
    const rows = await rowsIn(sandbox.database);
    check(name, rows, targets, ended);
    results.push({ name, cost, rows, count: targets.length });
  };
  const loop = [at("bare-loop.mjs"), sandbox.url, sandbox.token, String(concurrency)];
  await add("bare loop of @trpc/client", customers, () =>
    measure(process.execPath, loop, { ...sandbox, profile: undefined, input: JSON.stringify(bare(customers)) }),
  );
  await add("job, --detach", customers, () => sandbox.cli([...job, ...yes, "--detach"], { profile: sandbox.profile }));
  const shell = [
    "-P",
    String(concurrency),
    "-n",
    "1",
    process.execPath,
    BIN,
    "runs",
    "start",
    "-q",
    "-p",
    promptOf(0),
    "-u",
  ];
  await add(`shell loop, xargs -P ${concurrency} (${part.length} of them)`, part, () =>
    measure("xargs", shell, { ...sandbox, profile: undefined, input: part.map(({ email }) => email).join("\n") }),
  );
  // Failed runs are what this one is to find: exit code 9.
  await add(
    "job, --wait",
    customers,
    (codes) => sandbox.cli([...job, ...yes, "--wait"], { codes, profile: sandbox.profile }),
    { ended: true, codes: [9] },
  );
  await checkReport(sandbox, results.at(-1).rows);
  print(results);
}

/** What the sandbox has used itself, without its database and the runs. */
async function serverCpuMs(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const bare = (customers) => customers.map(({ userId, instanceId, prompt }) => ({ userId, instanceId, prompt }));

async function rowsIn(database) {
  const { rows } = await database.query(
    `select r.id, r.instance_id as "instanceId", r.prompt, r.status, r.exit_code as "exitCode",
     extract(epoch from r.started_at)::float8 * 1000 as at from kiloclaw_cli_runs r
     join kilocode_users u on u.id = r.user_id where u.google_user_email like '%@load.example.com'`,
  );
  return rows;
}

/** Every target has one run and no other has; every run that was followed is on record as it ended. */
function check(name, rows, targets, ended) {
  const wrong = (what) => {
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

/** The job's report says of each target what the platform's row says. */
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

/** Starts a second between the first and the last of them, by the platform's clock. */
function startRate({ rows }) {
  const times = rows.map(({ at }) => at);
  return (1_000 * (times.length - 1)) / (Math.max(...times) - Math.min(...times));
}

/** Starts a second from typing the command to its end. */
const wholeRate = ({ count, cost }) => (1_000 * count) / cost.wallMs;

function print(results) {
  const [bareLoop, , shellLoop] = results;
  const rows = results.map((result) => {
    const { name, cost, count } = result;
    return [
      name,
      startRate(result).toFixed(1),
      (startRate(result) / startRate(bareLoop)).toFixed(2),
      seconds(cost.wallMs),
      wholeRate(result).toFixed(1),
      (wholeRate(result) / wholeRate(shellLoop)).toFixed(1),
      (cost.cpuMs / count).toFixed(1),
      (cost.serverMs / count).toFixed(1),
      megabytes(cost.rss),
      (cost.syncs / count).toFixed(2),
      cost.syncs === 0 ? "-" : (cost.syncMs / cost.syncs).toFixed(1),
    ];
  });
  const head = [
    "",
    "starts/s",
    "x bare",
    "whole s",
    "whole/s",
    "x shell",
    "CPU ms",
    "server ms",
    "peak MiB",
    "syncs",
    "ms each",
  ];
  printTable([head, ...rows]);
  console.log(
    `Each started once, outcomes as on the platform's record. starts/s: from the first to the last, by its clock; whole: the
command, with planning and its end. A start: CPU ms of the client, server ms of the sandbox alone, syncs. Load ${loadavg()[0].toFixed(1)}.`,
  );
}
