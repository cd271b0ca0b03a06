import type { JobEvent } from "../../../bulk/execute/job-event.ts";
import { ITEM_STATES, totalsWords } from "../../../bulk/item-state.ts";
import type { Item } from "../../../bulk/item.ts";
import { reportItem } from "../../../bulk/report/report.ts";
import type { Context } from "../../../context.ts";
import { withoutColors } from "../../../terminal/sanitize.ts";
import type { Column } from "../../../terminal/table.ts";
import { formatDuration } from "../../../terminal/time.ts";
import { command, hint, type Hint } from "../../../typed-command.ts";
import type { ActionContext } from "../run-table/actions.ts";
import type { TableKeysOptions } from "../run-table/keys.ts";
import { openRunTable, type RunTable } from "../run-table/table.ts";
import type { JobTally, UnderWay } from "./tally.ts";
import { itemView, stateColor } from "./view.ts";

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
    value: whose,
  },
  { header: "INSTANCE", rank: 5, id: true, spare: true, value: ({ item }) => item.target.instanceId ?? "-" },
  { header: "ELAPSED", rank: 4, value: (one) => formatDuration(elapsedMs(one, now())) },
  { header: "LAST LINE", rank: 3, shrinkTo: 20, enough: 40, tells: true, value: lastWords },
];

/** How long its run has been going on, whichever command started it; before there is one, how long its start has. */
function elapsedMs({ item: { startedAt, completedAt }, since }: UnderWay, now: Date): number {
  return startedAt ? (completedAt ?? now).getTime() - startedAt.getTime() : Date.now() - since;
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

/** A job that is shown. */
interface ShownJob {
  readonly id: string;
  readonly tally: JobTally;
  /** One for each target, as they are now. */
  readonly items: readonly Item[];
}

/** Somebody who looks at a job that another process works on. */
interface Onlooker {
  /** Called when the table is left. */
  readonly leave: () => void;
  /** Throws where nothing can be done with the job's runs from here. */
  readonly check: () => Promise<void>;
}

/** The screen for the format that was asked for. @param onlooker absent: this process works on the job. */
export async function openScreen(context: ActionContext, job: ShownJob, onlooker?: Onlooker): Promise<JobScreen> {
  const { output, stop } = context;
  let left = false;
  const looking = onlooker && { hint: () => LOOKING, leaving: "leave; the job goes on", ...onlooker };
  const table = await openJobTable(
    context,
    job,
    looking ?? {
      hint: () => output.typed(stop.aborted ? LEAVING : whatCtrlCDoes(job.id)),
      leaving: "leave the table; the job goes on, a line per change",
      leave: () => {
        left = true;
        void table?.end();
        output.note(whatCtrlCDoes(job.id));
      },
    },
  );
  if (table) {
    return {
      show: (event) => (left ? writeLine(output, event) : table.refresh()),
      end: async (items) => {
        await table.end();
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

/** What goes on with a job's table besides the job. */
interface JobTableOptions extends Pick<TableKeysOptions<UnderWay>, "leaving" | "leave" | "check"> {
  /** Its last line: what Ctrl-C does. */
  readonly hint: () => string;
}

/**
 * A live table of a job: the targets that are under way, and of all those that are looked for.
 *
 * @returns `undefined` where nothing can be redrawn.
 */
function openJobTable(
  context: ActionContext,
  { id, tally, items }: ShownJob,
  { hint, ...keys }: JobTableOptions,
): Promise<RunTable | undefined> {
  return openRunTable(context, {
    columns: columnsOf(context.output.now),
    rows: (narrowed) =>
      narrowed
        ? items.map((item) => tally.underWay.get(item.target.index) ?? { item, since: Date.now(), line: null })
        : [...tally.underWay.values()],
    foot: () => [...groupLines(tally), footLine(id, tally), hint()],
    rest: (left) => `… and ${left.length} more${left.every(({ item }) => isUnderWay(item)) ? " under way" : ""}`,
    id: ({ item }) => String(item.target.index),
    text: (row) => {
      const { state, runId, target } = row.item;
      return [state, runId ?? "", whose(row), target.userId ?? "", target.instanceId ?? ""].join(" ");
    },
    isFailure: ({ item }) => hasFailed(item),
    // Those that have been at it for longest on top.
    orders: [
      { name: "longest under way first", compare: () => 0 },
      { name: "by state", compare: (a, b) => a.item.state.localeCompare(b.item.state) },
      { name: "by customer", compare: (a, b) => whose(a).localeCompare(whose(b)) },
    ],
    run: (row) =>
      row.item.runId === null ? undefined : { id: row.item.runId, customer: whose(row), failed: hasFailed(row.item) },
    ...keys,
  });
}

function whose({ item: { target } }: UnderWay): string {
  return target.userEmail ?? target.named;
}

function hasFailed({ state }: Item): boolean {
  return ITEM_STATES[state].isError;
}

function isUnderWay({ state }: Item): boolean {
  return state === "starting" || state === "running";
}

const LOOKING = "Ctrl-C or q: leave; the job goes on";

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
