/** Bulk jobs and their targets. */
import * as z from "zod";

const count = z.int().nonnegative();

const itemState = z.enum([
  "completed",
  "failed",
  "cancelled",
  "lost",
  "running",
  "skipped",
  "conflict",
  "machine-down",
  "refused",
  "unplanned",
  "unknown",
  "waiting",
  "starting",
]);

const totals = z.record(itemState, count).meta({ description: "how many targets are in each state" });

/** The prompt as it was written, and as one target gets it. */
const prompted = {
  prompt: z.string().meta({ description: "with its {{fields}}" }),
  example: z
    .object({ index: count, named: z.string(), prompt: z.string() })
    .nullable()
    .meta({ description: "the prompt of one target; null where it is the same for all" }),
};

const ofPlaybook = {
  playbook: z.string().nullable().meta({ description: "what its prompt comes from" }),
  playbookSha256: z.string().nullable(),
};

export const jobShape = z
  .object({
    id: z.string(),
    state: z.string(),
    profile: z.string(),
    total: count,
    started: count,
    succeeded: count.meta({ description: "targets whose run completed" }),
    failed: count,
    cancelled: count,
    unknown: count,
    skipped: count,
    createdAt: z.date(),
    endedAt: z.date().nullable(),
    totals,
    asOf: z.date().meta({ description: "what is said of runs in progress is as of then" }),
    ticket: z.string().nullable(),
    adminEmail: z.string().nullable().meta({ description: "who began it; null where it is not on record" }),
  })
  .meta({ description: "a bulk job in numbers" });

export const jobDetailsShape = jobShape
  .extend({ ...prompted, ...ofPlaybook })
  .meta({ description: "a bulk job in numbers, with its prompt" });

export const targetShape = z
  .object({
    index: count,
    line: count.nullable(),
    named: z.string().meta({ description: "as the input has it" }),
    state: itemState,
    runId: z.string().nullable(),
    userId: z.string().nullable(),
    userEmail: z.string().nullable(),
    instanceId: z.string().nullable(),
    startedAt: z.date().nullable(),
    completedAt: z.date().nullable(),
    durationMs: z.number().nullable(),
    exitCode: z.int().nullable(),
    attached: z.boolean().meta({ description: "its run was not started by this job" }),
    signature: z.string().nullable().meta({ description: "what failures like it have in common; null: no failure" }),
    problem: z.string().nullable(),
  })
  .meta({ description: "a target of a bulk job, with its outcome" });

export const plannedTargetShape = z
  .object({
    index: count,
    line: count.nullable(),
    named: z.string(),
    state: z.enum([
      "startable",
      "running",
      "machine-down",
      "machine-unknown",
      "no-instance",
      "ambiguous",
      "unknown",
      "duplicate",
    ]),
    userId: z.string().nullable(),
    userEmail: z.string().nullable(),
    instanceId: z.string().nullable(),
    detail: z.string().nullable(),
  })
  .meta({ description: "a target as a dry run has it" });

export const failureGroupShape = z
  .object({
    signature: z.string(),
    state: itemState,
    count,
    samples: z
      .array(z.object({ index: count, named: z.string(), runId: z.string().nullable() }))
      .readonly()
      .meta({ description: "the first few" }),
  })
  .meta({ description: "failures of a bulk job that have their signature in common" });

export const reportShape = z
  .object({
    job: z.object({
      id: z.string(),
      profile: z.string(),
      origin: z.string(),
      sandbox: z.string().nullable(),
      ticket: z.string().nullable(),
      reason: z.string().nullable(),
      adminId: z.string().nullable(),
      adminEmail: z.string().nullable(),
      state: z.string(),
      createdAt: z.date(),
      endedAt: z.date().nullable(),
      total: count,
      invocations: count.meta({ description: "one more than it was resumed" }),
      asOf: z.date(),
      ...ofPlaybook,
    }),
    totals,
    durations: z
      .object({ count, p50Ms: z.number().nullable(), p90Ms: z.number().nullable(), maxMs: z.number().nullable() })
      .meta({ description: "of the runs that have ended" }),
    histogram: z.array(z.object({ fromMs: z.number(), toMs: z.number().nullable(), count })).readonly(),
    timeline: z
      .array(z.object({ from: z.date(), to: z.date(), started: count, ended: count, running: count }))
      .readonly(),
    groups: z.array(failureGroupShape).readonly(),
    items: z.array(targetShape).readonly(),
    ...prompted,
    shards: z
      .object({
        of: count,
        jobs: z.array(z.object({ shard: count, id: z.string(), state: z.string() })).readonly(),
        missing: z.array(count).readonly().meta({ description: "the slices of which there is no job" }),
        doubled: z
          .array(
            z.object({
              instanceId: z.string(),
              targets: z
                .array(z.object({ shard: count, jobId: z.string(), index: count, runId: z.string().nullable() }))
                .readonly(),
            }),
          )
          .readonly()
          .meta({ description: "instances that more than one target of the slices led to" }),
      })
      .nullable()
      .meta({ description: "the slices that were joined; null: the job is no slice" }),
  })
  .meta({ description: "the report of a bulk job, or of the slices of a list" });

const at = z.date();

/** An event of a job, one line each with `-o jsonl`. */
export const jobEventShape = z
  .discriminatedUnion("type", [
    z.object({ type: z.literal("item"), at, ...targetShape.shape }).meta({ description: "a target has changed" }),
    z
      .object({ type: z.literal("output-line"), at, index: count, runId: z.string().nullable(), line: z.string() })
      .meta({ description: "the last line of a target's run is another one" }),
    z
      .object({ type: z.literal("adopted"), at, index: count, runId: z.string().nullable() })
      .meta({ description: "a run that the journal did not have is this target's; nothing was sent" }),
    z
      .object({ type: z.literal("pace"), at, limit: z.number(), pausedMs: z.number() })
      .meta({ description: "the number of starts at a time has changed, or starts are paused" }),
    z.object({ type: z.literal("canary-passed"), at }).meta({ description: "the canary's runs have completed" }),
    z.object({ type: z.literal("stopping"), at, why: z.string() }).meta({ description: "no more starts" }),
    z
      .object({ type: z.literal("unrecorded"), at, why: z.string() })
      .meta({ description: "the outcome of a start could not be recorded" }),
  ])
  .meta({ description: "an event of a bulk job" });
