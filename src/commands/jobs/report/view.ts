import { REPORT_FIELDS, type FailureGroup, type JoinedShards, type Report } from "../../../bulk/report/report.ts";
import { slicesWords } from "../../../bulk/report/shards.ts";
import type { Detail, View } from "../../../terminal/rows.ts";
import { formatDuration } from "../../../terminal/time.ts";
import { promptDetails } from "../../shared/job/prompt-view.ts";
import { jobLines, stateColor, totalLines } from "../../shared/job/view.ts";

export const groupView: View<FailureGroup> = {
  shape: "failure-group",
  fields: ["signature", "state", "count", "samples"],
  id: ({ signature }) => signature,
  columns: () => [
    { header: "TARGETS", rank: 1, value: ({ count }) => String(count) },
    {
      header: "WHAT THEY HAVE IN COMMON",
      rank: 0,
      shrinkTo: 30,
      value: ({ signature }) => signature,
      color: ({ state }) => stateColor(state),
    },
    { header: "EXAMPLE", rank: 2, value: ({ samples: [first] }) => first?.runId ?? first?.named ?? "-" },
  ],
};

export const reportView: View<Report> = {
  shape: "report",
  fields: REPORT_FIELDS,
  id: ({ job }) => job.id,
  details: (report, when) => [
    ...jobLines(report.job, when),
    ...shardLines(report.shards),
    ...totalLines(report.totals),
    ...durationLines(report),
    ...promptDetails(report),
  ],
};

function durationLines({ durations: { count, p50Ms, p90Ms, maxMs } }: Report): Detail[] {
  if (p50Ms === null || p90Ms === null || maxMs === null) return [];
  const [half, most, longest] = [p50Ms, p90Ms, maxMs].map((ms) => formatDuration(ms, ms < 10_000 ? 100 : undefined));
  return [{ label: "took", value: `median ${half}, p90 ${most}, max ${longest} (${count} ended)` }];
}

function shardLines(shards: JoinedShards | null): Detail[] {
  return shards ? [{ label: "slices", value: slicesWords(shards) }] : [];
}
