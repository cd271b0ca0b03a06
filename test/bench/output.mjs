// What it costs to print only what is new of an output that each poll brings whole, next to comparing the whole texts unit by
// unit. One run writes so much that its output grows, and so much that the machine cuts it, over the same polls. Every figure is
// of a process of its own, whose memory is that of nobody else.
//   npm run bench -- output [POLLS]     default: 200 polls
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const SOURCE = fileURLToPath(new URL("../../src/runs/output/cursor.ts", import.meta.url));
const WINDOW = 1_048_576;

/** Finds what is new by comparing: all of it while nothing is cut, and at every possible place once something is. */
class Naive {
  #seen = "";
  #marker;

  /** @param {string} marker how an output begins that was cut */
  constructor(marker) {
    this.#marker = marker;
  }

  /** @param {string} output */
  next(output) {
    const cut = output.startsWith(this.#marker);
    const text = cut ? output.slice(this.#marker.length) : output;
    const seen = this.#seen;
    this.#seen = text;
    for (let shift = 0; shift < seen.length; shift++) {
      let at = 0;
      while (shift + at < seen.length && text[at] === seen[shift + at]) at++;
      if (shift + at === seen.length) return { text: text.slice(at) };
      if (!cut) break;
    }
    return { text };
  }
}

/** @param {number} length */
function lines(length) {
  let text = "";
  for (let line = 0; text.length < length; line++)
    text += `${createHash("sha256").update(String(line)).digest("hex").slice(0, 48)} 🦀\n`;
  return text.slice(0, length);
}

/** @type {Record<string, () => string>} */
const HISTORIES = {
  "1 MiB, not cut": () => lines(WINDOW),
  "2 MiB, cut half-way": () => lines(2 * WINDOW),
  "2 MiB of two lines in turn, cut": () => "tick\ntock\n".repeat(WINDOW / 5),
};
/** @typedef {typeof import("../../src/runs/output/cursor.ts")} Module */
/** @typedef {{ next(output: string): { text: string, gap?: boolean } }} Reader */

/** @type {Record<string, (module: Module) => Reader>} */
const READERS = {
  "reading the answers alone": () => ({ next: () => ({ text: "", gap: true }) }),
  cursor: ({ OutputCursor }) => new OutputCursor(),
  "comparing whole texts": ({ TRUNCATION_MARKER }) => new Naive(TRUNCATION_MARKER),
};

/**
 * One reader, one history: what it costs and whether what it printed is what the run wrote.
 *
 * @param {Module} module
 * @param {string} history
 * @param {string} reader
 * @param {number} polls
 */
function read(module, history, reader, polls) {
  const written = HISTORIES[history]?.();
  const cursor = READERS[reader]?.(module);
  if (written === undefined || cursor === undefined)
    throw new Error(`no such history or reader: ${history}, ${reader}`);
  const result = { cpu: 0, bytes: 0, lost: 0, doubled: 0, named: 0, maxRss: 0 };
  for (let poll = 0; poll < polls; poll++) {
    const before = Math.floor((written.length * poll) / polls);
    const until = Math.floor((written.length * (poll + 1)) / polls);
    const kept =
      until <= WINDOW ? written.slice(0, until) : module.TRUNCATION_MARKER + written.slice(until - WINDOW, until);
    // Each answer is a text of its own, as one that was just read is.
    const output = Buffer.from(kept, "utf16le").toString("utf16le");
    const began = process.cpuUsage();
    const { text, gap } = cursor.next(output);
    const { user, system } = process.cpuUsage(began);
    result.cpu += user + system;
    const from = until - text.length;
    if (!written.startsWith(text, from)) throw new Error(`poll ${poll}: not what the run wrote`);
    result[gap ? "named" : "lost"] += Math.max(0, from - before);
    result.doubled += Math.max(0, before - from);
    result.bytes += Buffer.byteLength(text);
  }
  // Kilobytes: getrusage(2).
  result.maxRss = process.resourceUsage().maxRSS;
  return result;
}

const row = (/** @type {string} */ name, /** @type {unknown[]} */ cells) =>
  console.log(name.padEnd(44) + cells.map((cell) => String(cell).padStart(14)).join(""));

const [first = "", history, reader = "", count] = process.argv.slice(2);
if (history !== undefined) {
  console.log(JSON.stringify(read(await import(first), history, reader, Number(count))));
} else {
  const polls = Number(first || 200);
  const home = await mkdtemp(join(tmpdir(), "kiloclaw-admin-bench-"));
  try {
    const outfile = join(home, "output-cursor.mjs");
    await build({ entryPoints: [SOURCE], bundle: true, format: "esm", outfile });
    const alone = (/** @type {string[]} */ ...argv) => {
      const script = [fileURLToPath(import.meta.url), pathToFileURL(outfile).href, ...argv, String(polls)];
      const { status, stdout, stderr } = spawnSync(process.execPath, script, { encoding: "utf8" });
      if (status !== 0) throw new Error(stderr);
      return JSON.parse(stdout);
    };
    console.log(`${polls} polls; Node ${process.versions.node}`);
    const titles = ["CPU ms", "us a poll", "bytes printed", "lost", "doubled", "peak RSS MiB"];
    for (const name of Object.keys(HISTORIES)) {
      row(name, titles);
      /** @type {Record<string, number>} */
      const spent = {};
      for (const how of Object.keys(READERS)) {
        const { cpu, bytes, lost, doubled, named, maxRss } = alone(name, how);
        spent[how] = cpu;
        const reads = how in { cursor: 1, "comparing whole texts": 1 };
        const printed = reads
          ? [(cpu / 1e3).toFixed(1), (cpu / polls).toFixed(0), bytes, lost, doubled]
          : ["", "", "", "", ""];
        row(`  ${how}`, [...printed, (maxRss / 1_024).toFixed(0)]);
        if (reads && named > 0) row("    (gaps named, not counted as lost)", ["", "", "", named]);
      }
      console.log(
        `  cursor : comparing = 1 : ${(Number(spent["comparing whole texts"]) / Number(spent["cursor"])).toFixed(1)}`,
      );
    }
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}
