import { ApiError, provesNothingHappened } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import { graceAfter } from "../../async/grace.ts";
import { wait } from "../../async/wait.ts";
import { admin } from "../../contract/procedures.ts";
import { machineOf } from "../../customers/machine.ts";
import { CliError } from "../../errors.ts";
import { command, hint } from "../../typed-command.ts";
import { runRef } from "../run-ref.ts";
import type { Run } from "../run.ts";
import { pollRun, withoutStatus } from "../settle/settle.ts";

export interface Cancellation {
  /** What the platform says of the run now: not every cancel cancels. */
  readonly run: Run;
  /** The run had ended before anything was sent. */
  readonly alreadyEnded: boolean;
  /** Why a cancel that was sent was not answered: the platform may have done it and keep no audit record of that. */
  readonly lost?: ApiError | undefined;
}

export interface CancelOptions {
  /** Is given the output so far, right before the request goes out. It may throw to prevent that. */
  readonly keepOutput: (output: string) => Promise<void>;
  /** Cancel also where the machine is known to be down, which marks the run failed for good. */
  readonly force: boolean;
  /** Aborted: send nothing more; what is under way gets a few seconds to come to a known end. */
  readonly stop: AbortSignal;
}

const MAX_WAIT_MS = 30_000;

/**
 * Cancels a run and reports what became of it: `ok` from the platform only means that the row does not say `running` any
 * more, `ok: false` that it still does (somebody else's cancel may be under way), and a cancelled run's output is not kept
 * there.
 *
 * @throws ApiError before anything was sent: the platform cannot be asked, or the run cannot be found.
 * @throws CliError `conflict` when the machine is down; `unreachable` when the run is known to go on; `outcome-unknown` when
 *   a request was sent and the platform does not say what became of the run.
 */
export async function cancelRun(api: Api, run: Run, { keepOutput, force, stop }: CancelOptions): Promise<Cancellation> {
  // The machine may have stopped while the user was looking at the question.
  if (!force && (await machineOf(api, run, stop)) === "down") throw machineDown([run]);
  const before = await pollRun(api, run, { signal: stop }).catch((error: unknown) => {
    throw withoutStatus(error, run);
  });
  if (before.run.status !== "running") return { run: before.run, alreadyEnded: true };
  await keepOutput(before.status.output ?? "");
  stop.throwIfAborted();
  return { ...(await sendCancel(api, before.run, stop)), alreadyEnded: false };
}

/** Cancelling twice does no harm, so whatever is not an answer is followed by a look and another try. */
async function sendCancel(api: Api, run: Run, stop: AbortSignal): Promise<Pick<Cancellation, "run" | "lost">> {
  // Once the request is out, what became of the run is worth a few seconds more.
  const { signal, release } = graceAfter(stop, api.timing.afterStopMs);
  let failure: ApiError | undefined;
  let lost: ApiError | undefined;
  /** A request is out that may have been carried out. Nothing that comes after it says that it was not, but the run's status. */
  let open = false;
  let known = true;
  const note = (error: unknown) => {
    if (!(error instanceof ApiError) || !(error.transient || open)) throw error;
    failure = error;
  };
  try {
    for (const [index, pause] of api.timing.cancelAgainMs.entries()) {
      const pauseMs = Math.max(pause, Math.min(failure?.retryAfterMs ?? 0, MAX_WAIT_MS));
      await wait(pauseMs, signal).catch(() => undefined);
      if (signal.aborted) break;
      // After an interruption nothing more is sent, but the run's outcome is still looked up.
      if (index === 0 || !stop.aborted) {
        try {
          await api.mutate(admin.cancelKiloCliRun, runRef(run), { signal });
          open = true;
          failure = undefined;
        } catch (error) {
          open ||= error instanceof ApiError && !changedNothing(error);
          note(error);
          if (failure && !failure.sent) continue;
          if (failure && !changedNothing(failure)) lost = failure;
        }
      }
      known = false;
      try {
        const { run: current } = await pollRun(api, run, { signal });
        if (current.status !== "running") return { run: current, lost };
        known = true;
      } catch (error) {
        note(error);
      }
    }
  } finally {
    release();
  }
  if (!known) {
    throw new CliError(
      "outcome-unknown",
      `a cancel of run ${run.id} was sent, but the platform does not say what became of it${failure ? `: ${failure.message}` : ""}`,
      { hint: hint`see what did: ${command("runs show", run.id)}`, retryable: true, cause: failure },
    );
  }
  if (!failure) return { run, lost };
  throw new CliError("unreachable", `run ${run.id} was still running when last asked: ${failure.message}`, {
    hint: hint`try again: ${command("runs cancel", run.id)}`,
    retryable: true,
    cause: failure,
  });
}

/** Whether a cancel that ended like this was not carried out: the platform did not even try. */
function changedNothing(error: ApiError): boolean {
  return provesNothingHappened(error) || (error.trpcCode !== undefined && error.kind === "not-found");
}

/** So many machines are named that are not running. */
const MAX_NAMED = 5;

/** Why runs on machines that do not run are not cancelled. */
export function machineDown(runs: readonly Pick<Run, "id" | "instanceId">[]): CliError {
  const ids = runs.map(({ id }) => id).join(", ");
  return new CliError(
    "conflict",
    `the machine of ${ids} is not running: a cancel now would mark the run failed for good`,
    {
      hint: [
        ...[...new Set(runs.map(({ instanceId }) => instanceId))]
          .filter((instanceId) => instanceId !== null)
          .slice(0, MAX_NAMED)
          .map((instanceId) => hint`start the machine first, on its page: ${command("instances open", instanceId)}`),
        "where the run's outcome does not matter any more, or the instance was destroyed, add --force",
      ],
    },
  );
}
