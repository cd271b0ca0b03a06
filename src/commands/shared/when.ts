/** `--since` and `--until`: one way to give a time, in every command. */
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { parseDuration } from "../../terminal/time.ts";

/** A time as a person gives it: so many milliseconds before now, or a moment. Whose clock says what now is, the command knows. */
export type GivenTime = { readonly agoMs: number } | { readonly at: Date };

interface Clock {
  /** What time it is; `undefined` while that is not known. */
  now(): Date | undefined;
}

const THIS_MACHINE: Clock = { now: () => new Date() };

/** A hundred years: what is longer is a slip of the finger, and may be before all that a date can be. */
const MAX_AGO_MS = 36_500 * 86_400_000;

/** Clocks differ by that much, and a loop gives the time at which it began: neither is worth a warning. */
const TOLERATED_MS = 60_000;

export const sinceOption = (what = "only what happened since") =>
  new Option("--since <time>", `${what}: 90m, 3h, 7d, 2w ago, a date, or a date and time`).argParser(parseTime);

export const untilOption = () =>
  new Option("--until <time>", "only what happened before: as --since").argParser(parseTime);

/**
 * The moment that is meant. What is compared with the platform's times is counted back from now on the platform's clock.
 *
 * @param clock the platform's, once it has answered; absent for this machine's.
 * @throws CliError `unreachable` where the platform has not said what time it is.
 */
export function momentOf(given: GivenTime, clock: Clock = THIS_MACHINE): Date {
  if ("at" in given) return given.at;
  const now = clock.now();
  if (now) return new Date(now.getTime() - given.agoMs);
  throw new CliError("unreachable", "the platform does not say what time it is there; nothing was sent", {
    hint: "give a date and time instead, such as 2026-11-01T09:30Z",
  });
}

/**
 * The moment of `--since`, found out when it is first asked for, and the same from then on. Warns where it is in the future: what is
 * found is nothing, which `--quiet` would leave unsaid.
 *
 * @param clock as in {@link momentOf}; the moment is asked for only once the platform has answered.
 */
export function sinceOf(
  { output }: Pick<Context, "output">,
  given: GivenTime | undefined,
  clock: Clock = THIS_MACHINE,
): (() => Date) | undefined {
  if (given === undefined) return undefined;
  let since: Date | undefined;
  return () => {
    if (since) return since;
    since = momentOf(given, clock);
    const now = clock.now();
    if (now && since.getTime() > now.getTime() + TOLERATED_MS) {
      output.warn(`--since ${since.toISOString()} is in the future: it is ${now.toISOString()} now`);
    }
    return since;
  };
}

export const unlessStartedSinceOption = () =>
  new Option(
    "--unless-started-since <time>",
    "take an admin's run of this prompt that was started since then, and start none: 2026-11-01T09:30Z, 3h",
  ).argParser(parseTime);

/**
 * The moment of `--unless-started-since`, by the platform's clock.
 *
 * @throws CliError `usage` for one in the future: no run could have been started since; `unreachable` where how long ago is
 *   counted from now, and the platform has not said what time it is; ApiError.
 */
export async function unlessStartedSinceOf(
  { api, me }: Pick<Context, "api" | "me">,
  given: GivenTime | undefined,
): Promise<Date | undefined> {
  if (given === undefined) return undefined;
  const { clock } = await api();
  if (clock.now() === undefined) await me();
  const since = momentOf(given, clock);
  const now = clock.now();
  if (now === undefined || since.getTime() <= now.getTime() + TOLERATED_MS) return since;
  throw new CliError(
    "usage",
    `--unless-started-since ${since.toISOString()} is in the future: it is ${now.toISOString()} now; nothing was sent`,
    { hint: "give the time at which the incident, or the loop, began" },
  );
}

/**
 * Refuses a time that ends before it begins: nothing could be found, which would look like nothing having happened.
 *
 * @throws CliError `usage`
 */
export function assertInOrder(since: Date | undefined, until: Date | undefined): void {
  if (since === undefined || until === undefined || since < until) return;
  throw new CliError("usage", `--since ${since.toISOString()} is not before --until ${until.toISOString()}`, {
    hint: "both are times: --since 3h --until 1h is from three hours ago to one hour ago",
  });
}

const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:(Z)|([+-])(\d\d):?(\d\d))?)?$/i;

const ACCEPTED =
  "Give how long ago, with its unit (90m, 3h, 7d, 2w), a date, or a date and time such as 2026-11-01T09:30Z.";

/**
 * Reads `90m`, `3h`, `7d`, `2w` (ago), a date, or a date and time: this machine's local time, unless it ends in `Z` or an offset.
 * An hour that there is twice, when the clocks are put back, is the first of the two.
 *
 * @throws InvalidArgumentError also for a bare number (seconds? an epoch?) and for a day or hour that does not exist.
 */
export function parseTime(text: string): GivenTime {
  const agoMs = /^\d+(\.\d+)?$/.test(text) ? undefined : parseDuration(text);
  if (agoMs !== undefined && agoMs > MAX_AGO_MS) throw new InvalidArgumentError("Give at most 36500d.");
  if (agoMs !== undefined && agoMs > 0) return { agoMs };
  const parts = DATE.exec(text);
  if (!parts) throw new InvalidArgumentError(ACCEPTED);
  const at = readDate(parts);
  if (at) return { at };
  throw new InvalidArgumentError(`There is no such day or hour. ${ACCEPTED}`);
}

function readDate([
  ,
  year,
  month,
  day,
  hour,
  minute = "0",
  second = "0",
  part = "0",
  utc,
  sign,
  ...offset
]: RegExpExecArray) {
  const fields = [Number(year), Number(month), Number(day), Number(hour ?? 0), Number(minute), Number(second)] as const;
  const [y, mo, d, h, mi, s] = fields;
  const ms = Math.floor(Number(`0.${part}`) * 1_000);
  const [offsetHours = 0, offsetMinutes = 0] = offset.map((digits) => Number(digits ?? 0));
  // What JavaScript would carry over, such as February 30th, reads back as something else.
  const same = (...read: readonly number[]) => read.every((value, index) => value === fields[index]);
  if (utc === undefined && sign === undefined) {
    const local = new Date(y, mo - 1, d, h, mi, s, ms);
    const date = [local.getFullYear(), local.getMonth() + 1, local.getDate()];
    // A day may begin at one o'clock, where the clocks are put forward at midnight.
    const time = hour === undefined ? [] : [local.getHours(), local.getMinutes(), local.getSeconds()];
    return same(...date, ...time) ? local : undefined;
  }
  const asUtc = new Date(Date.UTC(y, mo - 1, d, h, mi, s, ms));
  const [read = "", time = ""] = asUtc.toISOString().split(/T|\./);
  if (!same(...[...read.split("-"), ...time.split(":")].map(Number)) || offsetHours > 14 || offsetMinutes > 59)
    return undefined;
  const offsetMs = (offsetHours * 60 + offsetMinutes) * 60_000;
  return new Date(asUtc.getTime() + (sign === "-" ? offsetMs : -offsetMs));
}
