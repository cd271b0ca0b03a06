import type { Rehearsal } from "./rehearsal.ts";
import type { Say } from "./say.ts";

/** What a rehearsal needs of the process that plays it. */
export interface Stage {
  readonly say: Say;
  readonly complain: Say;
  /** Waits; in milliseconds. */
  readonly pause: (ms: number) => Promise<void>;
  readonly pid: number;
  readonly now: () => Date;
}

/** Between the two halves of a split character, so that they are read apart. */
const SPLIT_MS = 50;

const TEXT_OF_MANY_BYTES = " — žluťoučký 🦀 日本語";

const FILLER_LINE = 80;
/** Filler is written in portions, so that a large one never stands in memory whole. */
const FILLER_PORTION = 64_000;

// A title, the clipboard, a link, a cleared screen, cursor moves, the alternate screen, a device query, 8-bit CSI, a bell,
// backspaces, a right-to-left override: all that a viewer must defuse before it shows another machine's output.
const HOSTILE =
  "\u001B]0;owned\u0007\u001B]52;c;b3duZWQ=\u0007\u001B]8;;https://evil.example/\u001B\\link\u001B]8;;\u001B\\" +
  "\u001B[2J\u001B[1;1H\u001B[3A\u001B[2K\u001B[?1049h\u001B[?1049l\u001B[?25l\u001B[?25h\u001B[6n\u001BP+q544e\u001B\\" +
  "\u009B31m\u0007secret\b\b\b\b\b\b\u202Etxt.exe\u202C\n";

/**
 * Plays a rehearsal: numbered lines at an interval, with what was asked for in between. With `lines=0` there is no first
 * and last line either, so that the output can be empty.
 *
 * @returns the exit code asked for.
 */
export async function play(rehearsal: Rehearsal, { say, complain, pause, pid, now }: Stage): Promise<number> {
  const { lines, interval, exit } = rehearsal;
  const first = lines > 0 ? `agent (rehearsal) starting pid=${pid}\n` : "";
  const last = lines > 0 ? `agent (rehearsal) done exit=${exit}\n` : "";
  const middle = Math.ceil(lines / 2);
  let written = Buffer.byteLength(first + last);
  const count = (text: string): string => {
    written += Buffer.byteLength(text);
    return text;
  };

  say(first);
  await pause(rehearsal.delay * 1000);
  if (rehearsal.ansi) say(count(HOSTILE));
  for (let step = 1; step <= lines; step += 1) {
    say(count(stepLine(rehearsal, step, now())));
    if (rehearsal.stderr) complain(count(`warn ${step}\n`));
    await pause(interval * 1000);
    if (step === middle) await pause(rehearsal.silent * 1000);
  }
  if (lines === 0) await pause(rehearsal.silent * 1000);
  if (rehearsal.nul) say(count("before\0after\n"));
  if (rehearsal.split) {
    const [start, rest] = halves(count("crab: 🦀 end\n"));
    say(start);
    await pause(SPLIT_MS);
    say(rest);
  }
  fill(rehearsal.bytes - written, say);
  say(last);
  return exit;
}

/** A text cut in the middle of its first character of four bytes. */
function halves(text: string): [Uint8Array, Uint8Array] {
  const bytes = Buffer.from(text);
  const cut = bytes.findIndex((byte) => byte >= 0xf0) + 2;
  return [bytes.subarray(0, cut), bytes.subarray(cut)];
}

function stepLine({ lines, ansi, utf8 }: Rehearsal, step: number, time: Date): string {
  const name = `step ${step}/${lines}`;
  if (ansi) return `\u001B[32m${name}\u001B[0m${utf8 ? TEXT_OF_MANY_BYTES : " working"}\r\n`;
  return utf8 ? `${name}${TEXT_OF_MANY_BYTES}\n` : `${name}: ${time.toISOString().slice(11, 23)}\n`;
}

function fill(bytes: number, say: Say): void {
  const line = `${"x".repeat(FILLER_LINE - 1)}\n`;
  const portion = line.repeat(FILLER_PORTION / FILLER_LINE);
  let left = bytes;
  for (; left > FILLER_PORTION; left -= FILLER_PORTION) say(portion);
  if (left > 0) say(`${portion.slice(0, left - 1)}\n`);
}
