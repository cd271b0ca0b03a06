import { STATES_IN_ORDER } from "../../../bulk/item-state.ts";
import { REPORT_FIELDS, type FailureGroup, type Report } from "../../../bulk/report/report.ts";
import type { Detail, View, When } from "../../../terminal/rows.ts";
import { formatDuration } from "../../../terminal/time.ts";
import { stateColor } from "../../shared/job/view.ts";

export const groupView: View<FailureGroup> = {
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
    { header: "SUCH AS", rank: 2, value: ({ samples: [first] }) => first?.runId ?? first?.named ?? "-" },
  ],
};

export const reportView: View<Report> = {
  fields: REPORT_FIELDS,
  id: ({ job }) => job.id,
  details: (report, when) => [...jobLines(report, when), ...stateLines(report), ...durationLines(report)],
};

function jobLines({ job }: Report, when: When): Detail[] {
  const continued = job.invocations > 1 ? `${job.state}, after ${job.invocations} commands` : job.state;
  return [
    { label: "job", value: job.id },
    { label: "state", value: continued },
    { label: "platform", value: `${job.profile} (${job.origin})` },
    { label: "started by", value: job.adminId ?? "-" },
    { label: "ticket", value: job.ticket ?? "-" },
    { label: "reason", value: job.reason ?? "-" },
    { label: "began", value: when(job.createdAt) },
    { label: "ended", value: when(job.endedAt) },
    { label: "targets", value: String(job.total) },
  ];
}

function stateLines({ totals }: Report): Detail[] {
  return STATES_IN_ORDER.filter((state) => totals[state] > 0).map((state) => ({
    label: `  ${state}`,
    value: String(totals[state]),
    color: stateColor(state),
  }));
}

function durationLines({ durations: { count, p50Ms, p90Ms, maxMs } }: Report): Detail[] {
  if (p50Ms === null || p90Ms === null || maxMs === null) return [];
  const [half, most, longest] = [p50Ms, p90Ms, maxMs].map(formatDuration);
  return [
    { label: "took", value: `half up to ${half}, nine of ten up to ${most}, the longest ${longest} (${count} ended)` },
  ];
}
