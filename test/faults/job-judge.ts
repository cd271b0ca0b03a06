/** What a job says of its targets, held against the platform's rows. */
import type { Row } from "../harness.ts";
import type { Reported } from "./operator.ts";

export const WRONGS = ["double start", "lost ID", "wrong outcome", "false denial"] as const;
type Wrong = (typeof WRONGS)[number];

export interface Problem {
  readonly kind: Wrong;
  readonly text: string;
}

/** Says that there is no run of the job. */
export const DENIES: readonly Reported["state"][] = [
  ...(["waiting", "starting", "refused", "skipped", "conflict", "machine-down", "unplanned"] as const),
];

export interface Evidence {
  readonly items: readonly Reported[];
  /** The rows of the job's instances. */
  readonly rows: readonly Row[];
  /** The instance of each start request that was sent. */
  readonly starts: readonly string[];
  /** Nothing is under way any more: each ID and each outcome has to be there. */
  readonly over: boolean;
}

/** What is wrong with a report. `unknown` is never wrong before everything is over. */
export function judge({ items, rows, starts, over }: Evidence): Problem[] {
  const problems: Problem[] = [];
  const blame = (kind: Wrong, text: string) => void problems.push({ kind, text: `${kind}: ${text}` });
  const requests = countBy(starts);
  const ofInstance = new Map<string, Row[]>();
  for (const row of rows) {
    const id = row.instance_id ?? "";
    ofInstance.set(id, [...(ofInstance.get(id) ?? []), row]);
  }
  for (const item of items) {
    const id = item.instanceId ?? "";
    const [row, ...more] = ofInstance.get(id) ?? [];
    const said = `${item.named} is ${JSON.stringify(item)}`;
    const sent = requests.get(id) ?? 0;
    if (sent > 1 || more.length > 0) {
      blame("double start", `${sent} requests and ${row ? more.length + 1 : 0} runs; ${said}`);
    }
    if (!row) {
      if (item.runId !== null) blame("wrong outcome", `there is no run; ${said}`);
      continue;
    }
    const { id: runId, status, exit_code: exitCode } = row;
    if (DENIES.includes(item.state)) {
      // Said to be in the way, with its ID: so it may look when its start was doubled on the way.
      if (!item.problem?.includes(runId)) blame("false denial", `there is the run ${runId}; ${said}`);
    } else if (item.state === "unknown" ? over : item.runId !== runId) {
      blame("lost ID", `its run is ${runId}; ${said}`);
    } else if (over && (item.state !== status || item.exitCode !== exitCode)) {
      blame("wrong outcome", `its run is ${status} with ${exitCode}; ${said}`);
    }
  }
  const known = new Set(items.map(({ instanceId }) => instanceId));
  for (const row of rows) if (!known.has(row.instance_id)) blame("lost ID", `nothing is said of the run ${row.id}`);
  return problems;
}

function countBy(words: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/** Rows of figures under their names, for people. */
export function figuresTable(rows: readonly Readonly<Record<string, string | number>>[]): string {
  const names = Object.keys(rows[0] ?? {});
  const lines = [names, ...rows.map((row) => names.map((name) => String(row[name] ?? "")))];
  const widths = names.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  return lines.map((line) => line.map((cell, at) => cell.padStart(widths[at] ?? 0)).join("  ")).join("\n");
}
