import { onAbort } from "./on-abort.ts";
import { callAfter, type Timer } from "./wait.ts";

/**
 * A signal for work that must come to a known end although the user wants out: it aborts `ms` milliseconds after `stop` does.
 * `release` when the work is over: `stop` outlives it.
 */
export function graceAfter(stop: AbortSignal, ms: number): { readonly signal: AbortSignal; release(): void } {
  const grace = new AbortController();
  let timer: Timer | undefined;
  const stopping = onAbort(stop, () => {
    timer = callAfter(ms, () => grace.abort(stop.reason));
  });
  return {
    signal: grace.signal,
    release: () => {
      stopping.release();
      timer?.cancel();
    },
  };
}
