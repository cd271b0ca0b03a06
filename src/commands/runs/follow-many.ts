import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { initiator, type Run } from "../../runs/run.ts";
import { watchMany } from "../../runs/watch-many.ts";
import { totalsOf, type ManyEvent, type Totals, type Watched } from "../../runs/watched.ts";
import type { Column } from "../../terminal/table.ts";
import type { FollowOptions } from "./follow.ts";
import { runColor, runCount, runStatusWord, runTook, runView } from "./view.ts";
import { worstResult } from "./worst-result.ts";

const TICK_MS = 1_000;

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
  { api, output, stop: asked, closed }: Pick<Context, "api" | "output" | "stop" | "closed">,
  runs: readonly Run[],
  { interval, timeout, discover, failFast, exitStatus }: FollowManyOptions,
): Promise<void> {
  const events = watchMany(await api(), runs, {
    stop: AbortSignal.any([asked, closed]),
    intervalMs: interval,
    timeoutMs: timeout,
    discover,
  });
  const watched = new Map<string, Watched>();
  const live = await output.live(COLUMNS, () => {
    const all = [...watched.values()];
    return { rows: all.toSorted(runningFirst), foot: totalsLine(totalsOf(all)), rest: restLine };
  });
  const show = live ? () => live.refresh() : writer(output);
  // The elapsed times go on without asking anybody.
  const ticking = live && setInterval(live.refresh, TICK_MS);
  let failed: Run | undefined;
  try {
    for await (const event of events) {
      if (event.type !== "totals") watched.set(event.watched.run.id, event.watched);
      show(event);
      if (failFast && event.type === "end" && worstResult([event.watched]) === "run-failed") {
        failed = event.watched.run;
        break;
      }
    }
  } finally {
    clearInterval(ticking);
    await live?.end();
  }
  if (closed.aborted) return;
  const all = [...watched.values()];
  await sayResults(output, all);
  const going = all.filter(({ state }) => state === "running");
  if (going.length > 0) {
    const why = failed ? `run ${failed.id} failed` : asked.aborted ? undefined : "the time limit is reached";
    output.note(`stopped watching${why ? `: ${why}` : ""}; ${runCount(going.length)} still in progress, not touched`);
  }
  if (asked.aborted || !exitStatus) return;
  // What is still in progress after a failure that ended the watch is as it was asked for.
  const worst = worstResult(all);
  if (worst) throw new CliError(worst, totalsLine(totalsOf(all)), { silent: true });
}

/** One line per run and the totals, once it is over. */
async function sayResults(output: Context["output"], all: readonly Watched[]): Promise<void> {
  const runs = all.toSorted(runningFirst).map(({ run }) => run);
  if (output.format !== "json" && output.format !== "jsonl") await output.list(runs, runView, "");
  output.note(totalsLine(totalsOf(all)));
}

/** Running ones first, those started last on top. */
function runningFirst(a: Watched, b: Watched): number {
  const ended = Number(a.state !== "running") - Number(b.state !== "running");
  return ended || b.run.startedAt.getTime() - a.run.startedAt.getTime();
}

/** A watched run's status in a word, or two where the record says less than is known. */
function watchedWord({ state, run }: Watched): string {
  if (state === "machine-down") return "machine down";
  return state === "given-up" ? "no answer" : runStatusWord(run);
}

/** The totals in a line: what there is none of is left out. */
function totalsLine(totals: Totals): string {
  const words = {
    running: "running",
    completed: "completed",
    failed: "failed",
    cancelled: "cancelled",
    unknown: "outcome unknown",
    machineDown: "left alone: machine down",
    givenUp: "without an answer",
  } as const satisfies Record<keyof Totals, string>;
  const keys = Object.keys(words) as (keyof Totals)[];
  const parts = keys.flatMap((key) => (totals[key] > 0 ? [`${totals[key]} ${words[key]}`] : []));
  return `${runCount(keys.reduce((sum, key) => sum + totals[key], 0))}: ${parts.join(", ")}`;
}

/** What stands for rows that the terminal has no room for. */
function restLine(left: readonly Watched[]): string {
  const running = left.filter(({ state }) => state === "running").length;
  const ended = left.length - running;
  const parts = [...(running > 0 ? [`${running} more running`] : []), ...(ended > 0 ? [`${ended} more ended`] : [])];
  return `… and ${parts.join(", ")}`;
}

const COLUMNS: readonly Column<Watched>[] = [
  { header: "STATUS", rank: 1, value: watchedWord, color: ({ run }) => runColor(run) },
  // Its first eight characters name it too, and the whole ID comes at the end; what a run is doing would not.
  { header: "RUN", rank: 0, shrinkTo: 9, value: ({ run }) => run.id },
  { header: "USER", rank: 2, shrinkTo: 12, value: ({ run }) => run.userEmail ?? run.userId },
  { header: "INSTANCE", rank: 6, shrinkTo: 8, value: ({ run }) => run.instanceId ?? "-" },
  { header: "BY", rank: 5, shrinkTo: 8, value: ({ run }) => initiator(run) },
  { header: "ELAPSED", rank: 3, value: ({ run }) => runTook(run) },
  { header: "LAST LINE", rank: 4, shrinkTo: 20, value: ({ problem, lastLine }) => problem ?? lastLine ?? "" },
];

function writer(output: Context["output"]): (event: ManyEvent) => void {
  return output.format === "json" || output.format === "jsonl" ? eventWriter(output) : lineWriter(output);
}

function eventWriter(output: Context["output"]): (event: ManyEvent) => void {
  return (event) => {
    const at = new Date();
    if (event.type === "totals") return output.event({ type: event.type, at, ...event.totals });
    const { run, state, lastLine, problem } = event.watched;
    const head = { type: event.type, runId: run.id, at };
    if (event.type === "output-line") return output.event({ ...head, line: lastLine });
    if (event.type === "trouble") return output.event({ ...head, message: problem });
    output.event({ ...head, state, problem, run });
  };
}

function lineWriter(output: Context["output"]): (event: ManyEvent) => void {
  return (event) => {
    if (event.type === "totals" || output.format !== "table") return;
    const { run, lastLine, problem } = event.watched;
    const user = run.userEmail ?? run.userId;
    const exit = run.exitCode === null ? "" : `exit code ${run.exitCode}`;
    const rest = { run: "", "output-line": lastLine, trouble: `asking again: ${problem}`, end: problem ?? exit };
    const what = event.type === "trouble" ? "no answer" : watchedWord(event.watched);
    // One change, one line, whatever the run wrote: `line` sanitizes what it is given.
    output.line([run.id, user, what, rest[event.type]].filter(Boolean).join("  ").replaceAll("\n", " "));
  };
}
