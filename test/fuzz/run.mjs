// Hostile text through the tool's one way to a screen: generated texts in pieces, a sample of them through a real terminal
// (script of util-linux), and what a megabyte of each kind costs.
//   npm run campaign -- fuzz [--texts 1000000] [--terminal 50000] [--seed 1]
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const text = (/** @type {string} */ preset) => /** @type {const} */ ({ type: "string", default: preset });
const { values } = parseArgs({
  options: { texts: text("1000000"), terminal: text("50000"), seed: text("1"), child: { type: "boolean" } },
});
const texts = Number(values.texts);
const onTerminal = Number(values.terminal);
const seed = Number(values.seed);

const folder = await mkdtemp(join(tmpdir(), "kiloclaw-fuzz-"));
const bundle = join(folder, "fuzz.mjs");
await build({
  stdin: {
    contents: [
      'export * from "./hostile.ts";',
      'export * from "./choke.ts";',
      'export { systemHost } from "../../src/terminal/system.ts";',
      'export { Output } from "../../src/terminal/output.ts";',
      'export { SanitizingStream } from "../../src/terminal/sanitize.ts";',
    ].join("\n"),
    resolveDir: fileURLToPath(new URL(".", import.meta.url)),
  },
  outfile: bundle,
  bundle: true,
  platform: "node",
  format: "esm",
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  logLevel: "error",
});
const { hostileTexts, inPieces, liveIn, screenOf, systemHost, Output, SanitizingStream } = await import(bundle);

try {
  if (values.child) await writeToTerminal();
  else {
    await throughTheChokePoint();
    throughATerminal();
    costs();
  }
} finally {
  await rm(folder, { recursive: true });
}

async function throughTheChokePoint() {
  const [colored, plain] = [await screenOf({ colors: true }), await screenOf({ colors: false })];
  const next = hostileTexts(seed);
  let [units, bad] = [0, 0];
  for (let count = 0; count < texts; count++) {
    const text = next();
    units += text.length;
    const colors = count % 2 === 0;
    const found = liveIn((colors ? colored : plain).output(inPieces(text, [count * 7, count * 13])), { colors });
    if (found === undefined) continue;
    bad += 1;
    console.error(`${JSON.stringify(found)} got through of ${JSON.stringify(text)}`);
  }
  console.log(`${texts} texts in pieces, ${units} characters: ${bad} let something live through`);
  if (bad > 0) process.exitCode = 1;
}

/** The texts as a run's output, and each hundredth as a word of the tool's own, to this process's real terminal. */
async function writeToTerminal() {
  const { host } = systemHost({ root: folder, version: "0" });
  const options = { format: "table", quiet: false, fields: undefined, color: "auto", utc: false, platformFlags: [] };
  const output = await Output.create(host, options);
  const next = hostileTexts(seed + 1);
  for (let count = 0; count < onTerminal; count++) {
    const stream = output.untrusted();
    for (const piece of inPieces(next(), [count * 7, count * 13])) stream.write(piece);
    stream.end();
    if (count % 100 === 0) output.line(next());
  }
}

function throughATerminal() {
  const quoted = [process.execPath, fileURLToPath(import.meta.url), "--child", "--terminal", onTerminal, "--seed", seed]
    .map((word) => `'${word}'`)
    .join(" ");
  const { stdout, status, error } = spawnSync("script", ["--quiet", "--return", "--command", quoted, "/dev/null"], {
    maxBuffer: 2 ** 30,
    encoding: "utf8",
    env: { ...process.env, TERM: "xterm-256color", NO_COLOR: "" },
  });
  if (error) return console.log("through a terminal: not tried, there is no script(1) of util-linux");
  // The terminal's own line ends.
  const found = liveIn(stdout.replaceAll("\r\n", "\n"), { colors: true });
  console.log(
    `${onTerminal} texts through a terminal, ${Buffer.byteLength(stdout)} bytes seen: ${found ?? "nothing"} live`,
  );
  if (found !== undefined || status !== 0 || stdout === "") process.exitCode = 1;
}

function costs() {
  const MIB = 2 ** 20;
  const kinds = {
    "plain text": "The gateway crash-loops since the config edit.\n",
    "colours in each word": "\u001b[1;32mok\u001b[0m \u001b[38;5;200mpink\u001b[39m\n",
    "ESC [ and nothing but ;": null,
    "nothing but ESC": "\u001b",
    "nothing but CR": "\r",
    "nothing but CR LF": "\r\n",
    "nothing but C1": "\u009b",
    "nothing but ESC [": "\u001b[",
    "lone surrogates": "\ud83d",
    emoji: "🦀",
  };
  console.log("\n| a megabyte (2^20 characters) | ms, at once | ms, in 4 KiB pieces |\n|---|---|---|");
  for (const [kind, unit] of Object.entries(kinds)) {
    const whole = unit === null ? `\u001b[${";".repeat(MIB - 2)}` : unit.repeat(MIB).slice(0, MIB);
    const took = [MIB, 4_096].map((size) => {
      const times = Array.from({ length: 7 }, () => {
        const stream = new SanitizingStream({ colors: "keep" });
        const began = process.cpuUsage();
        for (let at = 0; at < MIB; at += size) stream.push(whole.slice(at, at + size));
        stream.end();
        const { user, system } = process.cpuUsage(began);
        return (user + system) / 1_000;
      });
      return times.toSorted((a, b) => a - b)[3]?.toFixed(1);
    });
    console.log(`| ${kind} | ${took.join(" | ")} |`);
  }
}
