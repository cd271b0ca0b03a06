import { setTimeout as sleep } from "node:timers/promises";
import { ApiError } from "../api/api-error.ts";
import type { Api, CallOptions } from "../api/api.ts";
import { withRetry } from "../api/retry.ts";
import { admin, UPSTREAM_CODES } from "../contract/procedures.ts";
import { graceAfter } from "./grace.ts";
import { getInstance, type Instance } from "./instances.ts";
import { listRuns } from "./list.ts";
import { startedRun, type Run } from "./run.ts";
import { pollRun } from "./settle.ts";

export interface StartRequest {
  readonly userId: string;
  readonly userEmail: string | null;
  readonly instance: Instance;
  readonly prompt: string;
  /** Who asks: tells its rows from those of others. */
  readonly admin: { readonly userId: string | undefined; readonly email: string | null };
}

/**
 * What can be said of a start.
 *
 * - `started`: the platform said so, or (`answered: false`) its answer was lost and the run was found by its row.
 * - `machine-down`, `refused`: definitely not started; nothing was sent, or the platform refused it before it did anything.
 * - `conflict`: another run is in progress on the instance. After a request was sent (`sent`) this is no proof that ours did
 *   not start before it.
 * - `possible-orphan`: the machine is busy with a run that no row records, perhaps ours.
 * - `unknown`: no trace of a run was found, which proves nothing.
 * - `alarm`: more than one run that could be ours.
 */
export type StartOutcome =
  | { readonly state: "started"; readonly run: Run; readonly answered: boolean }
  | { readonly state: "machine-down"; readonly machineStatus: string | null }
  | { readonly state: "refused"; readonly error: ApiError }
  | { readonly state: "conflict"; readonly inTheWay: Run; readonly sent: boolean }
  | { readonly state: "possible-orphan"; readonly error: ApiError }
  | { readonly state: "unknown"; readonly error: ApiError }
  | { readonly state: "alarm"; readonly runs: readonly Run[] };

/** The web app waits without limit for its worker, the worker 30 s for the machine. */
const START_TIMEOUT_MS = 120_000;
/** When to look for the row of a start whose answer was lost, in seconds after it was. */
const LOOK_AFTER_S = [0, 1, 2, 4, 8, 15, 30];
/** How long to go on looking once the user wants the tool to end. */
const LOOK_AFTER_STOP_MS = 5_000;

export interface StartOptions {
  readonly stop: AbortSignal;
  /** Told when the answer was lost and the search for the row begins. */
  readonly onSearching?: (error: ApiError) => void;
}

/**
 * Starts a recovery run, at most once.
 *
 * A start is not idempotent, and its row is written only after the process runs on the machine: a lost answer, a 5xx and even
 * a 409 can hide a live run. So the request goes out once, and whatever is not a definite answer is settled by looking for
 * the row.
 *
 * @throws ApiError when the platform cannot be asked before anything was sent.
 */
export async function startRun(api: Api, request: StartRequest, options: StartOptions): Promise<StartOutcome> {
  const { instance } = request;
  const { machineStatus, machineStatusError } = await getInstance(api, instance.id);
  // An unreachable worker says nothing about the machine; the platform checks again by itself.
  if (machineStatus !== "running" && machineStatusError === null) return { state: "machine-down", machineStatus };

  const before = await runsOf(api, instance);
  for (const listed of before.filter(({ status }) => status === "running")) {
    // A finished run that nobody polled would lose its outcome to the new one.
    const { run } = await pollRun(api, listed);
    if (run.status === "running") return { state: "conflict", inTheWay: run, sent: false };
  }
  options.stop.throwIfAborted();

  try {
    return { state: "started", run: await sendStart(api, request, options.stop), answered: true };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (isDefinite(error)) return { state: "refused", error };
    options.onSearching?.(error);
    return reconcileStart(api, request, new Set(before.map(({ id }) => id)), error, options.stop);
  }
}

/** Sends the start once. Tried again only while it is certain that nothing has happened: no socket, or a refusal with 429. */
async function sendStart(
  api: Api,
  { userId, userEmail, instance, prompt, admin: me }: StartRequest,
  stop: AbortSignal,
) {
  const { id, startedAt } = await withRetry(
    () =>
      api.mutate(
        admin.startKiloCliRun,
        { userId, instanceId: instance.id, prompt },
        // A user who wants out does not wait two minutes for an answer: looking for the row takes five seconds.
        { timeoutMs: START_TIMEOUT_MS, signal: stop },
      ),
    (error) => !error.sent || (error.httpStatus === 429 && error.trpcCode !== undefined),
    stop,
  );
  return startedRun({
    id,
    userId,
    userEmail,
    instanceId: instance.id,
    initiatedBy: "admin",
    initiatedByAdminId: me.userId ?? null,
    initiatedByAdminEmail: me.email,
    prompt,
    startedAt,
  });
}

const DEFINITE_STATUS = new Set([400, 401, 403, 404, 412, 429]);

/** Whether the error proves that this request started nothing. 409 and 5xx do not: an earlier step may have started it. */
function isDefinite(error: ApiError): boolean {
  if (!error.sent) return true;
  return error.trpcCode !== undefined && error.httpStatus !== undefined && DEFINITE_STATUS.has(error.httpStatus);
}

/**
 * Looks for the row of a start whose answer was lost. A row is ours only if it was not there before and prompt, user,
 * instance and admin are exactly ours; nobody else's row is polled meanwhile.
 */
async function reconcileStart(
  api: Api,
  request: StartRequest,
  before: ReadonlySet<string>,
  error: ApiError,
  stop: AbortSignal,
): Promise<StartOutcome> {
  const sentAt = Date.now();
  const grace = graceAfter(stop, LOOK_AFTER_STOP_MS);
  let runs: Run[] | undefined;
  for (const seconds of LOOK_AFTER_S) {
    await sleepUntil(sentAt + seconds * 1000, stop, grace);
    if (grace.aborted) break;
    runs = await runsOf(api, request.instance, { signal: grace, retry: false }).catch(() => runs);
    const ours = runs?.filter((run) => !before.has(run.id) && isOurs(run, request)) ?? [];
    const running = runs?.find(({ status }) => status === "running");
    if (error.upstreamCode === UPSTREAM_CODES.alreadyActive) {
      // The machine refused because of an earlier request's run, even one just like ours from another terminal.
      const inTheWay = running ?? ours[0];
      if (inTheWay) return { state: "conflict", inTheWay, sent: true };
      continue;
    }
    if (ours.length > 1) return { state: "alarm", runs: ours };
    if (ours[0]) return { state: "started", run: ours[0], answered: false };
  }
  if (error.upstreamCode === UPSTREAM_CODES.alreadyActive) return { state: "possible-orphan", error };
  if (error.upstreamCode === UPSTREAM_CODES.instanceNotRunning) return { state: "machine-down", machineStatus: null };
  return { state: "unknown", error };
}

function isOurs(run: Run, { userId, instance, prompt, admin: me }: StartRequest): boolean {
  return (
    run.userId === userId &&
    run.instanceId === instance.id &&
    run.prompt === prompt &&
    me.userId !== undefined &&
    run.initiatedByAdminId === me.userId
  );
}

/** The instance's newest runs. A hundred are enough to tell a new one from those that were there. */
async function runsOf(api: Api, instance: Instance, options: CallOptions = {}): Promise<Run[]> {
  const runs: Run[] = [];
  for await (const run of listRuns(api, { instanceId: instance.id }, 100, options)) runs.push(run);
  return runs;
}

/** Waits until `time`; a stop cuts the wait short once, the end of the grace after it for good. */
async function sleepUntil(time: number, stop: AbortSignal, grace: AbortSignal): Promise<void> {
  const wait = Math.max(0, time - Date.now());
  await sleep(wait, undefined, { signal: stop.aborted ? grace : stop }).catch(() => undefined);
}
