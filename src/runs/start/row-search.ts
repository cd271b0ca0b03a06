import { ApiError } from "../../api/api-error.ts";
import type { Api, CallOptions } from "../../api/api.ts";
import { graceAfter } from "../../async/grace.ts";
import { wait } from "../../async/wait.ts";
import { promptFacts } from "../../journal/record.ts";
import { listRuns } from "../list.ts";
import type { Run } from "../run.ts";

/** What tells the row of one start from all other rows. Holds no text of the prompt, so that it can be written down. */
export interface StartMark {
  readonly userId: string;
  readonly instanceId: string;
  /** The admin whose token the request carried. Unknown: no row can be told to be ours. */
  readonly adminId: string | null;
  readonly promptSha256: string;
  /** Runs that are not ours even if they fit: their rows were there before, or they belong to another start. */
  readonly known: readonly string[];
}

/** What is found of a start whose answer is not known. */
export interface Trace {
  /** The rows that can only be of this start. More than one should not be possible. */
  readonly ours: readonly Run[];
  /** A run in progress on the instance that was not there before, whoever started it, as the platform's row has it. */
  readonly running: Run | undefined;
}

/** The runs of the instance that a start's row could be mistaken for are the newest hundred. */
export const NEWEST = 100;

/** Whether a run's row is what this start would have written. */
export function fits(run: Run, { userId, instanceId, adminId, promptSha256 }: Omit<StartMark, "known">): boolean {
  return (
    run.userId === userId &&
    run.instanceId === instanceId &&
    adminId !== null &&
    run.initiatedByAdminId === adminId &&
    promptFacts(run.prompt).promptSha256 === promptSha256
  );
}

/** The instance's newest runs, newest first, as their rows say: nobody's status is asked. */
export async function newestRuns(api: Api, instanceId: string, options?: CallOptions): Promise<Run[]> {
  const runs: Run[] = [];
  for await (const run of listRuns(api, { instanceId }, NEWEST, options)) runs.push(run);
  return runs;
}

/** What the rows of an instance tell of a start. */
function traceOf(rows: readonly Run[], mark: StartMark): Trace {
  const known = new Set(mark.known);
  const others = rows.filter(({ id }) => !known.has(id));
  return {
    ours: others.filter((run) => fits(run, mark)),
    running: others.find(({ status }) => status === "running"),
  };
}

export interface SearchOptions {
  readonly stop: AbortSignal;
  /** When to look, in milliseconds. */
  readonly lookAfterMs: readonly number[];
}

/**
 * Looks for the rows of a start until `enough` says that what was found decides the matter, or the last look was taken; see
 * {@link searchRows}.
 */
export async function searchFor(
  api: Api,
  mark: StartMark,
  enough: (trace: Trace) => boolean,
  options: SearchOptions,
): Promise<Trace | undefined> {
  const rows = await searchRows(api, mark.instanceId, (seen) => enough(traceOf(seen, mark)), options);
  return rows && traceOf(rows, mark);
}

/**
 * Looks at an instance's newest rows until `enough` says that they decide the matter, or the last look was taken. A look that
 * fails is left out. Somebody who wants the tool to end waits a few seconds more.
 *
 * @returns what the last look saw; `undefined` when it failed: then nothing is known of that time.
 */
export async function searchRows(
  api: Api,
  instanceId: string,
  enough: (rows: readonly Run[]) => boolean,
  { stop, lookAfterMs }: SearchOptions,
): Promise<readonly Run[] | undefined> {
  const began = performance.now();
  const { signal: grace, release } = graceAfter(stop, api.timing.afterStopMs);
  let rows: readonly Run[] | undefined;
  try {
    for (const [index, afterMs] of lookAfterMs.entries()) {
      const pauseMs = began + afterMs - performance.now();
      // After a look that took long, one makes up for all that have become due.
      if (index > 0 && (lookAfterMs[index + 1] ?? Infinity) < performance.now() - began) continue;
      // A stop cuts the wait short once, the end of the grace after it for good.
      if (pauseMs > 0) await wait(pauseMs, stop.aborted ? grace : stop).catch(() => undefined);
      if (grace.aborted) break;
      rows = await newestRuns(api, instanceId, { signal: grace, retry: false }).catch(whatFailed);
      if (rows && enough(rows)) break;
    }
    return rows;
  } finally {
    release();
  }
}

/** A look that failed has seen nothing. */
function whatFailed(error: unknown): undefined {
  if (!(error instanceof ApiError)) throw error;
}
