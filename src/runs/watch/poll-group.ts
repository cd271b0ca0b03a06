import { ApiError } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import { ownSignal } from "../../async/own-signal.ts";
import { callAfter } from "../../async/wait.ts";
import { admin } from "../../contract/procedures.ts";
import { machineState } from "../../customers/machine.ts";
import { CliError } from "../../errors.ts";
import type { Run } from "../run.ts";
import { pollRun } from "../settle/settle.ts";
import type { Pace } from "./pace.ts";
import type { Lane, Schedule } from "./schedule.ts";
import type { WatchedRun } from "./watched-run.ts";

export interface Ways {
  readonly api: Api;
  readonly schedule: Schedule<WatchedRun>;
  readonly pace: Pace;
  /** Aborted: nobody wants to know any more. */
  readonly signal: AbortSignal;
  /** A run was asked about, and has its next turn, or has come to its end. */
  readonly back: (run: WatchedRun) => void;
  /** There is room again. */
  readonly wake: () => void;
}

/**
 * Asks about a group of runs: one request, or two in a row where machines are looked at first.
 *
 * @throws ApiError `auth`, and what is no answer of the platform's at all.
 */
export async function askTogether(
  { lane, group }: { readonly lane: Lane; readonly group: readonly WatchedRun[] },
  { api, schedule, pace, signal, back, wake }: Ways,
): Promise<void> {
  const began = performance.now();
  const patience = pace.patienceMs;
  const shared = group.length > 1;
  // Its own for each group: the watch's signal outlives them all.
  const asking = ownSignal(signal);
  const unanswered: { readonly run: WatchedRun; readonly error: CliError }[] = [];
  let current = lane;
  let late = false;
  const hurrying = callAfter(patience, () => {
    if (shared) {
      late = true;
      return asking.abort();
    }
    schedule.move(current, "slow");
    current = "slow";
    wake();
  });

  const askOne = async (run: WatchedRun) => {
    try {
      if (!(await lookAtMachine(api, run, asking.signal))) return back(run);
      const polled = await pollRun(api, run.watched.run, { signal: asking.signal, retry: false });
      const tookMs = performance.now() - began;
      run.lane = !shared && tookMs > patience ? "slow" : "shared";
      if (polled.status.hasRun) run.answered(polled, tookMs, performance.now());
      else run.finish({ state: "given-up", problem: "the platform does not know this run any more" });
      back(run);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof CliError) || error.kind === "auth") throw error;
      unanswered.push({ run, error });
    }
  };

  const asked = group.map(askOne);
  // One that is refused ends this at once; what the others still ask ends with the watch.
  void Promise.allSettled(asked).then(() => asking.release());
  try {
    await Promise.all(asked);
  } finally {
    hurrying.cancel();
    if (current === lane) schedule.over(lane, group.length);
    else schedule.over(current, 1);
  }
  pace.took(performance.now() - began);
  const someAnswered = unanswered.length < group.length;
  for (const { run, error } of unanswered) {
    const now = performance.now();
    const ofOne = error instanceof ApiError && error.trpcCode !== undefined;
    const final = !(error instanceof ApiError && error.transient);
    // Too late, or an answer that leaves nothing to wait for: which of them is the cause, each tells by itself.
    if (current === "slow") run.lane = current;
    if (shared && (late || (final && !ofOne))) run.suspect(now);
    else {
      const askedMs = run.failed(error, now);
      // All of a request are refused at once: that counts as one.
      if (error instanceof ApiError && error.httpStatus === 429 && !schedule.isQuiet(now)) pace.slowDown();
      schedule.keepQuiet(now + askedMs);
      // An error of its own, not of the whole request: the others must not wait for it.
      if (ofOne && someAnswered) run.lane = "suspect";
    }
    back(run);
  }
  wake();
}

/** @returns false when there is nothing to ask: the machine is down, and asking would mark the run failed. */
async function lookAtMachine(api: Api, run: WatchedRun, signal: AbortSignal): Promise<boolean> {
  if (run.machineUp) return true;
  const machine = await machineNow(api, run.watched.run, signal);
  if (machine === "unknown") throw unknownMachine(run.watched.run);
  if (machine === "down") run.finish({ state: "machine-down", problem: "its machine is not running" });
  run.machineUp = machine === "up";
  return run.machineUp;
}

/** Like `machineOf`, but one question: the scheduler decides when to ask again, and has to know of a `Retry-After`. */
async function machineNow(api: Api, { instanceId: id }: Run, signal: AbortSignal) {
  if (id === null) return "down";
  const { workerStatus, workerStatusError } = await api.query(admin.get, { id }, { signal, retry: false });
  return machineState({ machineStatus: workerStatus?.status ?? null, machineStatusError: workerStatusError });
}

/** Asking about a run of a machine of which nothing is known may mark it failed. */
function unknownMachine(run: Run): ApiError {
  return new ApiError("unreachable", `cannot tell whether the machine of run ${run.id} is running`, {
    procedure: "get",
    sent: true,
    transient: true,
    trpcCode: "UNKNOWN_MACHINE",
  });
}
