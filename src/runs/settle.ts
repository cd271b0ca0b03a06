import type { Api } from "../api/api.ts";
import { admin } from "../contract/procedures.ts";
import { getInstance } from "./instances.ts";
import { runRef } from "./run-ref.ts";
import { withStatus, type Run, type Status } from "./run.ts";

/**
 * Asks for a run's status. The answer is also the writer: a run that has ended leaves `running` only when somebody asks, and
 * a run whose machine does not know it any more is marked failed for good.
 *
 * @throws ApiError
 */
export async function pollRun(
  api: Api,
  run: Run,
  options: { signal?: AbortSignal | undefined; retry?: boolean } = {},
): Promise<{ run: Run; status: Status }> {
  const status = await api.query(admin.getKiloCliRunStatus, runRef(run), options);
  return { run: withStatus(run, status), status };
}

export interface Settled {
  /** The runs in their order, those that were shown as running brought up to date. */
  readonly runs: Run[];
  /** Shown as running, on a machine that is not: asking would mark them failed, so nobody asked. */
  readonly machineDown: Run[];
  /** Shown as running, and the platform gave no answer about them. */
  readonly unanswered: Run[];
}

/**
 * Brings runs that a list shows as running up to date, as far as that destroys nothing: a run whose instance is not running
 * is left alone, because the platform would mark it failed whatever became of it.
 */
export async function settleRuns(api: Api, runs: readonly Run[]): Promise<Settled> {
  const machineDown: Run[] = [];
  const unanswered: Run[] = [];
  const settled = await Promise.all(
    runs.map(async (run) => {
      // Only the output of such a row tells whether the run failed or the machine lost it; asking changes nothing there.
      const lost = run.status === "failed" && run.exitCode === null;
      if (run.status !== "running" && !lost) return run;
      try {
        if (!lost && (await machineOf(api, run)) === "down") {
          machineDown.push(run);
          return run;
        }
        return (await pollRun(api, run)).run;
      } catch {
        unanswered.push(run);
        return run;
      }
    }),
  );
  return { runs: settled, machineDown, unanswered };
}

/**
 * What is known of the machine of a run's instance. A run without an instance has no machine.
 *
 * @throws ApiError
 */
export async function machineOf(
  api: Api,
  { instanceId }: Pick<Run, "instanceId">,
  signal?: AbortSignal,
): Promise<"up" | "down" | "unknown"> {
  if (instanceId === null) return "down";
  const { machineStatus, machineStatusError } = await getInstance(api, instanceId, signal);
  if (machineStatusError !== null) return "unknown";
  return machineStatus === "running" ? "up" : "down";
}
