import type { Api } from "../../api/api.ts";
import { limit, type Limit } from "../../async/limit.ts";
import { ownSignal, type OwnSignal } from "../../async/own-signal.ts";
import { Queue } from "../../async/queue.ts";
import type { Run } from "../run.ts";
import { settleRuns } from "../settle/settle.ts";
import { watchMany, type WatchManyOptions } from "./many.ts";
import { totalsOf, type ManyEvent, type Watched } from "./watched.ts";

export interface WatchListOptions extends Omit<WatchManyOptions, "discover"> {
  /** The list as it is now, newest first, at least as far as to the first run that is known. */
  readonly find: (isKnown: (id: string) => boolean, signal: AbortSignal) => Promise<readonly Run[]>;
}

/**
 * Follows a list of runs for as long as anybody looks: those in progress are watched, ended ones stay, new ones are taken in.
 * A run that was left alone or given up is looked at again with the list: its machine may be up by now, or its end on record.
 *
 * Ends at the stop or the time limit.
 *
 * @throws ApiError when there is no list to begin with; `auth`. CliError `auth`.
 */
export async function* watchList(api: Api, options: WatchListOptions): AsyncGenerator<ManyEvent> {
  const watch = new ListWatch(api, options);
  void watch.work();
  try {
    yield* watch.events;
  } catch (error) {
    if (!watch.stopped) throw error;
  } finally {
    watch.close();
  }
}

/** What is known of the list, and what is to be told of it. */
class ListWatch {
  readonly events = new Queue<ManyEvent>();
  readonly #api: Api;
  readonly #options: WatchListOptions;
  readonly #time: Limit;
  readonly #own: OwnSignal;
  readonly #known = new Map<string, Watched>();
  /** Nothing more will come of them from the watch. */
  readonly #left = new Set<string>();
  #totals = "";
  #lookingAgain = false;

  constructor(api: Api, options: WatchListOptions) {
    this.#api = api;
    this.#options = options;
    this.#time = limit(options.stop, options.timeoutMs);
    this.#own = ownSignal(this.#time.signal);
  }

  /** The stop, or the time limit. */
  get stopped(): boolean {
    return this.#own.signal.aborted;
  }

  /** Works until it is stopped; then the events end. Never throws. */
  async work(): Promise<void> {
    try {
      await this.#watch();
      this.events.end();
    } catch (error) {
      this.events.fail(error);
    }
  }

  /** Nobody looks any more. */
  close(): void {
    this.#time.release();
    this.#own.abort();
    this.#own.release();
  }

  async #watch(): Promise<void> {
    const { signal } = this.#own;
    const discover = () => this.#look();
    const found: Run[] = [];
    for await (const run of discover()) found.push(run);
    const { intervalMs } = this.#options;
    const watch = watchMany(this.#api, found.toReversed(), { stop: signal, intervalMs, discover, goOn: true });
    for await (const event of watch) {
      if (event.type === "totals") this.#count();
      else this.#tell(event);
    }
  }

  /** The runs that are new in the list. Those that were left are looked at again meanwhile. */
  async *#look(): AsyncGenerator<Run> {
    const isKnown = (id: string) => this.#known.has(id);
    const listed = await this.#options.find(isKnown, this.#own.signal);
    // Nobody waits for them: a machine that hangs is often why they were given up.
    if (this.#left.size > 0 && !this.#lookingAgain) void this.#lookAgain(listed);
    yield* listed.filter(({ id }) => !isKnown(id));
  }

  /** Looks at the runs that were left. Never throws. */
  async #lookAgain(listed: readonly Run[]): Promise<void> {
    this.#lookingAgain = true;
    const rows = new Map(listed.map((run) => [run.id, run]));
    const before = [...this.#left].flatMap((id) => this.#known.get(id) ?? []);
    try {
      const settled = await settleRuns(
        this.#api,
        before.map(({ run }) => rows.get(run.id) ?? run),
      );
      const silent = new Set([...settled.machineDown, ...settled.unanswered]);
      for (const run of settled.runs) if (!silent.has(run)) this.#seeAgain(run, settled.unstorable.includes(run));
      this.#count();
    } catch {
      // The next look at the list tells what is wrong, too.
    } finally {
      this.#lookingAgain = false;
    }
  }

  /** A run that was left has given an answer. */
  #seeAgain(run: Run, unstorable: boolean): void {
    const last = this.#known.get(run.id);
    if (!last) return;
    const state = run.status === "running" ? "running" : "ended";
    if (state === "ended") this.#left.delete(run.id);
    if (state === last.state) return;
    this.#tell({
      type: state === "ended" ? "end" : "run",
      watched: { ...last, run, state, problem: null, unstorable },
    });
  }

  #tell(event: Exclude<ManyEvent, { type: "totals" }>): void {
    const { run, state } = event.watched;
    this.#known.set(run.id, event.watched);
    if (event.type === "end" && state !== "ended") this.#left.add(run.id);
    // It is not watched: its end is all there is to say.
    if (event.type !== "run" || state !== "ended") this.events.push(event);
  }

  /** Of the whole list: a watch counts only what it watches. */
  #count(): void {
    const totals = totalsOf(this.#known.values());
    const key = JSON.stringify(totals);
    if (key !== this.#totals) this.events.push({ type: "totals", totals });
    this.#totals = key;
  }
}
