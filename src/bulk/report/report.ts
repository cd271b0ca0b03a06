import type * as z from "zod";
/** What became of a job, added up. */
import { withoutTokens } from "../../secrets.ts";
import type { failureGroupShape, reportShape, targetShape } from "../../shapes/job.ts";
import type { ExamplePrompt, PromptTemplate } from "../input/prompt-template.ts";
import { totalsOf, type ItemState, type Totals } from "../item-state.ts";
import type { Item } from "../item.ts";
import { distribution, durationFigures, type Durations, type HistogramBucket } from "./durations.ts";
import { signatureOf } from "./signature.ts";
import { timelineOf, type TimelineBucket } from "./timeline.ts";

/** A job, whatever its targets. The names are the JSON output's: a public interface. */
export interface JobFacts {
  readonly id: string;
  readonly profile: string;
  readonly origin: string;
  /** The ID of the sandbox that it is of; `null` on any other platform. */
  readonly sandbox: string | null;
  readonly ticket: string | null;
  readonly reason: string | null;
  readonly adminId: string | null;
  /** The admin's e-mail address; `null` where it is not on record. */
  readonly adminEmail: string | null;
  /** In a word, such as `running`. */
  readonly state: string;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
  readonly total: number;
  /** How often a command worked on it: one more than it was resumed. */
  readonly invocations: number;
  /** What it says of runs in progress is as of then. */
  readonly asOf: Date;
  /** The playbook that its prompt comes from, and the hash of its file. */
  readonly playbook: string | null;
  readonly playbookSha256: string | null;
}

/** A target as it is reported. The names are the machine formats': a public interface. Texts may come from elsewhere. */
export type ReportedItem = Readonly<z.output<typeof targetShape>>;

/** The order of the columns: new ones go to the end. */
export const ITEM_FIELDS = [
  "index",
  "line",
  "named",
  "state",
  "runId",
  "userId",
  "userEmail",
  "instanceId",
  "startedAt",
  "completedAt",
  "durationMs",
  "exitCode",
  "attached",
  "signature",
  "problem",
] as const satisfies readonly (keyof ReportedItem)[];

/** Failures that have their signature in common. */
export type FailureGroup = Readonly<z.output<typeof failureGroupShape>>;

/** The slices of a list that are reported together. */
export type JoinedShards = Readonly<NonNullable<z.output<typeof reportShape>["shards"]>>;

export interface Report {
  readonly job: JobFacts;
  readonly totals: Totals;
  /** Of the runs that have ended. */
  readonly durations: Durations;
  readonly histogram: readonly HistogramBucket[];
  readonly timeline: readonly TimelineBucket[];
  /** The largest first. */
  readonly groups: readonly FailureGroup[];
  /** Every target, in the plan's order. */
  readonly items: readonly ReportedItem[];
  /** As it was written, with its `{{fields}}`. */
  readonly prompt: string;
  /** The same for one target; `null` where it is the same for all. */
  readonly example: ExamplePrompt | null;
  /** `null`: the job is no slice. */
  readonly shards: JoinedShards | null;
}

export const REPORT_FIELDS = [
  "job",
  "totals",
  "durations",
  "histogram",
  "timeline",
  "groups",
  "items",
  "prompt",
  "example",
  "shards",
] as const satisfies readonly (keyof Report)[];

const MAX_SAMPLES = 5;

/** Adds a job up. Takes memory in proportion to its items, and looks at each a fixed number of times, sorting aside. */
export function makeReport(
  job: JobFacts,
  items: readonly Item[],
  template: PromptTemplate,
  shards: JoinedShards | null = null,
): Report {
  const groups = new Map<string, { state: ItemState; count: number; samples: FailureGroup["samples"][number][] }>();
  const reported: ReportedItem[] = [];
  for (const each of items) {
    const item = reportItem(each);
    reported.push(item);
    if (item.signature === null) continue;
    const group = groups.get(item.signature) ?? { state: item.state, count: 0, samples: [] };
    group.count += 1;
    if (group.samples.length < MAX_SAMPLES) {
      group.samples.push({ index: item.index, named: item.named, runId: item.runId });
    }
    groups.set(item.signature, group);
  }
  const durations = Float64Array.from(reported.flatMap(({ durationMs }) => durationMs ?? [])).toSorted();
  return {
    job,
    totals: totalsOf(reported.map(({ state }) => state)),
    durations: durationFigures(durations),
    histogram: distribution(durations),
    timeline: timelineOf(reported, job.endedAt),
    groups: [...groups]
      .map(([signature, group]) => ({ signature, ...group }))
      .toSorted((a, b) => b.count - a.count || (a.signature < b.signature ? -1 : 1)),
    items: reported.toSorted((a, b) => a.index - b.index),
    ...shownPrompt(template, items),
    shards,
  };
}

/** A job's prompt, without the tokens that may have been pasted into it. */
export function shownPrompt(template: PromptTemplate, items: readonly Item[]): Pick<Report, "prompt" | "example"> {
  const example = template.example(targetsOf(items));
  return {
    prompt: withoutTokens(template.text),
    example: example && { ...example, prompt: withoutTokens(example.prompt) },
  };
}

function* targetsOf(items: readonly Item[]) {
  for (const { target } of items) yield target;
}

/** A target and what became of it, as it is reported. */
export function reportItem(item: Item): ReportedItem {
  const { target, state, runId, attached, startedAt, completedAt, exitCode, problem } = item;
  return {
    index: target.index,
    line: target.line,
    named: target.named,
    state,
    runId,
    userId: target.userId,
    userEmail: target.userEmail,
    instanceId: target.instanceId,
    startedAt,
    completedAt,
    // The platform's clocks need not agree.
    durationMs: startedAt && completedAt ? Math.max(0, completedAt.getTime() - startedAt.getTime()) : null,
    exitCode,
    attached,
    signature: signatureOf(item),
    problem: problem === null ? null : withoutTokens(problem),
  };
}
