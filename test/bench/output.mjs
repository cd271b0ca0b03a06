// What it costs to print only what is new of an output that each poll brings whole, next to comparing the whole texts unit by
// unit. One run writes so much that its output grows, and so much that the machine cuts it, over the same polls.
//   node test/bench/output.mjs [POLLS]     default: 200 polls
import { randomBytes } from "node:crypto";
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("../../src/runs/output-cursor.ts", import.meta.url));
const { outputFiles } = await build({ entryPoints: [SOURCE], bundle: true, format: "esm", write: false });
const { OutputCursor, TRUNCATION_MARKER } = await import(
  `data:text/javascript;base64,${Buffer.from(outputFiles[0]?.contents ?? "").toString("base64")}`
);
const polls = Number(process.argv[2] ?? 200);
const WINDOW = 1_048_576;

/** Finds what is new by comparing: all of it while nothing is cut, and at every possible place once something is. */
class Naive {
  #seen = "";
  next(output) {
    const cut = output.startsWith(TRUNCATION_MARKER);
    const text = cut ? output.slice(TRUNCATION_MARKER.length) : output;
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

/** Each answer is a text of its own, as one that was just read is. */
const answers = (written) =>
  Array.from({ length: polls }, (_, poll) => {
    const so = written.slice(0, Math.floor((written.length * (poll + 1)) / polls));
    const kept = so.length <= WINDOW ? so : TRUNCATION_MARKER + so.slice(-WINDOW);
    return () => Buffer.from(kept, "utf16le").toString("utf16le");
  });

const line = () => `${randomBytes(24).toString("hex")} 🦀\n`;
const lines = (length) => {
  let text = "";
  while (text.length < length) text += line();
  return text.slice(0, length);
};
const histories = [
  ["1 MiB, not cut", lines(WINDOW)],
  ["2 MiB, cut half-way", lines(2 * WINDOW)],
  ["2 MiB of two lines in turn, cut", "tick\ntock\n".repeat(WINDOW / 5)],
];

console.log(`${polls} polls; Node ${process.versions.node}`);
const titles = ["CPU ms", "us a poll", "printed", "lost", "doubled"];
const row = (name, cells) => console.log(name.padEnd(44) + cells.map((cell) => String(cell).padStart(12)).join(""));
for (const [name, written] of histories) {
  row(name, titles);
  const spent = {};
  for (const [reader, make] of [
    ["cursor", () => new OutputCursor()],
    ["comparing whole texts", () => new Naive()],
  ]) {
    const cursor = make();
    let cpu = 0;
    let printed = 0;
    let lost = 0;
    let doubled = 0;
    let named = 0;
    for (const [poll, answer] of answers(written).entries()) {
      const output = answer();
      const began = process.cpuUsage();
      const { text, gap } = cursor.next(output);
      const { user, system } = process.cpuUsage(began);
      cpu += user + system;
      const until = Math.floor((written.length * (poll + 1)) / polls);
      const from = until - text.length;
      if (!written.startsWith(text, from)) throw new Error(`poll ${poll}: not what the run wrote`);
      const before = Math.floor((written.length * poll) / polls);
      if (gap) named += Math.max(0, from - before);
      else lost += Math.max(0, from - before);
      doubled += Math.max(0, before - from);
      printed += text.length;
    }
    spent[reader] = cpu;
    row(`  ${reader}`, [(cpu / 1e3).toFixed(1), (cpu / polls).toFixed(0), printed, lost, doubled]);
    if (named > 0) row("    (gaps named, not counted as lost)", ["", "", "", named, ""]);
  }
  console.log(`  cursor : comparing = 1 : ${(spent["comparing whole texts"] / spent.cursor).toFixed(1)}`);
}
