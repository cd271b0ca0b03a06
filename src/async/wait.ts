import { onAbort } from "./on-abort.ts";

/** A timer of Node holds 31 bits of milliseconds, 24.8 days; a longer one fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface Timer {
  cancel(): void;
}

/**
 * Calls `callback` once after `ms` milliseconds, however many: also after more than Node's own timers can hold. `Infinity` is
 * never.
 *
 * @param ref `false`: the process need not stay for it.
 */
export function callAfter(ms: number, callback: () => void, { ref = true }: { readonly ref?: boolean } = {}): Timer {
  let timer: NodeJS.Timeout;
  const arm = (left: number) => {
    const now = Math.min(left, MAX_TIMER_MS);
    timer = setTimeout(() => (left > now ? arm(left - now) : callback()), now);
    if (!ref) timer.unref();
  };
  arm(ms);
  return { cancel: () => clearTimeout(timer) };
}

/**
 * Waits for `ms` milliseconds, however many.
 *
 * @param options `ref: false`: the process need not stay for it.
 * @throws the signal's reason, at once, when it is aborted before that.
 */
export function wait(ms: number, signal?: AbortSignal, options?: { readonly ref?: boolean }): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = callAfter(
      ms,
      () => {
        aborting?.release();
        resolve();
      },
      options,
    );
    const aborting =
      signal &&
      onAbort(signal, () => {
        timer.cancel();
        reject(signal.reason);
      });
  });
}
