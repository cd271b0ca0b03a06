/** The header's time is cut to the second: on average half a second is missing. */
const CUT_MS = 500;
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
    const middle = (sentAtMs + Date.now()) / 2;
    this.#aheadMs = date.getTime() + CUT_MS - middle;
  }

  /** How far it is ahead of this machine's clock, in milliseconds, to the second; `undefined` before the first answer. */
  get aheadMs(): number | undefined {
    return this.#aheadMs;
  }

  /**
   * How far this machine's clock is off by more than answers and clocks take, in milliseconds: what is to be added to a time of this
   * machine before it is compared with one of the platform's.
   */
  get offMs(): number {
    return Math.abs(this.#aheadMs ?? 0) > TOLERATED_MS ? (this.#aheadMs ?? 0) : 0;
  }

  /** What time it is there, to the second; `undefined` before the first answer. */
  now(): Date | undefined {
    return this.#aheadMs === undefined ? undefined : new Date(Date.now() + this.#aheadMs);
  }
}
