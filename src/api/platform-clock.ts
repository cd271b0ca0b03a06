/** The header's time is cut to the second: on average half a second is missing. */
const CUT_MS = 500;
const SLOW_MS = 10_000;
/** Less is of no consequence where people give times, and is not said. */
const TOLERATED_MS = 60_000;

/**
 * The platform's clock, read from the `Date` of its answers. Whatever is compared with times of the platform is compared by this
 * clock: this machine's own may be hours off.
 */
export class PlatformClock {
  #aheadMs: number | undefined;

  /** Takes note of an answer's `Date`. The request left at `sentAtMs` of this machine's clock, in milliseconds since 1970. */
  note(date: Date, sentAtMs: number): void {
    // The answer was written some time in between: of a slow one, that says little.
    if (this.#aheadMs !== undefined && Date.now() - sentAtMs > SLOW_MS) return;
    const middle = (sentAtMs + Date.now()) / 2;
    this.#aheadMs = date.getTime() + CUT_MS - middle;
  }

  /** How far it is ahead of this machine's clock, in milliseconds, to the second; `undefined` before the first answer. */
  get aheadMs(): number | undefined {
    return this.#aheadMs;
  }

  /** What this machine called `at`, as the platform's clock had it: before it is compared with one of the platform's times. */
  toPlatform(at: Date): Date {
    return new Date(at.getTime() + this.offMs);
  }

  /** How far the platform's clock is ahead, in milliseconds; 0 where that is no more than answers and clocks take, or not known. */
  get offMs(): number {
    return Math.abs(this.#aheadMs ?? 0) > TOLERATED_MS ? (this.#aheadMs ?? 0) : 0;
  }

  /** What time it is there, to the second; `undefined` before the first answer. */
  now(): Date | undefined {
    return this.#aheadMs === undefined ? undefined : new Date(Date.now() + this.#aheadMs);
  }
}
