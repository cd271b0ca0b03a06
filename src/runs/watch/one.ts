import { ApiError } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import { backoff } from "../../api/retry.ts";
import { limit, type Limit } from "../../async/limit.ts";
import { wait } from "../../async/wait.ts";
import { getInstance } from "../../customers/instances.ts";
import { machineState } from "../../customers/machine.ts";
import { CliError } from "../../errors.ts";
import { command, hint } from "../../typed-command.ts";
import { OutputCursor, type NewOutput } from "../output/cursor.ts";
import type { Run } from "../run.ts";
import { pollRun } from "../settle/settle.ts";
import { CADENCE, wishedMs } from "./cadence.ts";

export type WatchEvent =
  /** New output, or word that some is lost. */
  | ({ readonly type: "output" } & NewOutput)
  /** A poll went well and the run goes on. `silentMs`: how long it has written nothing. */
  | { readonly type: "progress"; readonly run: Run; readonly silentMs: number; readonly nextPollMs: number }
  /** A poll failed; the run is not affected. */
  | { readonly type: "trouble"; readonly error: ApiError; readonly nextPollMs: number }
  | {
      readonly type: "end";
      readonly run: Run;
      readonly output: string | null;
      /** The platform cannot store how it ended. */
      readonly unstorable: boolean;
    };

export interface WatchOptions {
  /** Aborted: stop watching. Never touches the run. */
  readonly stop: AbortSignal;
  /** Fixed time between polls in milliseconds, instead of one that grows with the silence. */
  readonly intervalMs?: number | undefined;
  /** Stop watching after so many milliseconds. */
  readonly timeoutMs?: number | undefined;
}

/** Not the wall clock: it runs on while the machine sleeps, and nobody runs out of patience then. */
function clock(): number {
  return performance.now();
}

/**
 * Follows a run to its end. Polling is also what records the end on the platform.
 *
 * @throws CliError `still-running` at the time limit or after five minutes without an answer; `conflict` when the machine is
 *   known to be down (asking would mark the run failed); `auth` when the platform itself refuses the token; `incompatible` when
 *   its answers cannot be understood; `not-found`.
 */
export async function* watchRun(api: Api, run: Run, options: WatchOptions): AsyncGenerator<WatchEvent> {
  const time = limit(options.stop, options.timeoutMs);
  try {
    yield* follow(api, run, options, time);
  } finally {
    time.release();
  }
}

async function* follow(
  api: Api,
  run: Run,
  { stop, intervalMs }: WatchOptions,
  time: Limit,
): AsyncGenerator<WatchEvent> {
  const { signal } = time;
  const began = clock();
  if (run.status === "running") await refuseIfMachineIsDown(api, run, signal);
  const cursor = new OutputCursor();
  let lastGrowth = began;
  let lastAnswer = began;
  let failures = 0;
  let notUnderstood = 0;
  let current = run;
  while (!stop.aborted) {
    let pause: number;
    try {
      const { run: polled, status, unstorable } = await pollRun(api, current, { signal, retry: false });
      if (!status.hasRun) throw new CliError("not-found", `the platform does not know run ${run.id} any more`);
      current = polled;
      failures = 0;
      notUnderstood = 0;
      lastAnswer = clock();
      const fresh = cursor.next(status.output ?? "");
      if ((fresh.text !== "" || fresh.gap || fresh.revised) && !current.outcomeUnknown) {
        lastGrowth = lastAnswer;
        yield { type: "output", ...fresh };
      }
      if (current.status !== "running") {
        yield { type: "end", run: current, output: status.output, unstorable };
        return;
      }
      const silentMs = lastAnswer - lastGrowth;
      pause = wishedMs(silentMs, intervalMs);
      yield { type: "progress", run: current, silentMs, nextPollMs: pause };
    } catch (error) {
      if (stop.aborted) return;
      if (time.expired) throw gaveUp(run, "the timeout was reached");
      if (!(error instanceof ApiError)) throw error;
      if (error.kind === "auth") throw stopped(run, error);
      if (!error.transient) throw error;
      notUnderstood = error.kind === "incompatible" ? notUnderstood + 1 : 0;
      if (notUnderstood === CADENCE.maxNotUnderstood) throw stopped(run, error);
      if (clock() - lastAnswer > CADENCE.patienceMs) throw gaveUp(run, "the platform does not answer", error);
      failures += 1;
      pause = error.retryAfterMs === undefined ? 0 : Math.min(error.retryAfterMs, CADENCE.longestRetryAfterMs);
      pause ||= backoff(failures, CADENCE.firstBackoffMs, CADENCE.longestBackoffMs);
      yield { type: "trouble", error, nextPollMs: pause };
    }
    await wait(pause, signal).catch(() => undefined);
    if (time.expired && !stop.aborted) throw gaveUp(run, "the timeout was reached");
  }
}

/**
 * @throws CliError `conflict`
 */
export async function refuseIfMachineIsDown(api: Api, run: Run, signal?: AbortSignal): Promise<void> {
  // Where the platform does not answer, watching has patience with it; this question has not.
  const instance =
    run.instanceId === null
      ? null
      : await getInstance(api, run.instanceId, signal).catch((error: unknown) => {
          if (!(error instanceof ApiError) || error.transient || error.kind === "interrupted") return undefined;
          throw error.kind === "auth" ? stopped(run, error) : error;
        });
  if (instance === undefined || (instance && machineState(instance) !== "down")) return;
  const gone = instance === null || instance.destroyedAt !== null;
  throw new CliError(
    "conflict",
    `run ${run.id} cannot be followed: its instance ${gone ? "was destroyed" : "is not running"}`,
    {
      hint: [
        gone
          ? "how it ended is lost; checking its status marks it failed for good"
          : "checking its status now would mark the run failed for good",
        ...(gone || run.instanceId === null
          ? []
          : [hint`start the machine first, on its page: ${command("instances open", run.instanceId)}`]),
        ...(run.instanceId === null ? [] : [hint`see the instance: ${command("instances show", run.instanceId)}`]),
        ...(gone && run.instanceId !== null
          ? [hint`or give the run up: ${command("runs settle", { "--instance": run.instanceId, "--force": true })}`]
          : []),
      ],
    },
  );
}

/** What an error that ended {@link watchRun} says about the run, as `many.ts` has it; `undefined`: nothing. */
export function stateAfter(error: unknown): "machine-down" | "given-up" | undefined {
  if (!(error instanceof CliError) || error.kind === "auth") return undefined;
  if (error.kind === "conflict") return "machine-down";
  // At the time limit, nothing has gone wrong.
  return error.kind === "still-running" && error.cause === undefined ? undefined : "given-up";
}

function stopped(run: Run, error: ApiError): CliError {
  return new CliError(error.kind, `stopped watching run ${run.id}: ${error.message}; the run goes on`, {
    cause: error,
    hint: [...error.hints, hint`then resume watching: ${command("runs watch", run.id)}`],
  });
}

function gaveUp(run: Run, why: string, cause?: unknown): CliError {
  return new CliError("still-running", `stopped watching run ${run.id}: ${why}; the run goes on`, {
    hint: hint`resume watching: ${command("runs watch", run.id)}`,
    retryable: true,
    cause,
  });
}
