import { ITEM_STATES } from "../item-state.ts";
import type { Item } from "../item.ts";
import type { ErrorLimit, JobSettings } from "../job/settings.ts";

/** Decides whether a job may start one more run: the canary, the runs in progress, and what has gone wrong. */
export class Gate {
  readonly #canary: number;
  readonly #maxRunning: number;
  readonly #mostErrors: number;
  readonly #limit: ErrorLimit | null;
  readonly #canaries = new Set<number>();
  readonly #running = new Set<number>();
  #passed: boolean;
  #completed = 0;
  #errors = 0;
  #tripped: string | undefined;

  /** @param total how many targets can be sent to: what a limit in percent is of. */
  constructor(
    { canary, maxRunning, maxErrors }: Pick<JobSettings, "canary" | "maxRunning" | "maxErrors">,
    total: number,
  ) {
    this.#canary = canary ?? 0;
    this.#passed = canary === null;
    this.#maxRunning = maxRunning ?? Infinity;
    this.#limit = maxErrors;
    this.#mostErrors =
      maxErrors === null ? Infinity : "count" in maxErrors ? maxErrors.count : (total * maxErrors.percent) / 100;
  }

  /** Why nothing more is started; `undefined` while more may be. */
  get tripped(): string | undefined {
    return this.#tripped;
  }

  /** The canary's runs have all completed, or there is none. */
  get passed(): boolean {
    return this.#passed;
  }

  /** Its runs have all completed, and what is to follow has not been let through yet. */
  get canaryIsDone(): boolean {
    return !this.#passed && this.#completed >= this.#canary;
  }

  /** Lets the rest follow the canary. */
  pass(): void {
    this.#passed = true;
  }

  /** Nothing more is to be started. */
  trip(why: string): void {
    this.#tripped ??= why;
  }

  /** @param starting how many starts are under way: each may become a run. */
  mayStart(starting: number): boolean {
    if (this.#tripped !== undefined) return false;
    if (!this.#passed && this.#canaries.size + starting >= this.#canary) return false;
    return this.#running.size + starting < this.#maxRunning;
  }

  /** Takes note of what became of a target. */
  note({ target: { index }, state, runId, attached }: Item): void {
    if (state === "running" && !attached) {
      this.#running.add(index);
      if (!this.#passed) this.#canaries.add(index);
      return;
    }
    this.#running.delete(index);
    if (ITEM_STATES[state].isError) this.#errors += 1;
    if (this.#errors > this.#mostErrors) {
      const limit = this.#limit && "percent" in this.#limit ? `${this.#limit.percent}%` : this.#mostErrors;
      this.trip(`${this.#errors} ${this.#errors === 1 ? "error" : "errors"}, more than --max-errors ${limit} allows`);
    }
    if (this.#passed || !this.#canaries.has(index)) return;
    if (state === "completed") this.#completed += 1;
    else this.trip(`the canary's run ${runId} did not complete: ${state}`);
  }

  /** A run is not followed any more, and may go on. */
  leave({ target: { index }, runId }: Item): void {
    this.#running.delete(index);
    if (!this.#passed && this.#canaries.has(index)) this.trip(`the canary's run ${runId} did not end in time`);
  }
}
