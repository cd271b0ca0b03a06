import type { ApiError } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import { pooled, whileGoing } from "../../async/pool.ts";
import type { Run } from "../run.ts";
import { settleRun, type Settlement } from "./settle.ts";

/** So many questions in a row without any answer from the platform: it is not the machines. */
const PATIENCE = 10;

export interface SweepOptions {
  /** How many runs are asked about at a time. */
  readonly concurrency: number;
  readonly force?: boolean;
  readonly ask?: boolean;
  /** Aborted: take up no further run, let go of those under way. */
  readonly stop: AbortSignal;
}

/**
 * Settles runs, a few at a time, and yields each as it is settled. Memory and sockets do not grow with their number: outputs
 * are let go of at once.
 *
 * @throws ApiError of the platform that gives no answer at all or wants to be asked less, when the runs under way are done
 *   with: the rest is left for later. `auth`.
 */
export async function* sweepRuns(api: Api, runs: readonly Run[], options: SweepOptions): AsyncGenerator<Settlement> {
  const { concurrency, force = false, ask = true, stop } = options;
  let silence = 0;
  let answered = false;
  let refusal: ApiError | undefined;
  let lastSilence: ApiError | undefined;
  const going = () => !stop.aborted && !refusal;
  const settle = (run: Run) => settleRun(api, run, { force, ask, signal: stop });
  for await (const settlement of pooled(whileGoing(runs, going), concurrency, settle)) {
    const { state, error } = settlement;
    if (state === "unanswered" && stop.aborted) continue;
    // A well-formed refusal is an answer: it is about this run's machine.
    if (error && error.trpcCode === undefined) {
      lastSilence = error;
      silence += 1;
      if (silence >= PATIENCE || error.httpStatus === 429) refusal ??= error;
    } else {
      silence = 0;
      answered = true;
    }
    yield settlement;
  }
  if (!answered) refusal ??= lastSilence;
  if (refusal && !stop.aborted) throw refusal;
}
