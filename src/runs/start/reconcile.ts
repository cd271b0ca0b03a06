import type { Api } from "../../api/api.ts";
import { machineOf } from "../../customers/machine.ts";
import { CliError } from "../../errors.ts";
import type { KnownRun, Ledger } from "../../journal/ledger.ts";
import type { OpenIntent } from "../../journal/open-index.ts";
import { promptFacts, type IntentRecord } from "../../journal/record.ts";
import { resolveRuns } from "../find.ts";
import type { Run } from "../run.ts";
import { pollRun } from "../settle/settle.ts";
import { newestRuns, searchRows, type SearchOptions } from "./row-search.ts";

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

/** An intent to start a run on an instance. */
export type StartIntent = IntentRecord & { readonly instanceId: string };
export type OpenStart = OpenIntent & { readonly intent: StartIntent };

/**
 * Looks for the runs of earlier invocations' starts on one instance, and writes down what it finds. One look at the rows
 * serves all of them. Asks no run for its status.
 *
 * @param opens starts on the same instance.
 * @returns what was found, by operation.
 */
export async function reconcileStarts(
  api: Api,
  ledger: Ledger,
  opens: readonly OpenStart[],
  options: SearchOptions,
): Promise<ReadonlyMap<string, Finding>> {
  const intents = opens.map(({ intent }) => intent);
  const findings = await findStarts(api, intents, await ledger.knownRuns(), options);
  for (const open of opens) {
    const finding = findings.get(open.intent.op);
    // A process that is still at it will find out by itself.
    if (finding?.state === "found" && open.writer === null) {
      await ledger.settle(open, { runId: finding.run.id, result: "found" });
    }
  }
  return findings;
}

/**
 * Looks for the run of an earlier start. Writes nothing down, and asks no run for its status.
 *
 * @param recorded the runs that are known to belong to operations: those of others are not this start's.
 * @param options when to look, in milliseconds after the start was sent. What has passed is made up for by one look now.
 */
export async function findStart(
  api: Api,
  intent: StartIntent,
  recorded: readonly KnownRun[],
  options: SearchOptions,
): Promise<Finding> {
  const findings = await findStarts(api, [intent], recorded, options);
  return findings.get(intent.op) ?? NOTHING;
}

const NOTHING: Finding = { state: "nothing" };

/** As {@link findStart}, for starts on one instance. The looks are those that the latest of them needs. */
async function findStarts(
  api: Api,
  intents: readonly StartIntent[],
  recorded: readonly KnownRun[],
  { stop, lookAfterMs }: SearchOptions,
): Promise<ReadonlyMap<string, Finding>> {
  const instanceId = intents[0]?.instanceId;
  if (instanceId === undefined) return new Map();
  const sentAt = Math.max(...intents.map(({ at }) => Date.parse(at)));
  // A clock that was set back must not make it wait for longer.
  const ageMs = Math.max(0, Date.now() - sentAt);
  const ahead = lookAfterMs.map((ms) => ms - ageMs).filter((ms) => ms > 0);
  const find = (rows: readonly Run[]) => findingsIn(rows, intents, recorded);
  const allFound = (rows: readonly Run[]) => find(rows).size === intents.length;
  const rows =
    ahead.length > 0
      ? await searchRows(api, instanceId, allFound, { stop, lookAfterMs: [0, ...ahead] })
      : await newestRuns(api, instanceId, { signal: stop });
  return find(rows ?? []);
}

/** What rows of an instance tell of starts there; starts without a trace are left out. */
function findingsIn(
  rows: readonly Run[],
  intents: readonly StartIntent[],
  recorded: readonly KnownRun[],
): Map<string, Finding> {
  const here = new Set(rows.map(({ id }) => id));
  const owners = new Map(recorded.filter(({ runId }) => here.has(runId)).map(({ runId, op }) => [runId, op]));
  const byMark = new Map<string, Run[]>();
  for (const run of rows) {
    // Customers' own starts are nobody's here.
    if (run.initiatedByAdminId === null) continue;
    const mark = markOf(run.userId, run.initiatedByAdminId, promptFacts(run.prompt).promptSha256);
    byMark.set(mark, [...(byMark.get(mark) ?? []), run]);
  }
  const findings = new Map<string, Finding>();
  // A run that is found to be one start's is none of another's, which may leave that one with a single run, too.
  for (let before = -1; before < owners.size;) {
    before = owners.size;
    for (const intent of intents) {
      if (findings.get(intent.op)?.state === "found") continue;
      const known = new Set(intent.knownRunIds);
      const fitting = byMark.get(markOf(intent.userId, intent.adminId, intent.promptSha256)) ?? [];
      const [run, ...more] = fitting.filter(({ id }) => !known.has(id) && (owners.get(id) ?? intent.op) === intent.op);
      findings.delete(intent.op);
      if (!run) continue;
      findings.set(intent.op, more.length > 0 ? { state: "alarm", runs: [run, ...more] } : { state: "found", run });
      if (more.length === 0) owners.set(run.id, intent.op);
    }
  }
  return findings;
}

/** What a start and its row have in common, but for the instance. */
function markOf(userId: string, adminId: string | null, promptSha256: string | null): string {
  return JSON.stringify([userId, adminId, promptSha256]);
}
/** Whether an intent is a start's. */
export function isStart(open: OpenIntent): open is OpenStart {
  return open.intent.action === "start" && open.intent.instanceId !== null;
}

/**
 * Finds out what became of the run that an earlier invocation wanted to cancel, and writes it down.
 *
 * @returns the run as it is now, or `undefined` where it cannot be asked for without harm.
 */
export async function reconcileCancel(api: Api, ledger: Ledger, open: OpenIntent): Promise<Run | undefined> {
  const { runId, action } = open.intent;
  // What a call by name was to do to a run, its row does not tell.
  if (runId === null || action === "api") return undefined;
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
