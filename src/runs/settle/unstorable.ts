/**
 * A run that has ended, and whose end the platform's database cannot take: its output has a NUL. Each poll then fails with the
 * statement and its parameters, which is all that anybody learns of the end.
 */
import { ApiError } from "../../api/api-error.ts";
import type { Run } from "../run.ts";

/** How a run ended, as far as the platform's failure to store it tells. */
export interface UnstorableEnd {
  readonly status: "completed" | "failed";
  readonly exitCode: number | null;
  readonly output: string;
  readonly completedAt: Date;
  /** All that the platform said: an end counts when two polls bring the same. */
  readonly text: string;
}

/** The statement, and the parameters that come before the output. None of it is the customer's text. */
const FRONT = /^Failed query: update "kiloclaw_cli_runs" set [^\n]*\nparams: (completed|failed),(\d{0,10}),/;
const ENDED_AT = /,(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z)$/;

/**
 * Reads how a run ended from the error of a status poll; `undefined` when it is any other error. The customer's output stands in the
 * middle and may look like anything: what comes before it is read from the front, what comes after it from the end, where it has
 * to be about this very run.
 */
export function unstorableEnd(
  error: unknown,
  { id, userId, instanceId }: Pick<Run, "id" | "userId" | "instanceId">,
): UnstorableEnd | undefined {
  if (!(error instanceof ApiError) || !error.own || error.httpStatus !== 500) return undefined;
  const text = error.detail ?? "";
  const front = FRONT.exec(text);
  const about = `,${id},${userId},running`;
  // The instance is asked for only where the run has one.
  const tail = [`${about},${instanceId}`, about].find((end) => text.endsWith(end));
  if (!front || tail === undefined) return undefined;
  const middle = text.slice(front[0].length, -tail.length);
  const endedAt = ENDED_AT.exec(middle.slice(-30));
  if (!endedAt?.[1]) return undefined;
  const output = middle.slice(0, -endedAt[0].length);
  if (!output.includes("\0")) return undefined;
  return {
    status: front[1] === "completed" ? "completed" : "failed",
    exitCode: front[2] === "" ? null : Number(front[2]),
    output,
    completedAt: new Date(endedAt[1]),
    text,
  };
}
