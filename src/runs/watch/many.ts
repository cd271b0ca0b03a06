import { ApiError } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import { Bell } from "../../async/bell.ts";
import { limit, type Limit } from "../../async/limit.ts";
import { ownSignal, type OwnSignal } from "../../async/own-signal.ts";
import { suspendSignal } from "../../async/suspend.ts";
import { wait } from "../../async/wait.ts";
import { CliError } from "../../errors.ts";
import type { Run } from "../run.ts";
import { discoveryPauseMs } from "./cadence.ts";
import { Pace } from "./pace.ts";
import { askTogether, type Ways } from "./poll-group.ts";
import { Schedule } from "./schedule.ts";
import { WatchedRun } from "./watched-run.ts";
import { kindOf, totalsOf, type ManyEvent, type Totals } from "./watched.ts";

export interface WatchManyOptions {
  /** Aborted: stop watching. Never touches a run. */
  readonly stop: AbortSignal;
  readonly intervalMs?: number | undefined;
  /** Stop watching after so many milliseconds. */
  readonly timeoutMs?: number | undefined;
  /**
   * Finds runs to watch as well, newest first: as often as a run may be asked about, but every 1 to 10 s. Where it comes page by
   * page, it is left off where nothing new comes any more.
   */
  readonly discover?: ((signal: AbortSignal) => AsyncIterable<Run>) | undefined;
  /** The watch goes on where no run is in progress any more: there may be new ones. */
  readonly goOn?: boolean;
  /** Runs to watch as well, each started just now, as they come. The watch goes on until there can be no more of them. */
  readonly arrivals?: AsyncIterable<Run> | undefined;
}

/** Queries of one moment share a request, so requests that must not leave one after the other. */
const APART_MS = 5;
/** So many known runs in a row, and the rest of the list is known too. A run's row may come a moment after newer ones. */
const KNOWN_IN_A_ROW = 50;
const TICK_MS = 1_000;

/**
 * Watches many runs to their ends, with one scheduler for all. Every run has its own cadence; runs that are due share requests.
 * The platform answers such a request when its slowest entry is done, so one machine that hangs would hold up all others for
 * the 45 s that an answer may take. Therefore a shared request that takes much longer than they usually do is dropped (asking
 * twice about a status changes nothing) and each of its runs is asked about alone; a run that is slow even then keeps having
 * requests of its own, a few such runs at a time, until it answers quickly. Requests of one run each from the start would be
 * many times as many; limits by time alone would give up on machines that are only slow.
 *
 * Of outputs only their length and their end are kept, of ended runs only that they were seen. Ends when every run has come to
 * an end, or at the stop or the time limit: the runs that go on have no `end` event then.
 *
 * @throws CliError `auth` when the token is refused.
 */
export async function* watchMany(api: Api, runs: readonly Run[], options: WatchManyOptions): AsyncGenerator<ManyEvent> {
  const watch = new ManyWatch(api, options);
  try {
    watch.begin(runs);
    while (!watch.stopped) {
      const asked = watch.ask();
      watch.tellTotals();
      // All that is there at once: shifting one by one from a long list costs its length each time.
      while (watch.events.length > 0) for (const event of watch.events.splice(0)) yield event;
      watch.throwIfRefused();
      if (watch.isOver) return;
      await watch.untilNext(asked);
    }
  } finally {
    watch.close();
  }
}

/** The runs under watch, what is to be told of them, and whose turn it is. */
class ManyWatch {
  /** What has not been told yet. */
  readonly events: ManyEvent[] = [];
  readonly #options: WatchManyOptions;
  readonly #time: Limit;
  readonly #own: OwnSignal;
  readonly #bell: Bell;
  readonly #schedule = new Schedule<WatchedRun>();
  readonly #pace: Pace;
  readonly #ways: Ways;
  readonly #seen = new Set<string>();
  readonly #going = new Set<WatchedRun>();
  readonly #totals = { ...totalsOf([]) };
  #totalsChanged = false;
  #expecting: boolean;
  /** Why there is no point in asking any more. */
  #refused: { readonly error: unknown } | undefined;
  #suspended = suspendSignal();
  #ticking: NodeJS.Timeout | undefined;

  constructor(api: Api, options: WatchManyOptions) {
    this.#options = options;
    this.#time = limit(options.stop, options.timeoutMs);
    this.#own = ownSignal(this.#time.signal);
    this.#bell = new Bell(this.#own.signal);
    this.#pace = new Pace(options.intervalMs);
    this.#expecting = options.arrivals !== undefined;
    this.#ways = {
      api,
      schedule: this.#schedule,
      pace: this.#pace,
      signal: this.#own.signal,
      back: (run) => this.#back(run),
      wake: () => this.#bell.ring(),
    };
  }

  /** The stop, or the time limit. */
  get stopped(): boolean {
    return this.#own.signal.aborted;
  }

  /** Every run has come to its end, all is told, and there can be no more of them. */
  get isOver(): boolean {
    return this.#going.size === 0 && !this.#totalsChanged && !this.#expecting && !this.#options.goOn;
  }

  begin(runs: readonly Run[]): void {
    const { discover, arrivals } = this.#options;
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
    for (const run of runs) this.#add(run);
    if (discover) void this.#lookForMore(discover);
    if (arrivals) void this.#takeIn(arrivals);
  }

  /** Sends the next request, if it is time for one. Nobody waits for its answer. */
  ask(): boolean {
    const turn = this.#schedule.next(performance.now());
    if (turn) void askTogether(turn, this.#ways).catch((error: unknown) => this.#refuse(error));
    return turn !== undefined;
  }

  tellTotals(): void {
    if (this.#totalsChanged) this.events.push({ type: "totals", totals: { ...this.#totals } });
    this.#totalsChanged = false;
  }

  /** @throws what ended the watch before its time. */
  throwIfRefused(): void {
    if (this.#refused) throw refusedBy(this.#refused.error);
  }

  /** Waits until there is something to ask or to tell. `asked`: a request has gone out just now. */
  untilNext(asked: boolean): Promise<void> {
    return this.#bell.wait(asked ? APART_MS : this.#schedule.waitMs(performance.now()));
  }

  /** Nobody wants to know any more. */
  close(): void {
    clearInterval(this.#ticking);
    this.#suspended.release();
    this.#time.release();
    this.#own.abort();
    this.#own.release();
  }

  #add(run: Run, begun: "before" | "just now" = "before"): void {
    if (this.#seen.has(run.id)) return;
    this.#seen.add(run.id);
    const watched = new WatchedRun(run, performance.now(), this.#pace, (event) => this.events.push(event));
    this.#count(kindOf(watched.watched), 1);
    if (!watched.going) return;
    if (begun === "just now") watched.wait(performance.now());
    this.#going.add(watched);
    this.#schedule.add(watched);
  }

  #back(run: WatchedRun): void {
    if (run.going) this.#schedule.add(run);
    else {
      // Those that go on are all `running`.
      this.#count("running", -1);
      this.#count(kindOf(run.watched), 1);
      this.#going.delete(run);
    }
    this.#bell.ring();
  }

  /** Adjusts the totals: adding them up anew would cost as much as there are runs, for each that changes. */
  #count(kind: keyof Totals, by: 1 | -1): void {
    this.#totals[kind] += by;
    this.#totalsChanged = true;
  }

  async #takeIn(newcomers: AsyncIterable<Run>): Promise<void> {
    for await (const run of newcomers) {
      this.#add(run, "just now");
      this.#bell.ring();
    }
    this.#expecting = false;
    this.#bell.ring();
  }

  async #lookForMore(find: NonNullable<WatchManyOptions["discover"]>): Promise<void> {
    const { signal } = this.#own;
    const pause = discoveryPauseMs(this.#options.intervalMs);
    for (;;) {
      await wait(pause, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        let known = 0;
        for await (const run of find(signal)) {
          known = this.#seen.has(run.id) ? known + 1 : 0;
          if (known === KNOWN_IN_A_ROW) break;
          this.#add(run);
        }
        this.#bell.ring();
      } catch (error) {
        // The runs themselves tell what is wrong; the next look may find what this one did not.
        if (error instanceof ApiError) this.#bell.ring();
        else this.#refuse(error);
      }
    }
  }

  #refuse(error: unknown): void {
    this.#refused ??= { error };
    this.#bell.ring();
  }

  #tick(): void {
    this.#pace.shareOut([...this.#going].map((run) => run.outputLength));
    if (!this.#suspended.signal.aborted) return;
    this.#suspended.release();
    this.#suspended = suspendSignal();
    // What they were to wait for is over.
    for (const run of this.#schedule.takeAll()) {
      run.hurry(performance.now());
      this.#schedule.add(run);
    }
    this.#bell.ring();
  }
}

function refusedBy(error: unknown): unknown {
  if (!(error instanceof ApiError)) return error;
  return new CliError("auth", `stopped watching: ${error.message}; the runs go on`, {
    hint: [...error.hints, "then resume with the same command"],
    cause: error,
  });
}
