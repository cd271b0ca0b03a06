/** What many watched runs look like: a row of the live table, a line. */
import type { Context } from "../../../context.ts";
import { runStatusWord, initiator } from "../../../runs/run.ts";
import { kindOf, type ManyEvent, type Totals, type Watched } from "../../../runs/watch/watched.ts";
import type { Color } from "../../../terminal/paint.ts";
import { isStructured } from "../../../terminal/rows.ts";
import { withoutColors } from "../../../terminal/sanitize.ts";
import type { ListRules, Ordering } from "../../../terminal/selectable-list.ts";
import type { Column } from "../../../terminal/table.ts";
import { formatAgo } from "../../../terminal/time.ts";
import type { TableKeysOptions } from "../../shared/run-table/keys.ts";
import { runColor, runCount, runTook } from "../../shared/run-view.ts";
import { eventWriter } from "./events.ts";

export type Order = Ordering<Watched>;

const byStart: Order["compare"] = (a, b) => b.run.startedAt.getTime() - a.run.startedAt.getTime();
const whose = ({ run }: Watched) => run.userEmail ?? run.userId;

/** Those started last on top. */
export const newestFirst: Order = { name: "newest first", compare: byStart };

/** Running ones first, those started last on top. */
export const runningFirst: Order = {
  name: "running first",
  compare: (a, b) => Number(a.state !== "running") - Number(b.state !== "running") || byStart(a, b),
};

/** Or its outcome is unknown. */
const hasFailed = (watched: Watched) => ["failed", "unknown"].includes(kindOf(watched));

const oldestFirst: Order = { name: "oldest first", compare: (a, b) => byStart(b, a) };
const byCustomer: Order = { name: "by customer", compare: (a, b) => whose(a).localeCompare(whose(b)) || byStart(a, b) };

/** How many runs are looked at in a table. `order`: the one to begin with. */
export function manyRules(order: Order): ListRules<Watched> & Pick<TableKeysOptions<Watched>, "run"> {
  return {
    id: ({ run }) => run.id,
    text: (watched) => {
      const { id, userId, instanceId } = watched.run;
      return [watchedWord(watched), id, whose(watched), userId, instanceId ?? ""].join(" ");
    },
    isFailure: hasFailed,
    orders: [order, ...[runningFirst, newestFirst, oldestFirst, byCustomer].filter((other) => other !== order)],
    run: (watched) => ({ id: watched.run.id, customer: whose(watched), failed: hasFailed(watched) }),
  };
}

/** A watched run's status in a word, or two where the row says less than is known. */
function watchedWord({ state, run }: Watched): string {
  if (state === "machine-down") return "machine down";
  return state === "given-up" ? "no answer" : runStatusWord(run);
}

/** The totals in a line: what there is none of is left out. */
export function totalsLine(totals: Totals): string {
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
  const all = runCount(keys.reduce((sum, key) => sum + totals[key], 0));
  return parts.length > 0 ? `${all}: ${parts.join(", ")}` : "no runs";
}

/** What stands for rows that the terminal has no room for. */
export function restLine(left: readonly Watched[]): string {
  const running = left.filter(({ state }) => state === "running").length;
  const ended = left.length - running;
  const parts = [...(running > 0 ? [`${running} more running`] : []), ...(ended > 0 ? [`${ended} more ended`] : [])];
  return `… and ${parts.join(", ")}`;
}

/** What there is to say of a run right now. The colours of its output would be lost in a table. */
function lastWords({ problem, lastLine }: Watched): string {
  return problem ?? withoutColors(lastLine ?? "");
}

function watchedColor({ state, run }: Watched): Color {
  return state === "machine-down" || state === "given-up" ? "yellow" : runColor(run);
}

/** @param now the platform's time. */
export const manyColumns = (now: () => Date): readonly Column<Watched>[] => [
  { header: "STATUS", rank: 1, value: watchedWord, color: watchedColor },
  { header: "RUN", rank: 0, id: true, value: ({ run }) => run.id },
  { header: "USER", rank: 2, shrinkTo: 14, tells: true, value: ({ run }) => run.userEmail ?? run.userId },
  { header: "INSTANCE", rank: 7, id: true, spare: true, value: ({ run }) => run.instanceId ?? "-" },
  { header: "BY", rank: 5, shrinkTo: 8, spare: true, value: ({ run }) => initiator(run) },
  { header: "ELAPSED", rank: 4, value: ({ run }) => runTook(run, now()) },
  {
    header: "ENDED",
    rank: 6,
    spare: true,
    value: ({ run }) => (run.completedAt ? formatAgo(run.completedAt, now()) : ""),
  },
  { header: "LAST LINE", rank: 3, shrinkTo: 20, enough: 40, tells: true, value: lastWords },
];

/** Writes events where no table can follow them. */
export function writer(output: Context["output"]): (event: ManyEvent) => void {
  return isStructured(output.format) ? eventWriter(output) : lineWriter(output);
}

/** Writes each run's ID, once. */
export function idWriter(output: Context["output"]): (event: ManyEvent) => void {
  const seen = new Set<string>();
  return (event) => {
    if (event.type === "totals" || seen.has(event.watched.run.id)) return;
    seen.add(event.watched.run.id);
    output.line(event.watched.run.id);
  };
}

function lineWriter(output: Context["output"]): (event: ManyEvent) => void {
  return (event) => {
    if (event.type === "totals" || output.format !== "table") return;
    const { run, lastLine, problem } = event.watched;
    const user = run.userEmail ?? run.userId;
    const killed = run.status === "failed" && !run.outcomeUnknown ? "killed by a signal, or could not be started" : "";
    const exit = run.exitCode === null ? killed : `exit code ${run.exitCode}`;
    const rest = {
      run: "",
      "output-line": withoutColors(lastLine ?? ""),
      trouble: `asking again: ${problem}`,
      end: problem ?? exit,
    };
    const what = event.type === "trouble" ? "no answer" : watchedWord(event.watched);
    // One change, one line, whatever the run wrote: `line` sanitizes what it is given.
    output.line([run.id, user, what, rest[event.type]].filter(Boolean).join("  ").replaceAll("\n", " "));
  };
}
