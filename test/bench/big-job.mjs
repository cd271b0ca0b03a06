// A job of very many targets, against a stand-in for the platform that answers at once: what is left is this tool's own work.
import { fork } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BIN, environment, measure, megabytes, printTable, seconds } from "./client.mjs";

const PLATFORM = fileURLToPath(new URL("platform.mjs", import.meta.url));
const CONCURRENCY = 32;
/** The job is killed when so much of it has been started. */
const KILLED_AT = 0.98;
const LOOK_MS = 100;

/** @param {{ targets: number, profile?: string | undefined }} options */
export async function measureBigJob({ targets, profile }) {
  const home = await mkdtemp(join(tmpdir(), "kiloclaw-admin-bench-"));
  const platform = fork(PLATFORM, [String(targets)]);
  try {
    const url = /** @type {string} */ (
      await new Promise((resolve, reject) => {
        platform.once("message", resolve);
        platform.once("error", reject);
      })
    );
    await onPlatform({ targets, home, url, profile });
  } finally {
    platform.kill();
    await rm(home, { recursive: true, force: true });
  }
}

/** @param {{ targets: number, home: string, url: string, profile?: string | undefined }} where */
async function onPlatform({ targets, home, url, profile }) {
  const env = { ...environment(home), KILOCLAW_ADMIN_HOST: url, KILOCLAW_ADMIN_TOKEN: "a-token-of-the-stand-in" };
  const rows = [["", "s", "CPU s", "peak MiB", "a second"]];
  /**
   * @param {string} name
   * @param {string[]} argv
   * @param {Partial<import("./client.mjs").Options> & { count?: number }} more `count`: how many targets it was about
   */
  const cli = async (name, argv, more = {}) => {
    const cost = await measure(process.execPath, [BIN, ...argv], { env, home, profile, ...more });
    const { count = targets } = more;
    const rate = (count / (cost.wallMs / 1_000)).toFixed(0);
    rows.push([name, seconds(cost.wallMs), seconds(cost.cpuMs), megabytes(cost.rss), rate]);
    return cost;
  };
  const users = join(home, "users.txt");
  const emails = Array.from({ length: targets }, (_, number) => `customer${number}@example.com`);
  await writeFile(users, emails.join("\n"));
  const start = ["runs", "start", "--users-file", users, "-p", "repair it", "--concurrency", String(CONCURRENCY)];
  const yes = ["--yes", "--expect-count", String(targets), "--detach", "-o", "id"];
  const file = (/** @type {string} */ name) => join(home, name);

  await cli("planning only, --dry-run -o csv", [...start, "--dry-run", "-o", "csv"], { stdout: file("plan.csv") });
  const killAt = Math.floor(targets * KILLED_AT);
  /** @type {NodeJS.Timeout | undefined} */
  let looking;
  const kill = (/** @type {import("node:child_process").ChildProcess} */ child) => {
    const look = async () => {
      const { starts } = await startsAt(url);
      if (starts >= killAt) child.kill("SIGKILL");
      else looking = setTimeout(look, LOOK_MS);
    };
    looking = setTimeout(look, LOOK_MS);
  };
  /** @type {{ rss: number, cpuS?: number }} */
  const peak = { rss: 0 };
  const began = performance.now();
  await cli("planning and starting, killed near the end", [...start, ...yes], {
    count: killAt,
    codes: ["SIGKILL"],
    stdout: file("ids"),
    onBegun: (child) => {
      kill(child);
      watchMemory(child, peak);
    },
  });
  clearTimeout(looking);
  rows.at(-1)?.splice(2, 2, peak.cpuS?.toFixed(1) ?? "-", megabytes(peak.rss));
  const killed = performance.now() - began;
  await cli("jobs list, for the first time", ["jobs", "list"]);
  const resume = ["jobs", "resume", "@latest", "--yes", "-o", "id"];
  // Starts whose request had not left are looked for in vain: 9.
  await cli("jobs resume, starting what was left", resume, {
    count: targets - killAt,
    codes: [0, 9],
    stdout: file("ids"),
  });
  await cli("jobs resume --resend-unknown --wait, to all ends", [...resume, "--resend-unknown", "--wait"], {
    stdout: file("ids"),
  });
  const { starts, instances } = await startsAt(url);
  if (starts !== targets || instances !== targets) throw new Error(`${starts} starts on ${instances} instances`);
  await cli("jobs list, for the first time since", ["jobs", "list"]);
  await cli("jobs list, once more", ["jobs", "list"]);
  await cli("jobs show", ["jobs", "show", "@latest"]);
  await cli("jobs report -o csv", ["jobs", "report", "@latest", "-o", "csv"], { stdout: file("report.csv") });
  await cli("jobs report --html", ["jobs", "report", "@latest", "--html", file("report.html")]);

  console.log(`\n${targets} targets on a stand-in for the platform, ${CONCURRENCY} at a time`);
  printTable(rows);
  const [journal = 0, plan = 0, results = 0] = await filesOf(home);
  console.log(
    `each started once; journal ${megabytes(journal)} MiB, plan ${megabytes(plan)} MiB, results ${megabytes(results)} MiB, ` +
      `report ${megabytes((await stat(file("report.html"))).size)} MiB; ${seconds(killed)} s to the kill; load ${loadavg()[0]?.toFixed(1)}`,
  );
}

/**
 * What the stand-in has been asked to start, and on how many instances.
 *
 * @param {string} url
 */
async function startsAt(url) {
  return /** @type {{ starts: number, instances: number }} */ (await (await fetch(`${url}/starts`)).json());
}

/**
 * Keeps track of the memory and CPU time of a process that will not live to tell.
 *
 * @param {import("node:child_process").ChildProcess} child
 * @param {{ rss: number, cpuS?: number }} peak
 */
function watchMemory(child, peak) {
  const look = async () => {
    const [status = "", times = ""] = await Promise.all(
      ["status", "stat"].map((name) => readFile(`/proc/${child.pid}/${name}`, "utf8").catch(() => "")),
    );
    const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(status) ?? [];
    if (kilobytes === undefined) return;
    peak.rss = Number(kilobytes) * 1024;
    const fields = times.slice(times.lastIndexOf(")") + 2).split(" ");
    peak.cpuS = (Number(fields[11]) + Number(fields[12])) / 100;
    setTimeout(look, LOOK_MS);
  };
  void look();
}

/**
 * The sizes of the job's journal, plan and results.
 *
 * @param {string} home
 */
async function filesOf(home) {
  const names = await readdir(join(home, "state"), { recursive: true });
  const found = [/^journal.*\.jsonl$/, /^jobs.*plan\.jsonl$/, /^jobs.*results\.jsonl$/].map((pattern) =>
    names.find((name) => pattern.test(name)),
  );
  return Promise.all(found.map(async (name) => (await stat(join(home, "state", name ?? "missing"))).size));
}
