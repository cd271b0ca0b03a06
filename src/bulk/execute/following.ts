import type { Api } from "../../api/api.ts";
import { Queue } from "../../async/queue.ts";
import type { Run } from "../../runs/run.ts";
import { watchMany } from "../../runs/watch/many.ts";
import type { Watched } from "../../runs/watch/watched.ts";

/** Who is told what becomes of followed runs. A place is that of an item in the plan. */
export interface Follower {
  /** Its run wrote something; its last line. */
  wrote(place: number, line: string): void;
  /** Nothing more will come of its run: see its state. */
  ended(place: number, watched: Watched): void;
  /** Its run goes on, and is not followed any more. */
  late(place: number): void;
  /** Nothing more will come of the run that it waited for: see its state. */
  freed(place: number, watched: Watched): void;
}

/** The runs of a job that are followed to their ends, and those of others that targets wait for. */
export class Following {
  readonly #follower: Follower;
  readonly #arrivals = new Queue<Run>();
  readonly #followed = new Map<string, { readonly places: number[]; readonly since: number }>();
  readonly #waiting = new Map<string, number[]>();

  constructor(follower: Follower) {
    this.#follower = follower;
  }

  /** There is no run that anybody follows or waits for. */
  get idle(): boolean {
    return this.#followed.size === 0 && this.#waiting.size === 0;
  }

  /** Follows a run from now on. */
  follow(place: number, run: Run): void {
    const followed = this.#followed.get(run.id);
    if (followed) return void followed.places.push(place);
    this.#followed.set(run.id, { places: [place], since: performance.now() });
    // Nobody needs its prompt any more, and there are many.
    this.#arrivals.push({ ...run, prompt: "" });
  }

  /** Waits for the end of somebody else's run. */
  waitFor(place: number, run: Run): void {
    this.#waiting.set(run.id, [...(this.#waiting.get(run.id) ?? []), place]);
    this.#arrivals.push({ ...run, prompt: "" });
  }

  /**
   * Watches until {@link end} and all runs are done with, or the stop.
   *
   * @param known runs that were in progress before, and their places.
   * @throws as `watchMany` does.
   */
  async watch(api: Api, known: readonly (readonly [place: number, run: Run])[], stop: AbortSignal): Promise<void> {
    for (const [place, { id }] of known) this.#followed.set(id, { places: [place], since: performance.now() });
    const runs = known.map(([, run]) => run);
    for await (const event of watchMany(api, runs, { stop, arrivals: this.#arrivals })) {
      if (event.type === "totals") continue;
      const { run, lastLine } = event.watched;
      const places = this.#followed.get(run.id)?.places ?? [];
      if (event.type === "output-line") for (const place of places) this.#follower.wrote(place, lastLine ?? "");
      if (event.type !== "end") continue;
      const freed = this.#waiting.get(run.id) ?? [];
      this.#followed.delete(run.id);
      this.#waiting.delete(run.id);
      for (const place of places) this.#follower.ended(place, event.watched);
      for (const place of freed) this.#follower.freed(place, event.watched);
    }
  }

  /** Lets go of runs that have been followed for longer than this. */
  leaveAfter(ms: number): void {
    for (const [id, { places, since }] of this.#followed) {
      if (performance.now() - since < ms) continue;
      this.#followed.delete(id);
      for (const place of places) this.#follower.late(place);
    }
  }

  /** There will be no more runs to follow. */
  end(): void {
    this.#arrivals.end();
  }
}
