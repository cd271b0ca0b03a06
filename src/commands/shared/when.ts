/** `--since` and `--until`: one way to give a time, in every command. */
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { CliError } from "../../errors.ts";
import { parseDuration } from "../../terminal/time.ts";

/** A time as a person gives it: so many milliseconds before now, or a moment. Whose clock says what now is, the command knows. */
export type When = { readonly agoMs: number } | { readonly at: Date };

export const sinceOption = (what = "only what happened since") =>
  new Option("--since <time>", `${what}: 90m, 3h, 7d, 2w ago, a date, or a date and time`).argParser(parseWhen);

export const untilOption = () =>
  new Option("--until <time>", "only what happened before: as --since").argParser(parseWhen);

/**
 * The moment that is meant. What is compared with the platform's times is counted back from now on the platform's clock.
 *
 * @param clock the platform's, once it has answered; absent for this machine's.
 * @throws CliError `unreachable` where the platform has not said what time it is.
 */
export function instantOf(when: When, clock: { now(): Date | undefined } = { now: () => new Date() }): Date {
  if ("at" in when) return when.at;
  const now = clock.now();
  if (now) return new Date(now.getTime() - when.agoMs);
  throw new CliError("unreachable", "the platform does not say what time it is there; nothing was sent", {
    hint: "give a date and time instead, such as 2026-11-01T09:30Z",
  });
}

const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:(Z)|([+-])(\d\d):?(\d\d))?)?$/i;

/**
 * Reads `90m`, `3h`, `7d`, `2w` (ago), a date, or a date and time: this machine's local time, unless it ends in `Z` or an offset.
 *
 * @throws InvalidArgumentError also for a bare number (seconds? an epoch?) and for a day or hour that does not exist.
 */
export function parseWhen(text: string): When {
  const agoMs = /^\d+(\.\d+)?$/.test(text) ? undefined : parseDuration(text);
  if (agoMs !== undefined && agoMs > 0) return { agoMs };
  const parts = DATE.exec(text);
  if (!parts) {
    throw new InvalidArgumentError(
      "Give how long ago, with its unit (90m, 3h, 7d, 2w), a date, or a date and time such as 2026-11-01T09:30Z.",
    );
  }
  const at = momentOf(parts);
  if (at) return { at };
  throw new InvalidArgumentError("There is no such day or hour.");
}

function momentOf([
  ,
  year,
  month,
  day,
  hour = "0",
  minute = "0",
  second = "0",
  part = "0",
  utc,
  sign,
  ...offset
]: RegExpExecArray) {
  const fields = [Number(year), Number(month), Number(day), Number(hour), Number(minute), Number(second)] as const;
  const [y, mo, d, h, mi, s] = fields;
  const ms = Math.floor(Number(`0.${part}`) * 1_000);
  const [offsetHours = 0, offsetMinutes = 0] = offset.map((digits) => Number(digits ?? 0));
  // What JavaScript would carry over, such as February 30th, reads back as something else.
  const same = (...read: readonly number[]) => read.every((value, index) => value === fields[index]);
  if (utc === undefined && sign === undefined) {
    const local = new Date(y, mo - 1, d, h, mi, s, ms);
    const read = [
      local.getFullYear(),
      local.getMonth() + 1,
      local.getDate(),
      local.getHours(),
      local.getMinutes(),
      local.getSeconds(),
    ];
    return same(...read) ? local : undefined;
  }
  const asUtc = new Date(Date.UTC(y, mo - 1, d, h, mi, s, ms));
  const [read = "", time = ""] = asUtc.toISOString().split(/T|\./);
  if (!same(...[...read.split("-"), ...time.split(":")].map(Number)) || offsetHours > 14 || offsetMinutes > 59)
    return undefined;
  const offsetMs = (offsetHours * 60 + offsetMinutes) * 60_000;
  return new Date(asUtc.getTime() + (sign === "-" ? offsetMs : -offsetMs));
}
