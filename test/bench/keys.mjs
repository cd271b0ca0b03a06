// How soon a key is answered in the live table of so many runs in progress, on a terminal of 24 lines, and how many characters its
// frame takes next to the first one, which is a whole picture.
//   npm run bench -- keys [RUNS] [KEYS]     default: 1,000 runs, 200 keys
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const BIN = fileURLToPath(new URL("../../bin/kiloclaw-admin.js", import.meta.url));
const PLATFORM = fileURLToPath(new URL("platform.mjs", import.meta.url));
const runs = Number(process.argv[2] ?? 1_000);
const keys = Number(process.argv[3] ?? 200);
/** Slower than anybody types, so that each key has a frame of its own. */
const APART_MS = 60;

const part = (/** @type {number[]} */ values, /** @type {number} */ share) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;

const home = await mkdtemp(join(tmpdir(), "kiloclaw-admin-bench-"));
const platform = fork(PLATFORM, [String(runs), String(runs)]);
const [origin] = /** @type {[string]} */ (await once(platform, "message"));
const env = {
  PATH: process.env.PATH,
  HOME: home,
  TERM: "xterm-256color",
  KILOCLAW_ADMIN_CONFIG_DIR: home,
  KILOCLAW_ADMIN_HOST: origin,
  KILOCLAW_ADMIN_TOKEN: "a-token-of-the-bench",
};
const watch = `'${process.execPath}' '${BIN}' runs list --watch --limit ${runs}`;
const terminal = spawn("script", ["--quiet", "--command", `stty cols 80 rows 24; ${watch}`, "/dev/null"], {
  env,
  stdio: ["pipe", "pipe", "inherit"],
});

let shown = "";
/** @type {(() => void) | undefined} */
let look;
terminal.stdout.setEncoding("utf8").on("data", (/** @type {string} */ text) => {
  shown += text;
  look?.();
});
const until = (/** @type {(text: string) => boolean} */ isThere) =>
  new Promise((/** @type {(value: void) => void} */ resolve) => {
    look = () => {
      if (isThere(shown)) resolve();
    };
    look();
  });

try {
  await until((text) => text.includes(`${runs} running`) && text.endsWith("\u001b[?2026l"));
  const whole = shown.length;
  let last = "";
  const times = [];
  const sizes = [];
  for (let pressed = 0; pressed < keys; pressed += 1) {
    await sleep(APART_MS);
    shown = "";
    const began = performance.now();
    terminal.stdin.write("j");
    await until((text) => {
      const selected = /› .{0,12}?running\S* +(\w{8})[^]*2026l/.exec(text)?.[1];
      return selected !== undefined && selected !== last;
    });
    times.push(performance.now() - began);
    sizes.push(shown.length);
    last = /› .{0,12}?running\S* +(\w{8})/.exec(shown)?.[1] ?? "";
  }
  console.log(`${runs} runs, ${keys} keys`);
  console.log(`a key is answered in: median ${part(times, 0.5).toFixed(1)} ms, p95 ${part(times, 0.95).toFixed(1)} ms`);
  console.log(`its frame: median ${part(sizes, 0.5)} characters, p95 ${part(sizes, 0.95)}; the first: ${whole}`);
  terminal.stdin.write("q");
  await once(terminal, "close");
} finally {
  terminal.kill();
  platform.kill();
  await rm(home, { recursive: true, force: true });
}
