import * as z from "zod";

const POSTGRES_OR_ISO = /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)(Z|[+-]\d{2})(?::?(\d{2}))?$/;

/**
 * Reads the two timestamp formats of the platform, ISO-8601 (`2026-11-22T16:33:42.893Z`) and PostgreSQL text
 * (`2026-11-22 16:34:45.668+00`, up to six fraction digits or none). One answer can hold both.
 *
 * @returns the instant with millisecond precision, or `undefined` when the text is neither.
 */
export function parseTimestamp(text: string): Date | undefined {
  const match = POSTGRES_OR_ISO.exec(text);
  if (!match) return undefined;
  const [, date, time, zone, minutes = "00"] = match;
  const instant = new Date(`${date}T${time}${zone === "Z" ? "Z" : `${zone}:${minutes}`}`);
  return Number.isNaN(instant.getTime()) ? undefined : instant;
}

/** A timestamp of the platform, whichever of its formats it came in, as a `Date`. */
export const timestamp = z.string().transform((text, context) => {
  const instant = parseTimestamp(text);
  if (instant) return instant;
  context.addIssue({ code: "custom", message: "neither an ISO-8601 nor a PostgreSQL timestamp" });
  return z.NEVER;
});
