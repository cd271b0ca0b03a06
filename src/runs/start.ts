import { ApiError } from "../api/api-error.ts";
import type { Api } from "../api/api.ts";
import { withRetry } from "../api/retry.ts";
import { admin, UPSTREAM_CODES } from "../contract/procedures.ts";
import { promptFacts } from "../journal/record.ts";
import { getInstance, type Instance } from "./instances.ts";
import { fits, LOOK_AFTER_MS, newestRuns, searchFor, type StartMark } from "./reconcile.ts";
import { startedRun, type Run } from "./run.ts";
import { pollRun } from "./settle.ts";

export interface StartRequest {
  readonly userId: string;
  readonly userEmail: string | null;
  readonly instance: Pick<Instance, "id">;
  readonly prompt: string;
  /** Who asks: tells its rows from those of others. */
  readonly admin: { readonly userId: string | undefined; readonly email: string | null };
}

/**
 * What can be said of a start.
 *
 * Definite:
 * - `started`: the platform said so.
 * - `machine-down`: the instance is not running. Before the request (`sent: false`) nothing happened; after it, the platform
 *   refused it, and no trace of a run was found.
 * - `refused`: nothing reached the platform, or it refused the request before it did anything.
 *
 * After looking for the row:
 * - `found`: the answer was lost, the run was found by its row.
 * - `conflict`: another run is in progress on the instance. After a request (`sent: true`) this is no proof that ours did not
 *   start before it.
 * - `possible-orphan`: the machine is busy with a run that no row records, perhaps ours.
 * - `unknown`: no trace of a run was found, which proves nothing.
 * - `alarm`: more than one run that could be ours.
 *
 * Nothing was sent now:
 * - `adopted`: a run that was there already is this start's, sent by an invocation of which this machine knows nothing any more.
 * - `several`: more than one run that was there already could be this start's: a person decides.
 */
export type StartOutcome =
  | { readonly state: "started" | "found"; readonly run: Run }
  | { readonly state: "machine-down"; readonly machineStatus: string | null; readonly sent: boolean }
  | { readonly state: "refused"; readonly error: ApiError }
  | { readonly state: "conflict"; readonly inTheWay: Run; readonly sent: boolean }
  | { readonly state: "possible-orphan"; readonly error: ApiError }
  | { readonly state: "unknown"; readonly error: ApiError }
  | { readonly state: "alarm"; readonly runs: readonly Run[] }
  | Adoption;

/** What the rows say of a start that an earlier invocation may have sent. */
export type Adoption =
  | { readonly state: "adopted"; readonly run: Run }
  | { readonly state: "several"; readonly runs: readonly Run[] };

/** The web app waits without limit for its worker, the worker 30 s for the machine. */
const START_TIMEOUT_MS = 120_000;

export interface StartOptions {
  readonly stop: AbortSignal;
  /** Makes it durable that the request is about to be sent. What it throws keeps the request from being sent. */
  readonly beforeSending: (mark: StartMark) => Promise<void>;
  /**
   * Looks, in the instance's rows as they are before anything is sent, for a run that is this start's already. What it returns is
   * the outcome, and nothing is sent.
   */
  readonly adopt?: ((rows: readonly Run[]) => Promise<Adoption | undefined>) | undefined;
  /** Told when the answer was lost and the search for the row begins. */
  readonly onSearching?: (error: ApiError) => void;
  /** When to look for the row, in milliseconds after the answer was lost. */
  readonly lookAfterMs?: readonly number[];
  /** Send the request again while it is certain that nothing has happened. Default true. A job has its own pace. */
  readonly insist?: boolean;
}

/**
 * Starts a recovery run, at most once.
 *
 * A start is not idempotent, and its row is written only after the process runs on the machine: a lost answer, a 5xx and even
 * a 409 can hide a live run. So the request goes out once, and whatever is not a definite answer is settled by looking for
 * the row.
 *
 * @throws ApiError when the platform cannot be asked before anything was sent; what `beforeSending` and `adopt` throw.
 */
export async function startRun(
  api: Api,
  request: StartRequest,
  { stop, beforeSending, adopt, onSearching, lookAfterMs = LOOK_AFTER_MS, insist = true }: StartOptions,
): Promise<StartOutcome> {
  const { userId, instance, prompt } = request;
  // Two questions of one moment share a request.
  const [{ machineStatus, machineStatusError }, before] = await Promise.all([
    getInstance(api, instance.id),
    newestRuns(api, instance.id),
  ]);
  const adoption = await adopt?.(before);
  if (adoption) return adoption;
  // An unreachable worker says nothing about the machine; the platform checks again by itself.
  if (machineStatus !== "running" && machineStatusError === null) {
    return { state: "machine-down", machineStatus, sent: false };
  }

  for (const listed of before.filter(({ status }) => status === "running")) {
    // A finished run that nobody polled would lose its outcome to the new one.
    const { run } = await pollRun(api, listed);
    if (run.status === "running") return { state: "conflict", inTheWay: run, sent: false };
  }

  const row = {
    userId,
    instanceId: instance.id,
    adminId: request.admin.userId ?? null,
    promptSha256: promptFacts(prompt).promptSha256,
  };
  const mark = { ...row, known: before.filter((run) => fits(run, row)).map(({ id }) => id) };
  stop.throwIfAborted();
  await beforeSending(mark);
  try {
    return { state: "started", run: await sendStart(api, request, stop, insist) };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (isDefinite(error)) return { state: "refused", error };
    onSearching?.(error);
    return await outcomeByRow(api, mark, error, { stop, lookAfterMs });
  }
}

/** Sends the start once. Tried again only while it is certain that nothing has happened: no socket, or a refusal with 429. */
async function sendStart(
  api: Api,
  { userId, userEmail, instance, prompt, admin: me }: StartRequest,
  stop: AbortSignal,
  insist: boolean,
): Promise<Run> {
  const { id, startedAt } = await withRetry(
    () =>
      api.mutate(
        admin.startKiloCliRun,
        { userId, instanceId: instance.id, prompt },
        // A user who wants out does not wait two minutes for an answer: looking for the row takes five seconds.
        { timeoutMs: START_TIMEOUT_MS, signal: stop },
      ),
    (error) => insist && (!error.sent || (error.httpStatus === 429 && error.trpcCode !== undefined)),
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

/** What the rows say of a request whose answer leaves open whether it started a run. */
async function outcomeByRow(
  api: Api,
  mark: StartMark,
  error: ApiError,
  options: { stop: AbortSignal; lookAfterMs: readonly number[] },
): Promise<StartOutcome> {
  if (error.upstreamCode === UPSTREAM_CODES.alreadyActive) {
    // The machine refused because of an earlier request's run: not ours, even if it is just like ours.
    const trace = await searchFor(api, mark, ({ ours, running }) => (running ?? ours[0]) !== undefined, options);
    const inTheWay = trace?.running ?? trace?.ours[0];
    return inTheWay ? { state: "conflict", inTheWay, sent: true } : { state: "possible-orphan", error };
  }
  const trace = await searchFor(api, mark, ({ ours }) => ours.length > 0, options);
  const [run, ...more] = trace?.ours ?? [];
  if (run) return more.length > 0 ? { state: "alarm", runs: [run, ...more] } : { state: "found", run };
  if (error.upstreamCode === UPSTREAM_CODES.instanceNotRunning) {
    return { state: "machine-down", machineStatus: null, sent: true };
  }
  return { state: "unknown", error };
}
