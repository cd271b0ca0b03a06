import { ApiError } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import { CONCURRENCY, pooled } from "../../async/pool.ts";
import { wait } from "../../async/wait.ts";
import { admin } from "../../contract/procedures.ts";
import { machineOf } from "../../customers/machine.ts";
import { command, hint } from "../../typed-command.ts";
import { tailOf } from "../output/tail.ts";
import { runRef } from "../run-ref.ts";
import { initiator, withStatus, type Run, type Status } from "../run.ts";
import { unstorableEnd, type UnstorableEnd } from "./unstorable.ts";

/** A run's status, as a poll brought it. */
export interface Polled {
  readonly run: Run;
  readonly status: Status;
  /** It has ended, and the platform cannot store that: the row stays `running`, and the run is in nobody's way. */
  readonly unstorable: boolean;
}

/** Why the row of an unstorable run does not say how it ended. */
export const UNSTORABLE = "the platform cannot store how it ended, because its output has a NUL character";

/**
 * Asks for a run's status. The answer is also the writer: a run that has ended leaves `running` only when somebody asks, and
 * a run whose machine does not know it any more is marked failed for good. Takes two seconds more for a run whose end cannot be
 * stored: twice the same answer is believed.
 *
 * @throws ApiError
 */
export async function pollRun(
  api: Api,
  run: Run,
  options: { signal?: AbortSignal | undefined; retry?: boolean } = {},
): Promise<Polled> {
  const ask = async (): Promise<Polled> => {
    const status = await api.query(admin.getKiloCliRunStatus, runRef(run), options);
    return { run: withStatus(run, status), status, unstorable: false };
  };
  let end: UnstorableEnd;
  try {
    return await ask();
  } catch (error) {
    const said = unstorableEnd(error, run);
    if (!said) throw error;
    end = said;
    await wait(api.timing.unstorableMs, options.signal).catch(() => {
      throw error;
    });
  }
  try {
    return await ask();
  } catch (error) {
    if (unstorableEnd(error, run)?.text !== end.text) throw error;
    const status = statusAt(run, end);
    return { run: withStatus(run, status), status, unstorable: true };
  }
}

/** What the platform would answer if it could store the end. */
function statusAt({ startedAt, prompt, initiatedBy }: Run, end: UnstorableEnd): Status {
  const { status, exitCode, output, completedAt } = end;
  return { hasRun: true, status, exitCode, output, startedAt, completedAt, prompt, initiatedBy };
}

/**
 * The error for a run in progress whose status the platform cannot get from the machine: which run it is, that nothing was sent, and
 * what may be the cause. Any other error is handed back as it is.
 */
export function withoutStatus(error: unknown, run: Run): unknown {
  if (!(error instanceof ApiError) || !error.own || error.httpStatus !== 500) return error;
  const { procedure, httpStatus, trpcCode, transient, detail } = error;
  return new ApiError(
    "unreachable",
    `run ${run.id} of ${initiator(run)} is shown as running and its status cannot be read; nothing was sent`,
    {
      procedure,
      sent: true,
      own: true,
      httpStatus,
      trpcCode,
      transient,
      detail,
      hint: [
        "the controller on its machine is too old, or out of reach: the platform does not say which",
        hint`see what can be known: ${command("runs diagnose", run.id)}`,
      ],
      cause: error,
    },
  );
}

/**
 * What asking about one run brought.
 *
 * - `ended`, `running`: the platform's answer; an end is now on record, unless it is unstorable.
 * - `machine-down`: left alone, because the platform would mark it failed whatever became of it.
 * - `unanswered`: the platform, or the part of it that knows the machine, gave no answer.
 * - `unasked`: its machine runs, and nobody wanted to ask.
 */
export interface Settlement {
  readonly run: Run;
  readonly state: "ended" | "running" | "machine-down" | "unanswered" | "unasked";
  /** Why there is no answer, or why the answer is not on record. */
  readonly problem: string | null;
  /** See {@link Polled}. */
  readonly unstorable?: boolean;
  /** Of the output of a run that has ended. */
  readonly lastLine?: string | null;
  readonly error?: ApiError;
}

export interface SettleOptions {
  /** Ask also where the machine is known to be down, which marks the run failed for good. */
  readonly force?: boolean;
  /** False: look at the machine only. */
  readonly ask?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Brings a run that is shown as running up to date, as far as that destroys nothing. The machine may still stop between the
 * look at it and the question: the platform has no call for both.
 *
 * @throws ApiError `auth` only: everything else that goes wrong is an answer by itself.
 */
export async function settleRun(api: Api, run: Run, options: SettleOptions = {}): Promise<Settlement> {
  const { force = false, ask = true, signal } = options;
  try {
    if (run.status === "running" && !force) {
      const machine = await machineOf(api, run, signal);
      if (machine === "down") return { run, state: "machine-down", problem: "its machine is not running" };
      if (machine === "unknown")
        return { run, state: "unanswered", problem: "cannot tell whether its machine is running" };
    }
    if (!ask) return { run, state: "unasked", problem: null };
    const { run: polled, status, unstorable } = await pollRun(api, run, { signal });
    if (!status.hasRun) return { run, state: "unanswered", problem: "the platform does not find it any more" };
    const state = polled.status === "running" ? "running" : "ended";
    const lastLine = state === "ended" && status.output !== null ? tailOf(status.output).lastLine : null;
    return { run: polled, state, problem: unstorable ? UNSTORABLE : null, unstorable, lastLine };
  } catch (error) {
    if (!(error instanceof ApiError) || error.kind === "auth") throw error;
    return { run, state: "unanswered", problem: error.message, error };
  }
}

export interface Settled {
  /** The runs in their order, those that were shown as running brought up to date. */
  readonly runs: Run[];
  /** Shown as running, on a machine that is not: asking would mark them failed, so nobody asked. */
  readonly machineDown: Run[];
  /** Shown as running, and the platform gave no answer about them. */
  readonly unanswered: Run[];
  /** They have ended, and the platform cannot store that. */
  readonly unstorable: Run[];
}

/**
 * Brings the runs of a list up to date, a few at a time: those shown as running, and those of which only the output tells
 * whether they failed or the machine lost them (asking changes nothing there).
 *
 * @throws ApiError `auth`
 */
export async function settleRuns(api: Api, runs: readonly Run[]): Promise<Settled> {
  const unclear = runs.filter(
    ({ status, exitCode }) => status === "running" || (status === "failed" && exitCode === null),
  );
  const settlements = new Map<string, Settlement>();
  for await (const settlement of pooled(unclear, CONCURRENCY, (run) => settleRun(api, run))) {
    settlements.set(settlement.run.id, settlement);
  }
  const left = (state: Settlement["state"]) => unclear.filter(({ id }) => settlements.get(id)?.state === state);
  return {
    runs: runs.map((run) => settlements.get(run.id)?.run ?? run),
    machineDown: left("machine-down"),
    unanswered: left("unanswered"),
    unstorable: [...settlements.values()].filter(({ unstorable }) => unstorable).map(({ run }) => run),
  };
}
