import { ApiError } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import { Bell } from "../../async/bell.ts";
import { limit } from "../../async/limit.ts";
import { suspendSignal } from "../../async/suspend.ts";
import { wait } from "../../async/wait.ts";
import { CliError } from "../../errors.ts";
import type { Run } from "../run.ts";
import { discoveryPauseMs } from "./cadence.ts";
import { Pace } from "./pace.ts";
import { askTogether } from "./poll-group.ts";
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
export async function* watchMany(
  api: Api,
  runs: readonly Run[],
  { stop, intervalMs, timeoutMs, discover, goOn = false, arrivals }: WatchManyOptions,
): AsyncGenerator<ManyEvent> {
  const done = new AbortController();
  const time = limit(stop, timeoutMs);
  const signal = AbortSignal.any([time.signal, done.signal]);
  const bell = new Bell(signal);
  const seen = new Set<string>();
  const going = new Set<WatchedRun>();
  const totals = { ...totalsOf([]) };
  const schedule = new Schedule<WatchedRun>();
  const pace = new Pace(intervalMs);
  const events: ManyEvent[] = [];
  let expecting = arrivals !== undefined;
  let changed = false;
  let refused: unknown;

  /** Adjusts the totals: adding them up anew would cost as much as there are runs, for each that changes. */
  const count = (kind: keyof Totals, by: 1 | -1) => {
    totals[kind] += by;
    changed = true;
  };

  const add = (run: Run, begun: "before" | "just now" = "before") => {
    if (seen.has(run.id)) return;
    seen.add(run.id);
    const watched = new WatchedRun(run, performance.now(), pace, (event) => events.push(event));
    count(kindOf(watched.watched), 1);
    if (!watched.going) return;
    if (begun === "just now") watched.wait(performance.now());
    going.add(watched);
    schedule.add(watched);
  };

  const back = (run: WatchedRun) => {
    if (run.going) schedule.add(run);
    else {
      // Those that go on are all `running`.
      count("running", -1);
      count(kindOf(run.watched), 1);
      going.delete(run);
    }
    bell.ring();
  };

  const tellTotals = () => {
    if (changed) events.push({ type: "totals", totals: { ...totals } });
    changed = false;
  };

  const takeIn = async (newcomers: AsyncIterable<Run>) => {
    for await (const run of newcomers) {
      add(run, "just now");
      bell.ring();
    }
    expecting = false;
    bell.ring();
  };

  const lookForMore = async (find: NonNullable<WatchManyOptions["discover"]>) => {
    const pause = discoveryPauseMs(intervalMs);
    for (;;) {
      await wait(pause, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        let known = 0;
        for await (const run of find(signal)) {
          known = seen.has(run.id) ? known + 1 : 0;
          if (known === KNOWN_IN_A_ROW) break;
          add(run);
        }
      } catch (error) {
        // The runs themselves tell what is wrong; the next look may find what this one did not.
        if (!(error instanceof ApiError)) refused ??= error;
      }
      bell.ring();
    }
  };

  let suspended = suspendSignal();
  const ticking = setInterval(() => {
    pace.shareOut([...going].map((run) => run.outputLength));
    if (!suspended.signal.aborted) return;
    suspended.release();
    suspended = suspendSignal();
    // What they were to wait for is over.
    for (const run of schedule.takeAll()) {
      run.hurry(performance.now());
      schedule.add(run);
    }
    bell.ring();
  }, TICK_MS);

  for (const run of runs) add(run);
  if (discover) void lookForMore(discover);
  if (arrivals) void takeIn(arrivals);
  try {
    while (!signal.aborted) {
      const turn = schedule.next(performance.now());
      if (turn) {
        const ways = { api, schedule, pace, signal, back, wake: () => bell.ring() };
        void askTogether(turn, ways).catch((error: unknown) => {
          refused ??= error;
          bell.ring();
        });
      }
      tellTotals();
      // All that is there at once: shifting one by one from a long list costs its length each time.
      while (events.length > 0) for (const event of events.splice(0)) yield event;
      if (refused !== undefined) throw refusedBy(refused);
      if (going.size === 0 && !changed && !expecting && !goOn) return;
      await bell.wait(turn ? APART_MS : schedule.waitMs(performance.now()));
    }
  } finally {
    clearInterval(ticking);
    suspended.release();
    time.release();
    done.abort();
  }
}

function refusedBy(error: unknown): unknown {
  if (!(error instanceof ApiError)) return error;
  return new CliError("auth", `stopped watching: ${error.message}; the runs go on`, {
    hint: [...error.hints, "then take it up again with the same command"],
    cause: error,
  });
}
