/** Options and arguments that mean the same in every command. */
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { CADENCE } from "../../runs/watch/cadence.ts";
import { formatDuration, parseDuration } from "../../terminal/time.ts";

/** Takes a value once: with the field's usual "last one wins", `--user a --user b` would silently drop a customer. */
export function once(value: string, previous: string | undefined): string {
  if (previous === undefined) return value;
  throw new InvalidArgumentError(`It was given twice: "${previous}" and "${value}".`);
}

/** A whole number from `least` to `most`. */
export function wholeNumber(least: number, most: number) {
  return (text: string): number => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
  };
}

/** Ten years: what is longer is a slip of the finger, and far from what a clock can count. */
const MAX_DURATION_MS = 3_650 * 86_400_000;

/** A length of time; the command gets milliseconds. */
export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms > MAX_DURATION_MS) throw new InvalidArgumentError("Give at most 3650d.");
  if (ms !== undefined && ms > 0) return ms;
  throw new InvalidArgumentError("Give a length of time such as 30s, 15m, 2h or 1d.");
}

export const userOption = () =>
  new Option("-u, --user <user>", "the customer: e-mail, user ID or instance ID").argParser(once);

export const limitOption = (preset: number) =>
  new Option("-L, --limit <n>", "at most this many; 0: all").argParser(limit).default(preset);

/** Where things are counted up to a limit, all of them are up to a number that nothing comes to. */
const limit = (text: string): number => wholeNumber(0, 100_000)(text) || Number.MAX_SAFE_INTEGER;

export const tailOption = (description: string) =>
  new Option("-t, --tail <n>", description).argParser(wholeNumber(0, 10_000_000));

export const yesOption = () => new Option("-y, --yes", "do not ask for confirmation");

const EASING = [CADENCE.quickPollMs, CADENCE.slowPollMs].map((ms) => formatDuration(ms)).join(", easing to ");

export const intervalOption = () =>
  new Option("--interval <time>", `time between polls (default: ${EASING} in silence)`).argParser(duration);

export const timeoutOption = () =>
  new Option("--timeout <time>", "stop watching after this long; the run goes on").argParser(duration);

/** How a command's operand names a run. */
export const RUN_ARGUMENT =
  "run ID, a unique prefix, a customer (their run in progress, else the latest), or @latest with --user";

/** The same where several may be named. */
export const RUNS_ARGUMENT =
  "run IDs, unique prefixes, customers (their run in progress, else the latest), or @latest with --user";

/** Examples below a command's help. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}
