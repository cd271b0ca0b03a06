import type { Api } from "../../api/api.ts";
import { limit } from "../../async/limit.ts";
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
export async function* watchList(
  api: Api,
  { find, stop, intervalMs, timeoutMs }: WatchListOptions,
): AsyncGenerator<ManyEvent> {
  const done = new AbortController();
  const time = limit(stop, timeoutMs);
  const signal = AbortSignal.any([time.signal, done.signal]);
  const known = new Map<string, Watched>();
  /** Nothing more will come of them from the watch. */
  const left = new Set<string>();
  const events: ManyEvent[] = [];
  let totals = "";
  let wake: () => void = nobodyWaits;

  const tell = (event: Exclude<ManyEvent, { type: "totals" }>) => {
    const { run, state } = event.watched;
    known.set(run.id, event.watched);
    if (event.type === "end" && state !== "ended") left.add(run.id);
    // It is not watched: its end is all there is to say.
    if (event.type !== "run" || state !== "ended") events.push(event);
    wake();
  };
  /** Of the whole list: a watch counts only what it watches. */
  const count = () => {
    const now = totalsOf([...known.values()]);
    const key = JSON.stringify(now);
    if (key !== totals) events.push({ type: "totals", totals: now });
    totals = key;
    wake();
  };

  let lookingAgain = false;
  const lookAgain = async (listed: readonly Run[]) => {
    const rows = new Map(listed.map((run) => [run.id, run]));
    const before = [...left].flatMap((id) => known.get(id) ?? []);
    const settled = await settleRuns(
      api,
      before.map(({ run }) => rows.get(run.id) ?? run),
    );
    const silent = new Set([...settled.machineDown, ...settled.unanswered]);
    for (const run of settled.runs) {
      const last = known.get(run.id);
      if (!last || silent.has(run)) continue;
      const state = run.status === "running" ? "running" : "ended";
      if (state === "ended") left.delete(run.id);
      if (state === last.state) continue;
      tell({ type: state === "ended" ? "end" : "run", watched: { ...last, run, state, problem: null } });
    }
    count();
  };

  async function* look(): AsyncGenerator<Run> {
    const listed = await find((id) => known.has(id), signal);
    if (left.size > 0 && !lookingAgain) {
      lookingAgain = true;
      // Nobody waits for them: a machine that hangs is often why they were given up.
      void lookAgain(listed)
        // The next look at the list tells what is wrong, too.
        .catch(() => undefined)
        .finally(() => (lookingAgain = false));
    }
    yield* listed.filter(({ id }) => !known.has(id));
  }

  const watching = async () => {
    const found: Run[] = [];
    for await (const run of look()) found.push(run);
    const watch = watchMany(api, found.toReversed(), { stop: signal, intervalMs, discover: look, goOn: true });
    for await (const event of watch) {
      if (event.type === "totals") count();
      else tell(event);
    }
  };

  let over = false;
  let failure: unknown;
  void watching()
    .catch((error: unknown) => (failure = error))
    .finally(() => {
      over = true;
      wake();
    });
  try {
    for (;;) {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      for (let event = events.shift(); event; event = events.shift()) yield event;
      if (over && failure !== undefined && !signal.aborted) throw failure;
      if (over || signal.aborted) return;
      await woken;
    }
  } finally {
    time.release();
    done.abort();
  }
}

function nobodyWaits(): void {}
