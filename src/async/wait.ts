import { onAbort } from "./on-abort.ts";

/** A timer of Node holds 31 bits of milliseconds, 24.8 days; a longer one fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface Timer {
  cancel(): void;
}

/**
 * Calls `callback` once after `ms` milliseconds, however many: also after more than Node's own timers can hold. `Infinity` is
 * never.
 */
export function callAfter(ms: number, callback: () => void): Timer {
  let timer: NodeJS.Timeout;
  const arm = (left: number) => {
    const now = Math.min(left, LONGEST_TIMER_MS);
    timer = setTimeout(() => (left > now ? arm(left - now) : callback()), now);
  };
  arm(ms);
  return { cancel: () => clearTimeout(timer) };
}

/**
 * Waits for `ms` milliseconds, however many.
 *
 * @throws the signal's reason, at once, when it is aborted before that.
 */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = callAfter(ms, () => {
      aborting?.release();
      resolve();
    });
    const aborting =
      signal &&
      onAbort(signal, () => {
        timer.cancel();
        reject(signal.reason);
      });
  });
}
