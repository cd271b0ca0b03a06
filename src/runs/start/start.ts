import { ApiError, provesNothingHappened } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import { withRetry } from "../../api/retry.ts";
import { wait } from "../../async/wait.ts";
import { admin, UPSTREAM_CODES } from "../../contract/procedures.ts";
import { getInstance, type Instance } from "../../customers/instances.ts";
import { messageOf } from "../../errors.ts";
import { promptFacts, type PlaybookMark } from "../../journal/record.ts";
import { startedRun, type Run } from "../run.ts";
import { pollRun, withoutStatus, type Polled } from "../settle/settle.ts";
import { AlreadyStarted } from "./already-started.ts";
import { newestRuns, searchFor, type StartMark, type Trace } from "./row-search.ts";

export interface StartRequest {
  readonly userId: string;
  readonly userEmail: string | null;
  readonly instance: Pick<Instance, "id">;
  readonly prompt: string;
  /** The run that this one is a retry of, for the record. */
  readonly retryOf?: string | undefined;
  /** The playbook that the prompt comes from, for the record. */
  readonly playbook?: PlaybookMark | undefined;
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
 * - `alike`: the machine was busy, and the only new row is just like ours. It may be ours (the request was delivered twice) or
 *   the same admin's from elsewhere: it is seen, and never taken for ours.
 * - `conflict`: another run is in progress on the instance. After a request (`sent: true`) this is no proof that ours did not
 *   start before it.
 * - `possible-orphan`: the machine is busy with a run that no row records, perhaps ours.
 * - `unknown`: no trace of a run was found, which proves nothing.
 * - `alarm`: more than one run that could be ours.
 *
 * Where a start that is there already was to be taken for this one:
 * - `already-started`: it is there; `sent: true`: it was found out by a request, which the machine refused as busy.
 *
 * Nothing was sent now:
 * - `adopted`: a run that was there already is this start's, sent by an invocation of which this machine knows nothing any more.
 * - `several`: more than one run that was there already could be this start's: a person decides.
 */
export type StartOutcome =
  | { readonly state: "started" | "found"; readonly run: Run }
  | { readonly state: "alike"; readonly run: Run }
  | { readonly state: "machine-down"; readonly machineStatus: string | null; readonly sent: boolean }
  | { readonly state: "refused"; readonly error: ApiError }
  | { readonly state: "conflict"; readonly inTheWay: Run; readonly sent: boolean }
  | { readonly state: "possible-orphan"; readonly error: ApiError }
  | { readonly state: "unknown"; readonly error: ApiError }
  | { readonly state: "alarm"; readonly runs: readonly Run[] }
  | { readonly state: "already-started"; readonly run: Run; readonly sent: boolean }
  | Adoption;

/** What the rows say of a start that an earlier invocation may have sent. */
export type Adoption =
  | { readonly state: "adopted"; readonly run: Run }
  | { readonly state: "several"; readonly runs: readonly Run[] };

/** The web app waits without limit for its worker, the worker 30 s for the machine. */
const START_TIMEOUT_MS = 120_000;
/** So often a start is sent that is refused with 429, each time only after a look that found no row. */
export const MAX_SENDS = 3;
/** A platform that asks for a longer wait than this is reported instead of waited for. */
const MAX_THROTTLED_MS = 60_000;

export interface StartOptions {
  readonly stop: AbortSignal;
  /** Called once it is decided to send, before the last check of how old what was read is: for what may take long. */
  readonly prepare?: () => Promise<void>;
  /** Makes it durable that the request is about to be sent. What it throws keeps the request from being sent. */
  readonly beforeSending: (mark: StartMark) => Promise<void>;
  /**
   * Looks, in the instance's rows as they are before anything is sent, for a run that is this start's already. What it returns is
   * the outcome, and nothing is sent.
   */
  readonly adopt?: ((rows: readonly Run[]) => Promise<Adoption | undefined>) | undefined;
  /** An admin's run of this prompt on the instance that has started since then is taken for this start. By the platform's clock. */
  readonly unlessStartedSince?: Date | undefined;
  /** Gets a run that has ended and whose end cannot be stored: the new run costs it the output that the poll has brought. */
  readonly onUnstorable?: ((polled: Polled) => Promise<void>) | undefined;
  /** Told when the answer was lost and the search for the row begins. */
  readonly onSearching?: (error: ApiError) => void;
  /** Told when the platform wants the start to be sent again later, in so many milliseconds. */
  readonly onThrottled?: (error: ApiError, waitMs: number) => void;
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
 * @throws ApiError when the platform cannot be asked before anything was sent; what `adopt`, `prepare` and
 *   `beforeSending` throw.
 */
export async function startRun(api: Api, request: StartRequest, options: StartOptions): Promise<StartOutcome> {
  const { userId, instance, prompt } = request;
  const { stop, adopt, prepare, beforeSending, unlessStartedSince } = options;
  const taken = unlessStartedSince && new AlreadyStarted(api, request, unlessStartedSince);
  const ended = new Set<string>();
  let seen = await lookBefore(api, instance.id);
  for (;;) {
    const { machineStatus, machineIsDown, rows } = seen;
    const adoption = await adopt?.(rows);
    if (adoption) return adoption;
    const already = await taken?.find(rows);
    if (already) return { state: "already-started", run: already, sent: false };
    if (machineIsDown) return { state: "machine-down", machineStatus, sent: false };
    const inTheWay = await settleRunning(api, rows, ended, options.onUnstorable);
    if (inTheWay) return { state: "conflict", inTheWay, sent: false };
    stop.throwIfAborted();
    await prepare?.();
    if (seen.ageMs() <= api.timing.freshMs) break;
    seen = await lookBefore(api, instance.id);
  }

  const mark = {
    userId,
    instanceId: instance.id,
    adminId: request.admin.userId ?? null,
    promptSha256: promptFacts(prompt).promptSha256,
    known: seen.rows.map(({ id }) => id),
  };
  stop.throwIfAborted();
  await beforeSending(mark);
  const outcome = await send(api, request, mark, options);
  // Started meanwhile from elsewhere, where that kept the machine from taking this start.
  const met = outcome.state === "alike" ? outcome.run : outcome.state === "conflict" ? outcome.inTheWay : undefined;
  return met && taken?.is(met) ? { state: "already-started", run: met, sent: true } : outcome;
}

interface Before {
  readonly machineStatus: string | null;
  readonly machineIsDown: boolean;
  /** The instance's newest rows: a row that is not among them later is new. */
  readonly rows: readonly Run[];
  /** How long ago this was read, in milliseconds. */
  readonly ageMs: () => number;
}

/** The instance's machine and rows, in one request. */
async function lookBefore(api: Api, instanceId: string): Promise<Before> {
  // Two questions of one moment share a request.
  const [{ machineStatus, machineStatusError }, rows] = await Promise.all([
    getInstance(api, instanceId),
    newestRuns(api, instanceId),
  ]);
  const readAt = { wall: Date.now(), monotonic: performance.now() };
  return {
    machineStatus,
    // An unreachable worker says nothing about the machine; the platform checks again by itself.
    machineIsDown: machineStatus !== "running" && machineStatusError === null,
    rows,
    // While a laptop sleeps, only the wall clock goes on.
    ageMs: () => Math.max(performance.now() - readAt.monotonic, Math.abs(Date.now() - readAt.wall)),
  };
}

/**
 * Records how the runs ended that are shown as running: the new run would cost them their outcome.
 *
 * @param ended runs that are known to have ended; gets those that have.
 * @returns one that goes on.
 */
async function settleRunning(
  api: Api,
  rows: readonly Run[],
  ended: Set<string>,
  onUnstorable: StartOptions["onUnstorable"],
): Promise<Run | undefined> {
  for (const listed of rows) {
    if (listed.status !== "running" || ended.has(listed.id)) continue;
    const polled = await pollRun(api, listed).catch((error: unknown) => {
      throw withoutStatus(error, listed);
    });
    if (polled.run.status === "running") return polled.run;
    ended.add(polled.run.id);
    if (polled.unstorable) await onUnstorable?.(polled);
  }
  return undefined;
}

/**
 * Sends the start, which is on record by now. Sent again only after a refusal with 429, and after a look that found no row.
 * Whatever else ends the attempt without a definite answer is a lost answer.
 */
async function send(
  api: Api,
  request: StartRequest,
  mark: StartMark,
  { stop, onSearching, onThrottled, lookAfterMs = api.timing.lookAfterMs, insist = true }: StartOptions,
): Promise<StartOutcome> {
  let refusedBefore: ApiError | undefined;
  const inDoubt = lookAfterMs.filter((ms) => ms <= api.timing.doubtMs);
  for (let sends = 1; ; sends++) {
    const error = await sendOnce(api, request, mark, { stop, insist });
    if (!(error instanceof ApiError)) return { state: "started", run: error };
    // What was not sent this time does not make unsent what was refused before.
    if (!error.sent) return { state: "refused", error: refusedBefore ?? error };
    if (provesNothingHappened(error)) return { state: "refused", error };
    const waitMs = error.retryAfterMs ?? api.timing.throttledMs * sends;
    if (isThrottled(error) && insist && sends < MAX_SENDS && waitMs <= MAX_THROTTLED_MS) {
      onThrottled?.(error, waitMs);
      await wait(waitMs, stop).catch(() => undefined);
      // One look is enough, but it may be refused as the start was.
      const trace = await searchFor(api, mark, () => true, { stop, lookAfterMs: inDoubt });
      if (trace && !stop.aborted) {
        const outcome = byRow(trace, error);
        if (outcome) return outcome;
        if (trace.running) return { state: "conflict", inTheWay: trace.running, sent: true };
        refusedBefore = error;
        continue;
      }
    }
    if (mayBeRefusal(error)) {
      const trace = await searchFor(api, mark, hasOurs, { stop, lookAfterMs: inDoubt });
      return trace ? (byRow(trace, error) ?? { state: "refused", error }) : { state: "unknown", error };
    }
    onSearching?.(error);
    return outcomeByRow(api, mark, error, { stop, lookAfterMs });
  }
}

/**
 * Sends the start once. Tried again only while it is certain that nothing has happened, because no socket was written to.
 *
 * @returns the run, or why it is not known to have started.
 */
async function sendOnce(
  api: Api,
  { userId, userEmail, instance, prompt, admin: me }: StartRequest,
  { known }: StartMark,
  { stop, insist }: { readonly stop: AbortSignal; readonly insist: boolean },
): Promise<Run | ApiError> {
  const procedure = admin.startKiloCliRun;
  try {
    const { id, startedAt } = await withRetry(
      () =>
        api.mutate(
          procedure,
          { userId, instanceId: instance.id, prompt },
          // A user who wants out does not wait two minutes for an answer: looking for the row takes five seconds.
          { timeoutMs: START_TIMEOUT_MS, signal: stop },
        ),
      (error) => insist && !error.sent,
      { signal: stop, retryMs: api.timing.retryMs },
    );
    if (!isNewRunId(id, known)) return lostAnswer(`the platform answered with an ID that is no new run's: ${id}`);
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
  } catch (error) {
    return error instanceof ApiError ? error : lostAnswer(messageOf(error), error);
  }
}

/** Of what came instead of an answer, nothing says that the request was not acted on. */
function lostAnswer(message: string, cause?: unknown): ApiError {
  return new ApiError("unreachable", message, {
    procedure: admin.startKiloCliRun.path,
    sent: true,
    transient: true,
    cause,
  });
}

const RUN_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** Whether this can be the ID of a run that has just been started: a UUID of a version, and of none of the rows read before. */
function isNewRunId(id: string, known: readonly string[]): boolean {
  return RUN_ID.test(id) && !known.includes(id.toLowerCase());
}

/** Whether the platform wants less. Such a refusal comes from the worker, which may have tried before. */
function isThrottled({ trpcCode, httpStatus }: ApiError): boolean {
  return trpcCode !== undefined && httpStatus === 429;
}

/** Whether the worker has refused it: definite when no row appears, because it may have tried before. */
function mayBeRefusal({ trpcCode, httpStatus = 0 }: ApiError): boolean {
  return trpcCode !== undefined && httpStatus >= 400 && httpStatus < 500 && httpStatus !== 408 && httpStatus !== 409;
}

function hasOurs({ ours }: Trace): boolean {
  return ours.length > 0;
}

/** What the rows say of a request whose answer leaves open whether it started a run. */
async function outcomeByRow(
  api: Api,
  mark: StartMark,
  error: ApiError,
  options: { readonly stop: AbortSignal; readonly lookAfterMs: readonly number[] },
): Promise<StartOutcome> {
  const busy = error.upstreamCode === UPSTREAM_CODES.alreadyActive;
  const decided = (trace: Trace) => hasOurs(trace) || (busy && trace.running !== undefined);
  const trace = await searchFor(api, mark, decided, options);
  if (!trace) return { state: "unknown", error };
  const found = byRow(trace, error);
  if (found) return found;
  if (busy) {
    return trace.running
      ? { state: "conflict", inTheWay: trace.running, sent: true }
      : { state: "possible-orphan", error };
  }
  if (error.upstreamCode === UPSTREAM_CODES.instanceNotRunning) {
    return { state: "machine-down", machineStatus: null, sent: true };
  }
  return { state: "unknown", error };
}

/** What the rows say that can only be of this start, if there are any. */
function byRow({ ours: [run, ...more] }: Trace, { upstreamCode }: ApiError): StartOutcome | undefined {
  if (!run) return undefined;
  if (more.length > 0) return { state: "alarm", runs: [run, ...more] };
  // The machine has refused because of an earlier request's run: that of this request, sent on twice, or another one.
  return { state: upstreamCode === UPSTREAM_CODES.alreadyActive ? "alike" : "found", run };
}

/** What usually causes an error that leaves the outcome unknown, in words; `undefined` where there is no such experience. */
export function usualCause({ message }: ApiError): string | undefined {
  // The worker's words for any refusal of the controller's that has no code of its own.
  return message.endsWith("kilo-cli-run start failed")
    ? "this usually means that the CLI is disabled on the machine or has no API key there, which is not proof"
    : undefined;
}
