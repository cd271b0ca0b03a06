import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { parseDuration } from "../../terminal/time.ts";

/** An auditor's period begins with a date, an incident's so many minutes ago. */
export const sinceOption = () =>
  new Option(
    "--since <time>",
    "only what happened since: 30m, 2h, 7d … ago, or a date such as 2026-11-01 (UTC)",
  ).argParser(instant);

export const untilOption = () =>
  new Option("--until <time>", "only what happened before: 30m, 2h, 7d … ago, or a date").argParser(instant);

const DATE = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2}))?$/;

function instant(text: string): Date {
  const ago = parseDuration(text);
  const at = ago === undefined ? new Date(DATE.test(text) ? text : Number.NaN) : new Date(Date.now() - ago);
  if (!Number.isNaN(at.getTime())) return at;
  throw new InvalidArgumentError("Give a length of time such as 15m, 2h or 7d, or a date such as 2026-11-01.");
}
