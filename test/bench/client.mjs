// Runs the command line, or another program, as a process of its own, and tells what it cost.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const BIN = fileURLToPath(new URL("../../bin/kiloclaw-admin.js", import.meta.url));
const METER = fileURLToPath(new URL("meter.cjs", import.meta.url));

/**
 * @typedef {object} Options
 * @property {NodeJS.ProcessEnv} env
 * @property {string} home
 * @property {(number | string)[]} [codes] the exit codes, or signals, that are right
 * @property {string | undefined} [input] for its standard input
 * @property {string} [stdout] a file for what it writes there
 * @property {(child: import("node:child_process").ChildProcess) => void} [onBegun]
 * @property {string | undefined} [profile] a folder for profiles of its CPU time
 * @property {boolean} [metered] false: only run it, as what goes on in the background would go on being measured
 */

/** @typedef {{ cpuMs: number, syncs: number, syncMs: number, rss: number }} Cost what a process says of itself at its end */

/**
 * The environment of a support person whose files are all in `home`.
 *
 * @param {string} home
 */
export function environment(home) {
  /** @type {NodeJS.ProcessEnv} */
  const env = { ...process.env, KILOCLAW_ADMIN_CONFIG_DIR: home };
  // It is read at every start and would drown the differences.
  delete env.NODE_EXTRA_CA_CERTS;
  return env;
}

/**
 * Runs a program to its end, with all the processes of Node that it begins.
 *
 * @param {string} program
 * @param {string[]} argv
 * @param {Options} options
 * @returns what it cost, added up over its processes (`rss`: of the largest), and what it wrote.
 */
export async function measure(program, argv, options) {
  const { env, home, codes = [0], input, stdout, onBegun, profile, metered = true } = options;
  const meter = join(home, `meter-${randomUUID()}`);
  const profiling = profile ? ["--cpu-prof", `--cpu-prof-dir=${profile}`] : [];
  const began = performance.now();
  const child = spawn(program, [...profiling, ...argv], {
    env: metered ? { ...env, BENCH_METER: meter, NODE_OPTIONS: `--require=${METER}` } : env,
    stdio: ["pipe", "pipe", "pipe"],
  });
  onBegun?.(child);
  let [out, err] = ["", ""];
  if (stdout) child.stdout.pipe(createWriteStream(stdout));
  else child.stdout.on("data", (text) => (out += text));
  child.stderr.on("data", (text) => (err = (err + text).slice(-20_000)));
  // A program that reads nothing may be gone before it could.
  child.stdin.on("error", () => undefined).end(input);
  /** @type {[number | null, NodeJS.Signals | null]} */
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (...ending) => resolve(ending));
  });
  const ending = code ?? signal ?? "nothing";
  const wallMs = performance.now() - began;
  if (!codes.includes(ending)) throw new Error(`${argv.join(" ")}: ended with ${ending}\n${err}`);
  const lines = (await readFile(meter, "utf8").catch(() => "")).trim().split("\n").filter(Boolean);
  await rm(meter, { force: true });
  /** @type {Cost[]} */
  const processes = lines.map((line) => JSON.parse(line));
  const sum = (/** @type {(cost: Cost) => number} */ of) => processes.reduce((total, one) => total + of(one), 0);
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

/**
 * Prints a table: the first column to the left, the others to the right.
 *
 * @param {readonly string[][]} rows
 */
export function printTable(rows) {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  for (const row of rows) {
    console.log(
      row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join("  "),
    );
  }
}

export const megabytes = (/** @type {number} */ bytes) => (bytes / 2 ** 20).toFixed(0);
export const seconds = (/** @type {number} */ ms) => (ms / 1_000).toFixed(1);
