/** What a job and its targets look like. */
import {
  ITEM_STATES,
  STATES_IN_ORDER,
  totalsWords,
  type ItemState,
  type Tone,
  type Totals,
} from "../../../bulk/item-state.ts";
import { SUMMARY_FIELDS, type JobSummary } from "../../../bulk/job/summary.ts";
import { ITEM_FIELDS, type JobFacts, type ReportedItem } from "../../../bulk/report/report.ts";
import type { Color } from "../../../terminal/paint.ts";
import type { Detail, View, When } from "../../../terminal/rows.ts";
import { formatDuration } from "../../../terminal/time.ts";

const COLORS = {
  good: "green",
  going: "cyan",
  bad: "red",
  unsure: "magenta",
  stopped: "yellow",
  left: "dim",
} as const satisfies Record<Tone, Color>;

/** The colour that stands for how a target is doing. */
export function stateColor(state: ItemState): Color {
  return COLORS[ITEM_STATES[state].tone];
}

export const itemView: View<ReportedItem> = {
  shape: "target",
  fields: ITEM_FIELDS,
  id: ({ runId }) => runId ?? "-",
  columns: () => [
    { header: "#", rank: 5, value: ({ index }) => String(index) },
    { header: "STATE", rank: 1, value: ({ state }) => state, color: ({ state }) => stateColor(state) },
    { header: "RUN", rank: 0, id: true, value: ({ runId }) => runId ?? "-" },
    { header: "USER", rank: 2, shrinkTo: 14, tells: true, value: ({ userEmail, named }) => userEmail ?? named },
    { header: "TOOK", rank: 6, value: ({ durationMs }) => (durationMs === null ? "-" : formatDuration(durationMs)) },
    { header: "EXIT", rank: 4, value: ({ exitCode }) => (exitCode === null ? "-" : String(exitCode)) },
    { header: "WHY", rank: 3, shrinkTo: 20, enough: 40, tells: true, value: ({ problem }) => problem ?? "-" },
  ],
};

export const jobArgument = "job ID, a unique prefix, or @latest";

const STATE_COLORS: Readonly<Record<string, Color>> = { running: "cyan", stopped: "yellow", open: "magenta" };

export const summaryView: View<JobSummary> = {
  shape: "job",
  fields: SUMMARY_FIELDS,
  id: ({ id }) => id,
  columns: (when) => [
    { header: "STATE", rank: 1, value: stateWords, color: ({ state }) => STATE_COLORS[state] },
    { header: "JOB", rank: 0, id: true, value: ({ id }) => id },
    { header: "BEGAN", rank: 3, value: ({ createdAt }) => when(createdAt) },
    { header: "TARGETS", rank: 2, value: ({ total }) => String(total) },
    // The words of the report and of the summary, and as many targets.
    { header: "OUTCOME", rank: 4, shrinkTo: 20, value: ({ totals }) => totalsWords(totals), color: outcomeColor },
    { header: "TICKET", rank: 6, spare: true, value: ({ ticket }) => ticket ?? "-" },
    { header: "BY", rank: 7, spare: true, shrinkTo: 14, value: ({ adminEmail }) => adminEmail ?? "-" },
    { header: "PROFILE", rank: 5, value: ({ profile }) => profile },
  ],
};

/** How a job is doing. One that nobody works on, and that did not end in order, lost its process. */
function stateWords({ state, endedAt }: Pick<JobFacts, "state" | "endedAt">): string {
  return endedAt === null && (state === "stopped" || state === "open") ? `${state}: its process died` : state;
}

/** What a person has to see of a job whose targets have become different things. */
function outcomeColor({ totals }: JobSummary): Color | undefined {
  const tones = STATES_IN_ORDER.filter((state) => totals[state] > 0).map((state) => ITEM_STATES[state].tone);
  const worst = (["bad", "unsure"] as const).find((tone) => tones.includes(tone));
  return worst && COLORS[worst];
}

/** What a job is, whatever became of its targets. */
export function jobLines(job: JobFacts, when: When): Detail[] {
  const continued = job.invocations > 1 ? `${stateWords(job)}, after ${job.invocations} commands` : stateWords(job);
  return [
    { label: "job", value: job.id },
    { label: "state", value: continued },
    { label: "platform", value: `${job.profile} (${job.origin})` },
    { label: "started by", value: job.adminEmail ?? job.adminId ?? "-" },
    { label: "ticket", value: job.ticket ?? "-" },
    { label: "reason", value: job.reason ?? "-" },
    ...(job.playbook === null ? [] : [{ label: "playbook", value: `${job.playbook} (SHA-256 ${job.playbookSha256})` }]),
    { label: "began", value: when(job.createdAt) },
    { label: "ended", value: when(job.endedAt) },
    ...(job.state === "done" ? [] : [{ label: "as of", value: when(job.asOf) }]),
    { label: "targets", value: String(job.total) },
  ];
}

/** How many targets there are in each state that there are any in. */
export function totalLines(totals: Totals): Detail[] {
  return STATES_IN_ORDER.filter((state) => totals[state] > 0).map((state) => ({
    label: `  ${state}`,
    value: String(totals[state]),
    color: stateColor(state),
  }));
}
