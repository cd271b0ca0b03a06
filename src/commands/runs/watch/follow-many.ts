import type { Context } from "../../../context.ts";
import { CliError } from "../../../errors.ts";
import type { Run } from "../../../runs/run.ts";
import { watchMany } from "../../../runs/watch/many.ts";
import { totalsOf, type ManyEvent, type Watched } from "../../../runs/watch/watched.ts";
import { isStructured } from "../../../terminal/rows.ts";
import { OnEnd } from "../../shared/on-end.ts";
import { openRunTable } from "../../shared/run-table/table.ts";
import { runCount, runView } from "../../shared/run-view.ts";
import type { FollowOptions } from "./follow.ts";
import { manyColumns, manyRules, restLine, runningFirst, totalsLine, writer, type Order } from "./many-view.ts";
import { byResult, worstResult } from "./worst-result.ts";

export interface FollowManyOptions extends FollowOptions {
  /** Finds runs to watch as well, while the watch goes on. */
  readonly discover?: ((signal: AbortSignal) => AsyncIterable<Run>) | undefined;
  /** Stop at the first run that did not complete. */
  readonly failFast?: boolean | undefined;
  readonly exitStatus: boolean;
}

/**
 * Shows what becomes of many runs, to the end of all of them or until the user has seen enough. Never touches a run.
 *
 * @throws CliError of the worst result's kind, `auth`
 */
export async function followMany(
  context: Context,
  runs: readonly Run[],
  { interval, timeout, discover, failFast, exitStatus, onEnd }: FollowManyOptions,
): Promise<void> {
  const { api, output, stop: asked, closed } = context;
  const hook = await OnEnd.of(context, onEnd);
  const left = new AbortController();
  const events = watchMany(await api(), runs, {
    stop: AbortSignal.any([asked, closed, left.signal]),
    intervalMs: interval,
    timeoutMs: timeout,
    discover,
  });
  let failed: Run | undefined;
  let all: readonly Watched[];
  try {
    const enough = (event: ManyEvent) => {
      if (event.type !== "end") return false;
      hook?.run(event.watched);
      if (failFast && worstResult([event.watched]) === "run-failed") failed = event.watched.run;
      return failed !== undefined;
    };
    const leaving = "stop watching, and exit with 8; the runs go on";
    all = (await showMany(context, events, { order: runningFirst, leaving, leave: () => left.abort(), enough })).all;
    if (!closed.aborted) await sayResults(output, all.toSorted(byResult));
  } finally {
    await hook?.drained();
  }
  if (closed.aborted) return;
  const going = all.filter(({ state }) => state === "running");
  if (going.length > 0) {
    const stopped = asked.aborted || left.signal.aborted;
    const why = failed ? `run ${failed.id} failed` : stopped ? undefined : "the timeout was reached";
    output.note(`stopped watching${why ? `: ${why}` : ""}; ${runCount(going.length)} still in progress, not touched`);
  }
  if (asked.aborted || !exitStatus) return;
  if (left.signal.aborted && going.length > 0) {
    throw new CliError("still-running", totalsLine(totalsOf(all)), { silent: true });
  }
  // What is still in progress after a failure that ended the watch is as it was asked for.
  const worst = worstResult(all);
  if (worst) throw new CliError(worst, totalsLine(totalsOf(all)), { silent: true });
}

export interface ShowManyOptions {
  readonly order: Order;
  /** What `q` does in a table, in a few words. */
  readonly leaving: string;
  readonly leave: () => void;
  /** Told of each event; true: no more. */
  readonly enough?: (event: ManyEvent) => boolean;
  /** What to do with events where no table can follow them. */
  readonly write?: (event: ManyEvent) => void;
}

/**
 * Shows events as they come: as a table that follows them, or a line each.
 *
 * @returns the runs as they were last seen, in the table's order; `gone`: they stood in a table, which is there no more.
 */
export async function showMany(
  context: Context,
  events: AsyncIterable<ManyEvent>,
  { order, leaving, leave, enough = () => false, write = writer(context.output) }: ShowManyOptions,
): Promise<{ readonly all: readonly Watched[]; readonly gone: boolean }> {
  const { output } = context;
  // A watch can go on for days, and an upgrade replace the files meanwhile.
  await output.prepare();
  const watched = new Map<string, Watched>();
  const table = await openRunTable(context, {
    ...manyRules(order),
    columns: manyColumns(output.now),
    rows: () => [...watched.values()],
    foot: () => [totalsLine(totalsOf(watched.values()))],
    rest: restLine,
    leaving,
    leave,
  });
  const show = table ? () => table.refresh() : write;
  try {
    for await (const event of events) {
      if (event.type !== "totals") watched.set(event.watched.run.id, event.watched);
      show(event);
      if (enough(event)) break;
    }
  } finally {
    await table?.end();
  }
  return { all: [...watched.values()].toSorted(order.compare), gone: table !== undefined };
}

/** One line per run, the failures first, and the totals, once it is over. */
async function sayResults(output: Context["output"], all: readonly Watched[]): Promise<void> {
  if (!isStructured(output.format))
    await output.list(
      all.map(({ run }) => run),
      runView,
      "",
    );
  output.note(totalsLine(totalsOf(all)));
}
