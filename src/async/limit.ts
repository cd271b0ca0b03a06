import { onAbort } from "./on-abort.ts";
import { callAfter } from "./wait.ts";

export interface Limit {
  /** Aborts with the signal that the limit was set to, or at the time limit. */
  readonly signal: AbortSignal;
  /** The time was up before anything else aborted the signal. */
  readonly expired: boolean;
  /** The work is over: no timer keeps the process up any longer. */
  release(): void;
}

/**
 * Limits work in time, however long: `AbortSignal.timeout` fires at once where the time is more than a timer of Node can hold,
 * and inside `AbortSignal.any` Node 20 forgets it.
 *
 * @param of what ends the work before its time.
 * @param ms how long the work may take, in milliseconds; `undefined`: for ever.
 */
export function limit(of: AbortSignal | undefined, ms: number | undefined): Limit {
  const own = new AbortController();
  let expired = false;
  const timer =
    ms === undefined
      ? undefined
      : callAfter(ms, () => {
          expired = !own.signal.aborted;
          own.abort(new DOMException("the timeout was reached", "TimeoutError"));
        });
  const aborting = of && onAbort(of, () => own.abort(of.reason));
  return {
    signal: own.signal,
    get expired() {
      return expired;
    },
    release: () => {
      timer?.cancel();
      aborting?.release();
    },
  };
}
