import { CADENCE, fairShare, hurryMs, OUTPUT_BUDGET, pauseMs } from "./cadence.ts";

const MAX_SLOWDOWN = 8;
/** After each answer, so much of a slowdown is left. */
const RECOVERY = 0.95;
const REMEMBERED_ANSWERS = 21;

/** What the platform can take, as its answers to all runs tell, and so how long each of them waits for its next turn. */
export class Pace {
  readonly #intervalMs: number | undefined;
  readonly #answerTimes: number[] = [];
  #slowdown = 1;
  #share = Infinity;

  constructor(intervalMs: number | undefined) {
    this.#intervalMs = intervalMs;
  }

  /** How long a shared request may take before its runs are asked about one by one. */
  get patienceMs(): number {
    return hurryMs(this.#answerTimes);
  }

  /** A request took so long. */
  took(ms: number): void {
    this.#answerTimes.push(ms);
    if (this.#answerTimes.length > REMEMBERED_ANSWERS) this.#answerTimes.shift();
  }

  /** A run was answered. */
  recover(): void {
    this.#slowdown = Math.max(1, this.#slowdown * RECOVERY);
  }

  /** The platform asked for less. */
  slowDown(): void {
    this.#slowdown = Math.min(MAX_SLOWDOWN, this.#slowdown * 2);
  }

  /** Shares the output budget among the runs in progress. */
  shareOut(sizes: readonly number[]): void {
    // As if each were asked as often as it may be: what it costs now depends on its share.
    const demands = sizes.map((size) => (size / (this.#intervalMs ?? CADENCE.quickPollMs)) * 1_000);
    this.#share = fairShare(demands, OUTPUT_BUDGET);
  }

  /** How long a run waits for its next turn that was answered just now. */
  pauseMs(run: { readonly silentMs: number; readonly tookMs: number; readonly size: number }): number {
    const [intervalMs, slowdown, share] = [this.#intervalMs, this.#slowdown, this.#share];
    return pauseMs({ ...run, intervalMs, slowdown, share, chance: Math.random() });
  }
}
