import type { Api } from "../api/api.ts";
import type { KnownRun, Ledger } from "../journal/ledger.ts";
import type { IntentRecord } from "../journal/record.ts";
import type { OpenIntent } from "../journal/open-index.ts";
import { CliError } from "../errors.ts";
import { lookFor, searchFor, type Trace } from "./reconcile.ts";
import { resolveRuns } from "./resolve.ts";
import type { Run } from "./run.ts";
import { machineOf, pollRun } from "./settle.ts";

/**
 * What could be found out about a start whose end nobody knows.
 *
 * - `found`: its run.
 * - `alarm`: several runs that fit it.
 * - `nothing`: no trace, which is no proof that it did not start.
 */
export type Finding =
  | { readonly state: "found"; readonly run: Run }
  | { readonly state: "alarm"; readonly runs: readonly Run[] }
  | { readonly state: "nothing" };

export interface SearchOptions {
  readonly stop: AbortSignal;
  /** When to look, in milliseconds after the start was sent. What has passed is made up for by one look now. */
  readonly lookAfterMs: readonly number[];
}

/** An intent to start a run on an instance. */
export type StartIntent = IntentRecord & { readonly instanceId: string };

/** Looks for the run of an earlier invocation's start, and writes down what it finds. Asks no run for its status. */
export async function reconcileStart(
  api: Api,
  ledger: Ledger,
  open: OpenIntent & { readonly intent: StartIntent },
  options: SearchOptions,
): Promise<Finding> {
  const finding = await findStart(api, open.intent, await ledger.knownRuns(), options);
  // A process that is still at it will find out by itself.
  if (finding.state === "found" && open.writer === null) {
    await ledger.settle(open, { runId: finding.run.id, result: "found" });
  }
  return finding;
}

/**
 * Looks for the run of an earlier start. Writes nothing down, and asks no run for its status.
 *
 * @param recorded the runs that are known to belong to operations: those of others are not this start's.
 */
export async function findStart(
  api: Api,
  intent: StartIntent,
  recorded: readonly KnownRun[],
  { stop, lookAfterMs }: SearchOptions,
): Promise<Finding> {
  const mark = {
    userId: intent.userId,
    instanceId: intent.instanceId,
    adminId: intent.adminId,
    promptSha256: intent.promptSha256 ?? "",
    known: [...intent.knownRunIds, ...recorded.filter(({ op }) => op !== intent.op).map(({ runId }) => runId)],
  };
  const ageMs = Date.now() - Date.parse(intent.at);
  const ahead = lookAfterMs.map((ms) => ms - ageMs).filter((ms) => ms > 0);
  const trace =
    ahead.length > 0
      ? await searchFor(api, mark, hasOurs, { stop, lookAfterMs: [0, ...ahead] })
      : await lookFor(api, mark, { signal: stop });
  const [run, ...more] = trace?.ours ?? [];
  if (!run) return { state: "nothing" };
  return more.length > 0 ? { state: "alarm", runs: [run, ...more] } : { state: "found", run };
}

function hasOurs({ ours }: Trace): boolean {
  return ours.length > 0;
}

/** Whether an intent is a start's. */
export function isStart(open: OpenIntent): open is OpenIntent & { readonly intent: StartIntent } {
  return open.intent.action === "start" && open.intent.instanceId !== null;
}

/**
 * Finds out what became of the run that an earlier invocation wanted to cancel, and writes it down.
 *
 * @returns the run as it is now, or `undefined` where it cannot be asked for without harm.
 */
export async function reconcileCancel(api: Api, ledger: Ledger, open: OpenIntent): Promise<Run | undefined> {
  const { runId } = open.intent;
  if (runId === null) return undefined;
  const listed = await resolveRuns(api, [runId]).catch((error: unknown) => {
    if (error instanceof CliError && error.kind === "not-found") return [];
    throw error;
  });
  const [row] = listed;
  if (!row) return undefined;
  if (row.status === "running" && (await machineOf(api, row)) !== "up") return undefined;
  const { run } = await pollRun(api, row);
  await ledger.settle(open, { runId: run.id, result: run.status });
  return run;
}
