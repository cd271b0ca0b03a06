/** What a rehearsal plays. Times are in seconds, as in the prompt. */
export interface Rehearsal {
  lines: number;
  interval: number;
  /** Before the first line. */
  delay: number;
  exit: number;
  /** The whole output in bytes; filled up with `x` when the lines are shorter. */
  bytes: number;
  /** Lines on stderr in between. */
  stderr: boolean;
  /** Colours, and sequences that a terminal must not be handed. */
  ansi: boolean;
  utf8: boolean;
  /** A character that arrives in two writes. */
  split: boolean;
  /** A NUL byte, which the platform's database cannot store. */
  nul: boolean;
  /** Seconds without output in the middle. */
  silent: number;
  /** Ignores SIGTERM. */
  trap: boolean;
}

/** A rehearsal that was meant but cannot be played: which part, and what would be right. */
export class RehearsalError extends Error {
  override readonly name = "RehearsalError";
}

const DEFAULTS: Rehearsal = {
  lines: 3,
  interval: 0.2,
  delay: 0,
  exit: 0,
  bytes: 0,
  stderr: false,
  ansi: false,
  utf8: false,
  split: false,
  nul: false,
  silent: 0,
  trap: false,
};

const NUMBERS = {
  lines: { max: 1_000_000, whole: true },
  interval: { max: 3_600, whole: false },
  delay: { max: 3_600, whole: false },
  exit: { max: 255, whole: true },
  bytes: { max: 1_000_000_000, whole: true },
  silent: { max: 3_600, whole: false },
} as const;

const FLAGS = ["stderr", "ansi", "utf8", "split", "nul", "trap"] as const;

// "fake" is the word in the platform's recorded prompts.
const REHEARSAL = /\[(?:rehearse|fake)(?:\s+([^\]]*))?\]/g;

/**
 * Finds the rehearsal in a prompt: `[rehearse lines=5 interval=0.2 exit=1]`.
 *
 * @returns undefined when the prompt carries none.
 * @throws {RehearsalError} on an unknown key, a bad value, or a second rehearsal.
 */
export function parseRehearsal(prompt: string): Rehearsal | undefined {
  const [found, second] = prompt.matchAll(REHEARSAL);
  if (!found) return undefined;
  if (second) throw new RehearsalError("a prompt carries at most one rehearsal");
  const rehearsal = { ...DEFAULTS };
  for (const setting of (found[1] ?? "").split(/\s+/).filter((part) => part !== "")) apply(rehearsal, setting);
  return rehearsal;
}

function apply(rehearsal: Rehearsal, setting: string): void {
  const [, key, value] = /^([^=]*)=?(.*)$/s.exec(setting) ?? [];
  if (key === undefined || value === undefined) throw new RehearsalError(`cannot read ${JSON.stringify(setting)}`);
  if (isNumberKey(key)) rehearsal[key] = parseNumber(key, value);
  else if (isFlag(key)) rehearsal[key] = parseFlag(key, value);
  else {
    const known = [...Object.keys(NUMBERS), ...FLAGS].join(", ");
    throw new RehearsalError(`unknown key ${JSON.stringify(key)}; the keys are ${known}`);
  }
}

function parseNumber(key: keyof typeof NUMBERS, text: string): number {
  const { max, whole } = NUMBERS[key];
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value > max || (whole && !Number.isInteger(value))) {
    throw new RehearsalError(
      `${key} is a ${whole ? "whole " : ""}number from 0 to ${max}, not ${JSON.stringify(text)}`,
    );
  }
  return value;
}

function parseFlag(key: string, text: string): boolean {
  if (text !== "0" && text !== "1") throw new RehearsalError(`${key} is 0 or 1, not ${JSON.stringify(text)}`);
  return text === "1";
}

function isNumberKey(key: string): key is keyof typeof NUMBERS {
  return Object.hasOwn(NUMBERS, key);
}

function isFlag(key: string): key is (typeof FLAGS)[number] {
  return (FLAGS as readonly string[]).includes(key);
}
