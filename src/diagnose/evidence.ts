import { ApiError } from "../api/api-error.ts";
import type { Api } from "../api/api.ts";
import { wait } from "../async/wait.ts";
import { listAudit, MAX_AUDIT_RECORDS, type AuditRecord } from "../audit/records.ts";
import { UNKNOWN_OUTCOME_OUTPUTS } from "../contract/procedures.ts";
import { getInstance } from "../customers/instances.ts";
import { machineOf, machineState } from "../customers/machine.ts";
import { listRuns } from "../runs/list.ts";
import { OutputCursor } from "../runs/output/cursor.ts";
import type { Run, Status } from "../runs/run.ts";
import { pollRun } from "../runs/settle/settle.ts";
import { CANCEL_ACTION, type Evidence, type Look } from "./judge.ts";

/** Whom or what to look at. */
export interface Question {
  readonly userId: string;
  readonly userEmail: string | null;
  /** `null`: the customer has no run. */
  readonly run: Run | null;
  /** The run's instance, or the one of the customer without a run. */
  readonly instanceId: string | null;
}

export interface LookOptions {
  /** How often to look at a run in progress. */
  readonly looks: number;
  /** Milliseconds between the looks. */
  readonly intervalMs: number;
  /** Whoever asks has just seen a start refused as busy. */
  readonly startRefusedAt: Date | null;
  /** What this machine's journal has of a cancel of the run; asked only where the audit log has none. */
  readonly ownCancel: (runId: string) => Promise<Evidence["ownCancel"]>;
  /** What this machine's journal holds open for the instance. */
  readonly unsettledStart: Evidence["unsettledStart"];
  readonly stop: AbortSignal;
  /** Told before each look. */
  readonly onLook?: (number: number) => void;
}

const MAX_WAIT_MS = 60_000;
const START_ACTION = "kiloclaw.cli_run.start";

/**
 * Gathers what can be seen of a run without destroying anything: its status is asked for only while its machine runs (or when
 * its row has its end already). Asking records an end that nobody had asked about. Nothing is ever started to find out more.
 *
 * @throws ApiError when the platform's lists cannot be read. Trouble with the machine is evidence.
 */
export async function gatherEvidence(api: Api, question: Question, options: LookOptions): Promise<Evidence> {
  const { run, instanceId, userId, userEmail } = question;
  const [instance, rows, audit] = await Promise.all([
    instanceId === null ? null : instanceEvidence(api, instanceId, options.stop),
    instanceId === null ? [] : rowsOf(api, instanceId),
    listAudit(api, userId, MAX_AUDIT_RECORDS).catch(orNull),
  ]);
  const looked = run ? await lookAt(api, run, instance?.machine ?? null, options) : undefined;
  const others = rows.filter(({ id }) => id !== run?.id);
  const at = nowOf(api);
  const about = audit && run ? audit.filter(({ runId }) => runId === run.id) : audit;
  const unexplained = looked?.run.status === "cancelled" && !about?.some(({ action }) => action === CANCEL_ACTION);
  return {
    at,
    userId,
    userEmail,
    run: looked?.run ?? null,
    recordedStatus: run?.status ?? null,
    ageMs: run ? Math.max(0, at.getTime() - run.startedAt.getTime()) : null,
    instanceId,
    instanceDestroyed: instance?.destroyed ?? false,
    machine: looked?.machine ?? instance?.machine ?? null,
    machineStatus: instance?.machineStatus ?? null,
    looks: looked?.looks ?? [],
    silentMs: looked ? silenceIn(looked.looks, looked.run, at) : null,
    lost: looked?.lost ?? null,
    // Newest first: the last one that is newer.
    newerRun: run ? (others.findLast(({ startedAt }) => startedAt > run.startedAt) ?? null) : null,
    otherRunning: others.find(({ status }) => status === "running") ?? null,
    audit: about,
    unrecordedStart: audit && instanceId !== null ? unrecordedStart(audit, rows, instanceId, run) : null,
    startRefusedAt: options.startRefusedAt,
    unstorable: looked?.unstorable ?? false,
    ownCancel: unexplained ? await options.ownCancel(looked.run.id) : null,
    unsettledStart: options.unsettledStart,
  };
}

function orNull(error: unknown): null {
  if (error instanceof ApiError && error.kind !== "auth" && error.kind !== "interrupted") return null;
  throw error;
}

async function instanceEvidence(api: Api, id: string, signal: AbortSignal) {
  const instance = await getInstance(api, id, signal).catch(orNull);
  if (!instance) return { machine: "unknown" as const, machineStatus: null, destroyed: false };
  const { machineStatus, destroyedAt } = instance;
  return { machine: machineState(instance), machineStatus, destroyed: destroyedAt !== null };
}

/** The instance's newest runs: as many as the audit log goes back, and more. */
async function rowsOf(api: Api, instanceId: string): Promise<Run[]> {
  const rows: Run[] = [];
  for await (const row of listRuns(api, { instanceId }, 2 * MAX_AUDIT_RECORDS)) rows.push(row);
  return rows;
}

function unrecordedStart(
  audit: readonly AuditRecord[],
  rows: readonly Run[],
  instanceId: string,
  run: Run | null,
): AuditRecord | null {
  const recorded = new Set([...rows.map(({ id }) => id), ...(run ? [run.id] : [])]);
  const unrecorded = audit.find(
    ({ action, runId, instanceId: on, createdAt }) =>
      action === START_ACTION &&
      on === instanceId &&
      runId !== null &&
      !recorded.has(runId) &&
      (!run || createdAt > run.startedAt),
  );
  return unrecorded ?? null;
}

interface Looked {
  readonly run: Run;
  readonly looks: Look[];
  readonly lost: Evidence["lost"];
  readonly machine?: Evidence["machine"];
  readonly unstorable?: boolean;
}

async function lookAt(api: Api, run: Run, machine: Evidence["machine"], options: LookOptions): Promise<Looked> {
  // Only the output of such a row tells whether the run failed or the machine lost it; asking changes nothing there.
  const unclear = run.status === "failed" && run.exitCode === null;
  if (run.status !== "running" && !unclear) return { run, looks: [], lost: null };
  if (!unclear && machine !== "up") return { run, looks: [], lost: null };
  const { stop, intervalMs } = options;
  const cursor = new OutputCursor();
  const looks: Look[] = [];
  let answered = false;
  let pauseMs = 0;
  for (let number = 1; number <= options.looks; number++) {
    if (number > 1) {
      await wait(Math.max(intervalMs, pauseMs), stop);
      // It may have stopped meanwhile.
      const now = unclear ? "up" : await machineOf(api, run, stop).catch(orNull);
      if (now === "down") return { run, looks, lost: null, machine: "down" };
    }
    options.onLook?.(number);
    try {
      const { run: polled, status, unstorable } = await pollRun(api, run, { signal: stop, retry: false });
      looks.push(lookOf(status, cursor, answered, nowOf(api)));
      answered = true;
      if (!status.hasRun) return { run, looks, lost: null };
      if (polled.status !== "running") return { run: polled, looks, lost: reasonOf(status), unstorable };
    } catch (error) {
      if (!(error instanceof ApiError) || error.kind === "auth" || error.kind === "interrupted") throw error;
      pauseMs = Math.min(error.retryAfterMs ?? 0, MAX_WAIT_MS);
      looks.push(troubleOf(error, nowOf(api)));
    }
  }
  return { run, looks, lost: null };
}

function lookOf(status: Status, cursor: OutputCursor, answered: boolean, at: Date): Look {
  const output = status.output ?? "";
  const fresh = cursor.next(output).text.length;
  return {
    at,
    answer: !status.hasRun ? "not-found" : status.status === "running" ? "running" : "ended",
    outputLength: output.length,
    grewBy: answered ? fresh : null,
    problem: null,
    controllerFailed: false,
  };
}

function troubleOf(error: ApiError, at: Date): Look {
  return {
    at,
    answer: "trouble",
    outputLength: null,
    grewBy: null,
    problem: error.message,
    controllerFailed: error.trpcCode !== undefined && /KiloClaw API error \((404|500)\)/.test(error.message),
  };
}

/** What is compared with the rows' times is counted by the platform's clock. */
function nowOf({ clock }: Api): Date {
  return clock.now() ?? new Date();
}

/** The platform's two notes in place of the output of a run whose outcome is unknown. */
function reasonOf({ output }: Status): Evidence["lost"] {
  const [lost, superseded] = UNKNOWN_OUTCOME_OUTPUTS;
  const note = output?.trim();
  if (note === lost) return "controller-lost-it";
  return note === superseded ? "superseded" : null;
}

/** From the first look at an output that has not grown since, or from the start where there is none. */
function silenceIn(looks: readonly Look[], run: Run, now: Date): number | null {
  const seen = looks.filter(({ answer }) => answer === "running");
  const last = seen.at(-1);
  if (!last || run.status !== "running") return null;
  if (last.outputLength === 0) return Math.max(0, now.getTime() - run.startedAt.getTime());
  const grown = seen.findLastIndex(({ grewBy }) => grewBy !== null && grewBy > 0);
  return last.at.getTime() - (seen[Math.max(0, grown)] ?? last).at.getTime();
}
