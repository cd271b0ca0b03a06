import type { JobEvent } from "../../../bulk/execute/job-event.ts";
import { totalsWords } from "../../../bulk/item-state.ts";
import type { Item } from "../../../bulk/item.ts";
import { reportItem } from "../../../bulk/report/report.ts";
import type { Context } from "../../../context.ts";
import { withoutColors } from "../../../terminal/sanitize.ts";
import type { Column } from "../../../terminal/table.ts";
import { formatDuration } from "../../../terminal/time.ts";
import { command, hint, type Hint } from "../../../typed-command.ts";
import type { JobTally } from "./tally.ts";
import { type UnderWay } from "./tally.ts";
import { itemView, stateColor } from "./view.ts";

const TICK_MS = 1_000;
/** A screen has no room for more; they need not even be sorted. */
const MAX_ROWS = 200;
const MAX_GROUPS = 3;
const MAX_LEFT = 20;

/** @param now the platform's time. */
const columnsOf = (now: () => Date): readonly Column<UnderWay>[] => [
  { header: "STATE", rank: 1, value: ({ item }) => item.state, color: ({ item }) => stateColor(item.state) },
  { header: "RUN", rank: 0, id: true, value: ({ item }) => item.runId ?? "-" },
  {
    header: "USER",
    rank: 2,
    shrinkTo: 14,
    tells: true,
    value: ({ item: { target } }) => target.userEmail ?? target.named,
  },
  { header: "INSTANCE", rank: 5, id: true, spare: true, value: ({ item }) => item.target.instanceId ?? "-" },
  { header: "ELAPSED", rank: 4, value: (one) => formatDuration(elapsedMs(one, now())) },
  { header: "LAST LINE", rank: 3, shrinkTo: 20, enough: 40, tells: true, value: lastWords },
];

/** How long its run has been going on, whichever command started it; before there is one, how long its start has. */
function elapsedMs({ item, since }: UnderWay, now: Date): number {
  return item.startedAt ? now.getTime() - item.startedAt.getTime() : Date.now() - since;
}

/** What there is to say of a target right now. The colours of a run's output would be lost in a table. */
function lastWords({ item, line }: UnderWay): string {
  return item.problem ?? withoutColors(line ?? "");
}

/** Shows a job while it is done: a live table to a person, a line or an event for each change elsewhere. */
export interface JobScreen {
  show(event: JobEvent): void;
  /** The job is over: what was drawn makes way for what is left to do, and data that comes as a whole is written. */
  end(items: readonly Item[]): Promise<void>;
}

/** The screen for the format that was asked for. */
export async function openScreen(
  { output, stop }: Pick<Context, "output" | "stop">,
  id: string,
  tally: JobTally,
): Promise<JobScreen> {
  const leaving = () => output.typed(stop.aborted ? LEAVING : whatCtrlCDoes(id));
  const live = await output.live(columnsOf(output.now), () => frame(id, tally, leaving()));
  if (live) {
    const ticking = setInterval(() => live.refresh(), TICK_MS);
    return {
      show: () => live.refresh(),
      end: async (items) => {
        clearInterval(ticking);
        live.end();
        await listOpen(output, items);
      },
    };
  }
  switch (output.format) {
    case "jsonl":
      return { show: (event) => writeEvent(output, event), end: async () => undefined };
    case "table":
      return { show: (event) => writeLine(output, event), end: async () => undefined };
    case "id":
      return { show: idWriter(output), end: async () => undefined };
    case "json":
    case "yaml":
    case "csv":
      return { show: () => undefined, end: (items) => output.list(items.map(reportItem), itemView, "") };
  }
}

/** Leaves on the screen the targets that somebody has to look at. */
async function listOpen(output: Context["output"], items: readonly Item[]): Promise<void> {
  const open = items.map(reportItem).filter(({ signature }) => signature !== null);
  if (open.length > 0) await output.list(open.slice(0, MAX_LEFT), itemView, "");
  if (open.length > MAX_LEFT) output.note(`… and ${open.length - MAX_LEFT} more`);
}

/** Those that have been at it for longest on top. */
function frame(id: string, tally: JobTally, leaving: string) {
  const rows: UnderWay[] = [];
  for (const one of tally.underWay.values()) if (rows.push(one) === MAX_ROWS) break;
  return {
    rows,
    rest: (left: readonly UnderWay[]) => `… and ${tally.underWay.size - rows.length + left.length} more under way`,
    foot: [...groupLines(tally), footLine(id, tally), leaving],
  };
}

const LEAVING = "stopping: waiting for starts that are under way; the runs go on. Ctrl-C again: exit at once";

function whatCtrlCDoes(id: string): Hint {
  return hint`Ctrl-C is safe: no more starts, and the runs go on; resume with ${command("jobs resume", id.slice(0, 8))}`;
}

/** What has gone wrong so far, by what it has in common. */
function groupLines(tally: JobTally): string[] {
  return tally.groups(MAX_GROUPS).map(({ signature, count }) => `${count} × ${signature}`);
}

function footLine(id: string, tally: JobTally): string {
  const { total, decided, pace, stopping, eta } = tally;
  return [
    `job ${id.slice(0, 8)}: ${decided} of ${total} done`,
    countsWords(tally),
    ...(tally.rate > 0 ? [`${tally.rate.toFixed(1)} starts a second`] : []),
    ...(eta === undefined || stopping !== undefined ? [] : [`last start in about ${eta}`]),
    ...(pace ? [paceWords(pace)] : []),
    ...(stopping === undefined ? [] : [`no more starts: ${stopping}`]),
  ].join(" · ");
}

/** How many targets there are in each state, in a line. */
export function countsWords(tally: JobTally): string {
  return totalsWords(tally.totals);
}

function paceWords({ limit, pausedMs }: Extract<JobEvent, { type: "pace" }>): string {
  const pause = pausedMs > 0 ? `paused for ${formatDuration(pausedMs)}, then ` : "";
  return `${pause}${limit} at a time`;
}

function writeEvent(output: Context["output"], event: JobEvent): void {
  const at = new Date();
  switch (event.type) {
    case "item":
      return output.event({ type: event.type, at, ...reportItem(event.item) });
    case "output-line": {
      const { target, runId } = event.item;
      return output.event({ type: event.type, at, index: target.index, runId, line: event.line });
    }
    case "adopted":
      return output.event({ type: event.type, at, index: event.item.target.index, runId: event.item.runId });
    case "sent":
    case "run-end":
      return;
    default:
      output.event({ ...event, at });
  }
}

function writeLine(output: Context["output"], event: JobEvent): void {
  switch (event.type) {
    case "item": {
      const { target, state, runId, problem, exitCode } = event.item;
      if (state === "starting" || (state === "waiting" && problem === null)) return;
      const exit = exitCode === null ? null : `exit code ${exitCode}`;
      const parts = [runId ?? "-", target.userEmail ?? target.named, state, exit, problem];
      // One change, one line: `line` sanitizes what it is given.
      return output.line(parts.filter(Boolean).join("  ").replaceAll("\n", " "));
    }
    case "pace":
      return output.note(`${paceWords(event)}: the platform is throttling, is slow, or has recovered`);
    case "canary-passed":
      return output.note("the canary's runs completed; starting the others");
    case "stopping":
      return output.note(`no more starts: ${event.why}`);
  }
}

/** Writes the ID of each run once it is known. */
function idWriter(output: Context["output"]): (event: JobEvent) => void {
  const seen = new Set<number>();
  return (event) => {
    if (event.type !== "item" || event.item.runId === null || seen.has(event.item.target.index)) return;
    seen.add(event.item.target.index);
    output.line(event.item.runId);
    void output.ensureKnown(event.item.runId);
  };
}
