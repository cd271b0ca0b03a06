import { wait } from "../async/wait.ts";
import { ApiError } from "./api-error.ts";

const TRIES = 3;
/** A platform that asks for a longer wait than this is reported instead of waited for. */
const MAX_WAIT_MS = 60_000;

interface RetryOptions {
  /** Ends the waits, and so the tries. */
  readonly signal: AbortSignal | undefined;
  /** The longest first wait, in milliseconds. */
  readonly retryMs: number;
  /** Told that the next try comes after so many milliseconds; what it returns is called then. */
  readonly onPause?: ((error: ApiError, ms: number) => () => void) | undefined;
}

/**
 * Runs `attempt` up to three times while `mayRetry` says so, with full jitter between tries, obeying Retry-After
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
 *
 * @throws what the last try threw.
 */
export async function withRetry<T>(
  attempt: () => Promise<T>,
  mayRetry: (error: ApiError) => boolean,
  { signal, retryMs, onPause }: RetryOptions,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof ApiError) || !mayRetry(error) || tries >= TRIES) throw error;
      const pauseMs = error.retryAfterMs ?? backoff(tries, retryMs, MAX_WAIT_MS);
      if (pauseMs > MAX_WAIT_MS) throw error;
      const over = onPause?.(error, pauseMs);
      await wait(pauseMs, signal)
        .catch(() => {
          throw error;
        })
        .finally(over);
    }
  }
}

/** A wait in milliseconds before try number `tries + 1`: random up to `first * 2^(tries - 1)`, never above `cap`. */
export function backoff(tries: number, first: number, cap: number): number {
  return Math.random() * Math.min(cap, first * 2 ** (tries - 1));
}
