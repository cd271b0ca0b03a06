import type { Api } from "../../api/api.ts";
import { Queue } from "../../async/queue.ts";
import type { Run } from "../../runs/run.ts";
import { watchMany } from "../../runs/watch/many.ts";
import type { Watched } from "../../runs/watch/watched.ts";

/** Callbacks for the outcomes of followed runs. A slot is an item's position in the job. */
export interface Follower {
  /** Its run wrote something; its last line. */
  wrote(slot: number, line: string): void;
  /** Nothing more will come of its run: see its state. */
  ended(slot: number, watched: Watched): void;
  /** Its run goes on, and is not followed any more. */
  late(slot: number): void;
  /** Nothing more will come of the run that it waited for: see its state. */
  freed(slot: number, watched: Watched): void;
}

/** The runs of a job that are followed to their ends, and those of others that targets wait for. */
export class Following {
  readonly #follower: Follower;
  readonly #arrivals = new Queue<Run>();
  readonly #followed = new Map<string, { readonly slots: number[]; readonly since: number }>();
  readonly #waiting = new Map<string, number[]>();

  constructor(follower: Follower) {
    this.#follower = follower;
  }

  /** There is no run that anybody follows or waits for. */
  get idle(): boolean {
    return this.#followed.size === 0 && this.#waiting.size === 0;
  }

  /** Follows a run from now on. */
  follow(slot: number, run: Run): void {
    const followed = this.#followed.get(run.id);
    if (followed) return void followed.slots.push(slot);
    this.#followed.set(run.id, { slots: [slot], since: performance.now() });
    // Nobody needs its prompt any more, and there are many.
    this.#arrivals.push({ ...run, prompt: "" });
  }

  /** Waits for the end of somebody else's run. */
  waitFor(slot: number, run: Run): void {
    this.#waiting.set(run.id, [...(this.#waiting.get(run.id) ?? []), slot]);
    this.#arrivals.push({ ...run, prompt: "" });
  }

  /**
   * Watches until {@link end} and all runs are done with, or the stop.
   *
   * @param known runs that were in progress before, and their slots.
   * @throws as `watchMany` does.
   */
  async watch(api: Api, known: readonly (readonly [slot: number, run: Run])[], stop: AbortSignal): Promise<void> {
    for (const [slot, { id }] of known) this.#followed.set(id, { slots: [slot], since: performance.now() });
    const runs = known.map(([, run]) => run);
    for await (const event of watchMany(api, runs, { stop, arrivals: this.#arrivals })) {
      if (event.type === "totals") continue;
      const { run, lastLine } = event.watched;
      const slots = this.#followed.get(run.id)?.slots ?? [];
      if (event.type === "output-line") for (const slot of slots) this.#follower.wrote(slot, lastLine ?? "");
      if (event.type !== "end") continue;
      const freed = this.#waiting.get(run.id) ?? [];
      this.#followed.delete(run.id);
      this.#waiting.delete(run.id);
      for (const slot of slots) this.#follower.ended(slot, event.watched);
      for (const slot of freed) this.#follower.freed(slot, event.watched);
    }
  }

  /** Lets go of runs that have been followed for longer than this. */
  leaveAfter(ms: number): void {
    for (const [id, { slots, since }] of this.#followed) {
      if (performance.now() - since < ms) continue;
      this.#followed.delete(id);
      for (const slot of slots) this.#follower.late(slot);
    }
  }

  /** There will be no more runs to follow. */
  end(): void {
    this.#arrivals.end();
  }
}
