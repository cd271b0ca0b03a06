import { runStatusWord, initiator, RUN_FIELDS, type Run } from "../../runs/run.ts";
import type { Color } from "../../terminal/paint.ts";
import type { Detail, View, When } from "../../terminal/rows.ts";
import { formatAgo, formatDuration } from "../../terminal/time.ts";

const COLORS = {
  pending: "cyan",
  pass: "green",
  fail: "red",
  cancel: "yellow",
  unknown: "magenta",
} as const satisfies Record<Run["bucket"], Color>;

/** The colour that stands for how a run is doing. */
export function runColor({ bucket }: Run): Color {
  return COLORS[bucket];
}

/** How long a run took, or has been running until now, by the platform's clock. */
export function runTook({ durationMs, startedAt }: Run, now: Date): string {
  return formatDuration(durationMs ?? now.getTime() - startedAt.getTime());
}

/** The run's prompt in one line. */
export function promptLine({ prompt }: Run): string {
  return prompt.replaceAll(/\s+/g, " ").trim();
}

/** A number of runs in words. */
export function runCount(n: number): string {
  return n === 1 ? "1 run" : `${n} runs`;
}

function startedBy(run: Run, now: Date): string {
  return `${initiator(run)}, ${formatAgo(run.startedAt, now)}`;
}

/** Runs that are about to be changed: whose they are and who started them. One at length, several a line each. */
export function runLines(runs: readonly Run[], now: Date): Detail[] {
  const [run] = runs;
  if (run && runs.length === 1) {
    return [
      { label: "run", value: run.id },
      { label: "user", value: run.userEmail ?? run.userId },
      { label: "instance", value: run.instanceId ?? "-" },
      { label: "started by", value: startedBy(run, now) },
    ];
  }
  return runs.map((each) => lineOf(each, now));
}

function lineOf(run: Run, now: Date): Detail {
  const { id, userEmail, userId, instanceId } = run;
  return {
    label: id,
    value: `${userEmail ?? userId}, instance ${instanceId ?? "-"}, started by ${startedBy(run, now)}`,
  };
}

/** In characters: what a question shows of a prompt, also where no terminal has a width. */
const MAX_PROMPT = 200;

function promptStart(run: Run): string {
  const characters = [...promptLine(run)];
  return characters.length > MAX_PROMPT ? `${characters.slice(0, MAX_PROMPT).join("")}…` : characters.join("");
}

/** As {@link runLines}, with what each run was started for. */
export function runLinesWithPrompts(runs: readonly Run[], now: Date): Detail[] {
  const [run] = runs;
  if (run && runs.length === 1) return [...runLines(runs, now), { label: "prompt", value: promptStart(run) }];
  return runs.flatMap((each): Detail[] => [
    { ...lineOf(each, now), wraps: true },
    { label: "", value: promptStart(each) },
  ]);
}

export const runView: View<Run> = {
  shape: "run",
  fields: RUN_FIELDS,
  id: ({ id }) => id,
  columns: (when: When, now) => [
    { header: "STATUS", rank: 1, value: runStatusWord, color: runColor },
    { header: "RUN", rank: 0, id: true, value: ({ id }) => id },
    { header: "USER", rank: 2, shrinkTo: 14, tells: true, value: ({ userEmail, userId }) => userEmail ?? userId },
    { header: "STARTED", rank: 6, value: ({ startedAt }) => when(startedAt) },
    { header: "TOOK", rank: 7, value: (run) => runTook(run, now()) },
    { header: "EXIT", rank: 4, value: ({ exitCode }) => (exitCode === null ? "-" : String(exitCode)) },
    { header: "BY", rank: 5, shrinkTo: 8, value: initiator },
    { header: "INSTANCE", rank: 8, id: true, spare: true, value: ({ instanceId }) => instanceId ?? "-" },
    { header: "PROMPT", rank: 3, shrinkTo: 16, enough: 30, tells: true, value: promptLine },
  ],
  details: (run, when, now) => [
    { label: "run", value: run.id },
    { label: "status", value: statusText(run), color: runColor(run) },
    { label: "user", value: run.userEmail ? `${run.userEmail} (${run.userId})` : run.userId },
    { label: "instance", value: run.instanceId ?? "-" },
    { label: "started by", value: initiator(run) },
    { label: "started", value: when(run.startedAt) },
    { label: "ended", value: when(run.completedAt) },
    { label: run.completedAt ? "took" : "running for", value: runTook(run, now()) },
    { label: "prompt", value: run.prompt },
  ],
};

function statusText(run: Run): string {
  if (run.outcomeUnknown) return "unknown: the machine lost this run";
  return run.exitCode === null ? run.status : `${run.status}, exit code ${run.exitCode}`;
}
