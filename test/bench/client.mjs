// Runs the command line, or another program, as a process of its own, and tells what it cost.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const BIN = fileURLToPath(new URL("../../bin/kiloclaw-admin.js", import.meta.url));
const METER = fileURLToPath(new URL("meter.cjs", import.meta.url));

/** The environment of a support person whose files are all in `home`. */
export function environment(home) {
  const env = { ...process.env, KILOCLAW_ADMIN_CONFIG_DIR: home };
  // It is read at every start and would drown the differences.
  delete env.NODE_EXTRA_CA_CERTS;
  return env;
}

/**
 * Runs a program to its end, with all the processes of Node that it begins.
 *
 * @param options `codes`: the exit codes that are right. `input`: for its standard input. `stdout`: a file for what it writes
 *   there. `onBegun`: gets the process. `profile`: a folder for profiles of its CPU time. `metered: false`: only run it, as
 *   what goes on in the background would go on being measured.
 * @returns what it cost, added up over its processes (`rss`: of the largest), and what it wrote.
 */
export async function measure(program, argv, options) {
  const { env, home, codes = [0], input, stdout, onBegun, profile, metered = true } = options;
  const meter = join(home, `meter-${randomUUID()}`);
  const profiling = profile ? ["--cpu-prof", `--cpu-prof-dir=${profile}`] : [];
  const began = performance.now();
  const child = spawn(program, [...profiling, ...argv], {
    env: metered ? { ...env, BENCH_METER: meter, NODE_OPTIONS: `--require=${METER}` } : env,
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  onBegun?.(child);
  let [out, err] = ["", ""];
  if (stdout) child.stdout.pipe(createWriteStream(stdout));
  else child.stdout.on("data", (text) => (out += text));
  child.stderr.on("data", (text) => (err = (err + text).slice(-20_000)));
  child.stdin?.end(input);
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (...ending) => resolve(ending));
  });
  const wallMs = performance.now() - began;
  if (!codes.includes(code ?? signal)) throw new Error(`${argv.join(" ")}: ended with ${code ?? signal}\n${err}`);
  const lines = (await readFile(meter, "utf8").catch(() => "")).trim().split("\n").filter(Boolean);
  await rm(meter, { force: true });
  const processes = lines.map((line) => JSON.parse(line));
  const sum = (of) => processes.reduce((total, one) => total + of(one), 0);
  return {
    wallMs,
    out,
    err,
    cpuMs: sum(({ cpuMs }) => cpuMs),
    syncs: sum(({ syncs }) => syncs),
    syncMs: sum(({ syncMs }) => syncMs),
    rss: Math.max(0, ...processes.map(({ rss }) => rss)),
  };
}

/** Prints a table: the first column to the left, the others to the right. */
export function printTable(rows) {
  const widths = rows[0].map((_, at) => Math.max(...rows.map((row) => String(row[at]).length)));
  for (const row of rows) {
    console.log(
      row
        .map((cell, at) => (at === 0 ? String(cell).padEnd(widths[at]) : String(cell).padStart(widths[at])))
        .join("  "),
    );
  }
}

export const megabytes = (bytes) => (bytes / 2 ** 20).toFixed(0);
export const seconds = (ms) => (ms / 1_000).toFixed(1);
