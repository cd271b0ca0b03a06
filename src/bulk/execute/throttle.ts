/**
 * How fast a job starts runs. At most so many starts are under way at a time; that number halves when the platform asks for less
 * or is slow, and grows by one for each round of starts that went well (additive increase, multiplicative decrease). A
 * `Retry-After` is obeyed by all, and a platform that cannot be reached is left alone for a while.
 */

export interface ThrottleOptions {
  /** Starts under way at a time, at most. */
  readonly concurrency: number;
  /** Starts a second, at most. */
  readonly rate: number | null;
  /** How long the first pause is, in milliseconds; each one after it is twice as long, the longest thirty times. */
  readonly pauseMs?: number | undefined;
  /** Milliseconds of a clock that nobody sets. */
  readonly now?: () => number;
}

/** So many unreachable in a row, and it is not this or that start. */
const UNREACHABLE_IN_A_ROW = 5;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE = 30;
const MAX_RETRY_AFTER_MS = 60_000;
/** What is said by several starts of one moment is said once. */
const CUT_APART_MS = 1_000;
const REMEMBERED_ANSWERS = 21;
/** An answer that took so many times as long as they usually do, and longer than this, is a platform in trouble. */
const SLOW_FACTOR = 4;
const SLOW_MS = 5_000;

export class Throttle {
  readonly #most: number;
  readonly #gapMs: number;
  readonly #pauseMs: number;
  readonly #now: () => number;
  readonly #answerTimes: number[] = [];
  #limit: number;
  #underWay = 0;
  #nextAt = -Infinity;
  #quietUntil = -Infinity;
  #lastCut = -Infinity;
  #pauses = 0;
  #unreachable = 0;
  #troubledSince: number | undefined;

  constructor({ concurrency, rate, pauseMs = FIRST_PAUSE_MS, now = () => performance.now() }: ThrottleOptions) {
    this.#pauseMs = pauseMs;
    this.#most = concurrency;
    this.#limit = concurrency;
    this.#gapMs = rate === null ? 0 : 1_000 / rate;
    this.#now = now;
  }

  /** How many starts may be under way at a time now. */
  get limit(): number {
    return Math.max(1, Math.floor(this.#limit));
  }

  /** Milliseconds for which nothing may be started; 0 for none. */
  get pausedMs(): number {
    return Math.max(0, this.#quietUntil - this.#now());
  }

  /** For how long the platform has been in trouble or out of reach, in milliseconds; 0 when it has answered since. */
  get troubledMs(): number {
    return this.#troubledSince === undefined ? 0 : this.#now() - this.#troubledSince;
  }

  /** Milliseconds until another start may begin: 0 now, Infinity when one that is under way has to end first. */
  untilNext(): number {
    if (this.#underWay >= this.limit) return Infinity;
    return Math.max(0, this.pausedMs, this.#nextAt - this.#now());
  }

  /** A start begins. */
  begin(): void {
    this.#underWay += 1;
    this.#nextAt = Math.max(this.#nextAt, this.#now()) + this.#gapMs;
  }

  /** A start has come to an end, whatever it was; say what it tells about the platform as well. */
  end(): void {
    this.#underWay -= 1;
  }

  /** The platform has answered, `tookMs` milliseconds after it was asked. */
  answered(tookMs: number): void {
    this.#reached();
    this.#pauses = 0;
    const usual = this.#answerTimes.toSorted((a, b) => a - b)[Math.floor(this.#answerTimes.length / 2)];
    this.#answerTimes.push(tookMs);
    if (this.#answerTimes.length > REMEMBERED_ANSWERS) this.#answerTimes.shift();
    if (usual !== undefined && tookMs > Math.max(SLOW_MS, SLOW_FACTOR * usual)) return this.#cut();
    this.#limit = Math.min(this.#most, this.#limit + 1 / this.#limit);
  }

  /** The platform asks for less. @param retryAfterMs what it asked to wait. */
  pushedBack(retryAfterMs: number | undefined): void {
    this.#reached();
    this.#cut();
    this.#pause(retryAfterMs);
  }

  /** A start found no way to the platform. */
  unreached(): void {
    this.#unreachable += 1;
    this.#troubledSince ??= this.#now();
    if (this.#unreachable < UNREACHABLE_IN_A_ROW) return;
    this.#cut();
    this.#pause(undefined);
  }

  /** The platform failed, or something in between answered in its place. @param retryAfterMs what it asked to wait. */
  failed(retryAfterMs: number | undefined): void {
    this.#troubledSince ??= this.#now();
    this.#cut();
    this.#pause(retryAfterMs);
  }

  #reached(): void {
    this.#unreachable = 0;
    this.#troubledSince = undefined;
  }

  #cut(): void {
    const now = this.#now();
    if (now - this.#lastCut < CUT_APART_MS) return;
    this.#lastCut = now;
    this.#limit = Math.max(1, this.#limit / 2);
  }

  #pause(askedMs: number | undefined): void {
    const now = this.#now();
    // Within a pause it is the same trouble.
    if (askedMs === undefined && now < this.#quietUntil) return;
    if (askedMs === undefined) this.#pauses += 1;
    const own = this.#pauseMs * Math.min(MAX_PAUSE, 2 ** (this.#pauses - 1));
    this.#quietUntil = Math.max(this.#quietUntil, now + Math.min(askedMs ?? own, MAX_RETRY_AFTER_MS));
  }
}
