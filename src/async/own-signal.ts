import { onAbort } from "./on-abort.ts";

/**
 * A signal for one piece of work, which aborts when `of` does; `release` it when the work is over. However many there are, nothing
 * piles up on `of`: neither listeners, nor what `AbortSignal.any` leaves there in Node 20 for as long as `of` lives.
 */
export function ownSignal(of: AbortSignal): { readonly signal: AbortSignal; release(): void } {
  const own = new AbortController();
  const { release } = onAbort(of, () => own.abort(of.reason));
  return { signal: own.signal, release };
}
