import { setTimeout as sleep } from "node:timers/promises";
import { ApiError } from "../api/api-error.ts";
import type { Api } from "../api/api.ts";
import { admin } from "../contract/procedures.ts";
import { CliError } from "../errors.ts";
import { graceAfter } from "./grace.ts";
import { runRef } from "./run-ref.ts";
import type { Run } from "./run.ts";
import { pollRun } from "./settle.ts";

export interface Cancellation {
  /** What the platform says of the run now: not every cancel cancels. */
  readonly run: Run;
  /** The run had ended before anything was sent. */
  readonly alreadyEnded: boolean;
}

const ANSWER_AFTER_STOP_MS = 5_000;
const LONGEST_WAIT_MS = 30_000;
const ASK_AGAIN_AFTER_MS = [0, 500, 1_000, 2_000];

/**
 * Cancels a run and reports what became of it: `ok` from the platform only means that the row does not say `running` any
 * more, and a cancelled run's output is not kept there.
 *
 * @param keepOutput is given the output so far, right before the request goes out. It may throw to prevent that.
 * @throws ApiError when the platform cannot be asked, or the run cannot be found.
 */
export async function cancelRun(
  api: Api,
  run: Run,
  keepOutput: (output: string) => Promise<void>,
  stop: AbortSignal,
): Promise<Cancellation> {
  // Once the request is out, what became of the run is worth a few seconds more.
  const { signal } = graceAfter(stop, ANSWER_AFTER_STOP_MS);
  const before = await pollRun(api, run, { signal: stop });
  if (before.run.status !== "running") return { run: before.run, alreadyEnded: true };
  await keepOutput(before.status.output ?? "");
  let current = before.run;
  let failure: ApiError | undefined;
  for (const pause of ASK_AGAIN_AFTER_MS) {
    await sleep(Math.max(pause, Math.min(failure?.retryAfterMs ?? 0, LONGEST_WAIT_MS)), undefined, { signal });
    try {
      await api.mutate(admin.cancelKiloCliRun, runRef(run), { signal });
      failure = undefined;
    } catch (error) {
      // Sent or not, cancelling twice does no harm; what counts is the status.
      if (!(error instanceof ApiError) || !error.transient) throw error;
      failure = error;
    }
    if (failure && !failure.sent) continue;
    current = (await pollRun(api, run, { signal })).run;
    if (current.status !== "running") return { run: current, alreadyEnded: false };
  }
  if (failure) {
    throw new CliError("unreachable", `run ${run.id} was still running when last asked: ${failure.message}`, {
      hint: `try again: kiloclaw-admin runs cancel ${run.id}`,
      retryable: true,
      cause: failure,
    });
  }
  return { run: current, alreadyEnded: false };
}
