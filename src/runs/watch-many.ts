import { setTimeout as sleep } from "node:timers/promises";
import { ApiError } from "../api/api-error.ts";
import type { Api } from "../api/api.ts";
import { suspendSignal } from "../api/suspend.ts";
import { CliError } from "../errors.ts";
import { askTogether } from "./ask-together.ts";
import { Bell } from "./bell.ts";
import { Pace } from "./pace.ts";
import type { Run } from "./run.ts";
import { Schedule } from "./schedule.ts";
import { WatchedRun } from "./watched-run.ts";
import { totalsOf, type ManyEvent } from "./watched.ts";

export interface WatchManyOptions {
  /** Aborted: stop watching. Never touches a run. */
  readonly stop: AbortSignal;
  readonly intervalMs?: number | undefined;
  /** Stop watching after so many milliseconds. */
  readonly timeoutMs?: number | undefined;
  /**
   * Finds runs to watch as well, newest first: as often as a run may be asked about, but every 1 to 10 s. It is left off where
   * nothing new comes any more.
   */
  readonly discover?: ((signal: AbortSignal) => AsyncIterable<Run>) | undefined;
}

/** Queries of one moment share a request, so requests that must not leave one after the other. */
const APART_MS = 5;
const QUICKEST_DISCOVERY_MS = 1_000;
const DISCOVERY_MS = 10_000;
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
 * Of outputs only their length and their end are kept. Ends when every run has come to an end, or at the stop or the time
 * limit: the runs that go on have no `end` event then.
 *
 * @throws CliError `auth` when the token is refused.
 */
export async function* watchMany(
  api: Api,
  runs: readonly Run[],
  { stop, intervalMs, timeoutMs, discover }: WatchManyOptions,
): AsyncGenerator<ManyEvent> {
  const done = new AbortController();
  const limit = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const signal = AbortSignal.any([stop, done.signal, ...(limit ? [limit] : [])]);
  const bell = new Bell(signal);
  const all = new Map<string, WatchedRun>();
  const schedule = new Schedule<WatchedRun>();
  const pace = new Pace(intervalMs);
  const events: ManyEvent[] = [];
  let going = 0;
  let changed = false;
  let totals = "";
  let refused: unknown;

  const add = (run: Run) => {
    if (all.has(run.id)) return;
    const watched = new WatchedRun(run, performance.now(), pace, (event) => {
      events.push(event);
      changed ||= event.type !== "output-line";
    });
    all.set(run.id, watched);
    if (!watched.going) return;
    going += 1;
    schedule.add(watched);
  };

  const back = (run: WatchedRun) => {
    if (run.going) schedule.add(run);
    else going -= 1;
    bell.ring();
  };

  const count = () => {
    if (!changed) return;
    changed = false;
    const now = totalsOf([...all.values()].map(({ watched }) => watched));
    const key = JSON.stringify(now);
    if (key !== totals) events.push({ type: "totals", totals: now });
    totals = key;
  };

  const lookForMore = async (find: NonNullable<WatchManyOptions["discover"]>) => {
    const pause = Math.max(QUICKEST_DISCOVERY_MS, Math.min(DISCOVERY_MS, intervalMs ?? DISCOVERY_MS));
    for (;;) {
      await sleep(pause, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        let known = 0;
        for await (const run of find(signal)) {
          known = all.has(run.id) ? known + 1 : 0;
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
    pace.shareOut([...all.values()].filter((run) => run.going).map((run) => run.outputLength));
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
      count();
      for (let event = events.shift(); event; event = events.shift()) yield event;
      if (refused !== undefined) throw refusedBy(refused);
      if (going === 0 && !changed) return;
      await bell.wait(turn ? APART_MS : schedule.waitMs(performance.now()));
    }
  } finally {
    clearInterval(ticking);
    suspended.release();
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
