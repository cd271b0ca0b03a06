import type { ErrorKind } from "../../../errors.ts";
import type { Watched } from "../../../runs/watch/watched.ts";

type Result = Extract<ErrorKind, "run-failed" | "outcome-unknown" | "run-cancelled" | "still-running" | "conflict">;

/**
 * From the worst to the least bad, as whoever has to act sees it: what is known to be bad, what nobody will ever know, what
 * somebody stopped, what is not over, what was left alone because its machine is down. Nothing: all completed.
 */
export const WORST_FIRST = [
  "run-failed",
  "outcome-unknown",
  "run-cancelled",
  "still-running",
  "conflict",
] as const satisfies readonly Result[];

/** Runs that need attention on top, those that completed at the end. */
export function byResult(a: Watched, b: Watched): number {
  return rankOf(a) - rankOf(b);
}

function rankOf(watched: Watched): number {
  const result = resultOf(watched);
  return result === undefined ? WORST_FIRST.length : WORST_FIRST.indexOf(result);
}

/** The result of several runs: the worst of theirs; `undefined` when all completed. */
export function worstResult(all: readonly Watched[]): Result | undefined {
  const results = new Set(all.map(resultOf));
  return WORST_FIRST.find((result) => results.has(result));
}

function resultOf({ state, run }: Watched): Result | undefined {
  if (state === "machine-down") return "conflict";
  if (state !== "ended") return "still-running";
  if (run.outcomeUnknown) return "outcome-unknown";
  if (run.status === "failed") return "run-failed";
  return run.status === "cancelled" ? "run-cancelled" : undefined;
}
