/** What a job and its targets look like. */
import { ITEM_STATES, type ItemState, type Tone } from "../../../bulk/item-state.ts";
import { SUMMARY_FIELDS, type JobSummary } from "../../../bulk/job/summary.ts";
import { ITEM_FIELDS, type ReportedItem } from "../../../bulk/report/report.ts";
import type { Color } from "../../../terminal/paint.ts";
import type { View } from "../../../terminal/rows.ts";
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
  fields: ITEM_FIELDS,
  id: ({ runId }) => runId ?? "-",
  columns: () => [
    { header: "#", rank: 5, value: ({ index }) => String(index) },
    { header: "STATE", rank: 1, value: ({ state }) => state, color: ({ state }) => stateColor(state) },
    { header: "RUN", rank: 0, value: ({ runId }) => runId ?? "-" },
    { header: "USER", rank: 2, shrinkTo: 14, value: ({ userEmail, named }) => userEmail ?? named },
    { header: "TOOK", rank: 6, value: ({ durationMs }) => (durationMs === null ? "-" : formatDuration(durationMs)) },
    { header: "EXIT", rank: 4, value: ({ exitCode }) => (exitCode === null ? "-" : String(exitCode)) },
    { header: "WHY", rank: 3, shrinkTo: 20, value: ({ problem }) => problem ?? "-" },
  ],
};

export const jobArgument = "job ID, a unique beginning of it, or @latest";

const STATE_COLORS: Readonly<Record<string, Color>> = { running: "cyan", stopped: "yellow", open: "magenta" };

export const summaryView: View<JobSummary> = {
  fields: SUMMARY_FIELDS,
  id: ({ id }) => id,
  columns: (when) => [
    { header: "STATE", rank: 1, value: ({ state }) => state, color: ({ state }) => STATE_COLORS[state] },
    { header: "JOB", rank: 0, value: ({ id }) => id },
    { header: "BEGAN", rank: 3, value: ({ createdAt }) => when(createdAt) },
    { header: "TARGETS", rank: 2, value: ({ total }) => String(total) },
    { header: "STARTED", rank: 4, value: ({ started }) => String(started) },
    { header: "COMPLETED", rank: 5, value: ({ succeeded }) => String(succeeded) },
    {
      header: "FAILED",
      rank: 6,
      value: ({ failed }) => String(failed),
      color: ({ failed }) => (failed > 0 ? "red" : undefined),
    },
    { header: "CANCELLED", rank: 9, value: ({ cancelled }) => String(cancelled) },
    {
      header: "UNKNOWN",
      rank: 7,
      value: ({ unknown }) => String(unknown),
      color: ({ unknown }) => (unknown > 0 ? "magenta" : undefined),
    },
    { header: "SKIPPED", rank: 8, value: ({ skipped }) => String(skipped) },
    { header: "PROFILE", rank: 10, value: ({ profile }) => profile },
  ],
};
