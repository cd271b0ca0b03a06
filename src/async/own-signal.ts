import { onAbort } from "./on-abort.ts";

export interface OwnSignal {
  /** Aborts with the first of those that it follows, for the same reason, or when it is told to. */
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
  /** The work is over: it follows nobody any more. */
  release(): void;
}

/**
 * A signal for one piece of work, which aborts when one of `of` does; `release` it when the work is over. However many there
 * are, nothing piles up on those that they follow: neither listeners, nor what `AbortSignal.any` leaves there in Node 20 for as
 * long as they live.
 */
export function ownSignal(...of: readonly AbortSignal[]): OwnSignal {
  const own = new AbortController();
  const following = of.map((one) => onAbort(one, () => own.abort(one.reason)));
  return {
    signal: own.signal,
    abort: (reason) => own.abort(reason),
    release: () => {
      for (const { release } of following) release();
    },
  };
}
