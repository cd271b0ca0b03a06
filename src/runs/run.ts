import type * as z from "zod";
import type { admin } from "../contract/procedures.ts";
import { UNKNOWN_OUTCOME_OUTPUTS, type RunStatus } from "../contract/procedures.ts";

type RunBucket = "pending" | "pass" | "fail" | "cancel" | "unknown";

/** A recovery run as the tool shows it. The names are the JSON output's: a public interface. */
export interface Run {
  readonly id: string;
  readonly status: RunStatus;
  /** What the status means to a script: `unknown` when nobody can know any more how the run really ended. */
  readonly bucket: RunBucket;
  readonly userId: string;
  readonly userEmail: string | null;
  readonly instanceId: string | null;
  readonly initiatedBy: "admin" | "user";
  readonly initiatedByAdminId: string | null;
  readonly initiatedByAdminEmail: string | null;
  readonly prompt: string;
  readonly exitCode: number | null;
  readonly startedAt: Date;
  readonly completedAt: Date | null;
  /** Milliseconds from start to end; `null` while the row says it runs. */
  readonly durationMs: number | null;
  readonly outcomeUnknown: boolean;
}

export const RUN_FIELDS = [
  "id",
  "status",
  "bucket",
  "userId",
  "userEmail",
  "instanceId",
  "initiatedBy",
  "initiatedByAdminId",
  "initiatedByAdminEmail",
  "prompt",
  "exitCode",
  "startedAt",
  "completedAt",
  "durationMs",
  "outcomeUnknown",
] as const satisfies readonly (keyof Run)[];

type ListedRow = z.output<typeof admin.listAllCliRuns.output>["runs"][number];
export type Status = z.output<typeof admin.getKiloCliRunStatus.output>;

/** A row of the platform's list as a run. A list carries no output, so a lost outcome shows only after a status poll. */
export function runOfRow(row: ListedRow): Run {
  return derive({
    id: row.id,
    status: row.status,
    userId: row.user_id,
    userEmail: row.user_email,
    instanceId: row.instance_id,
    initiatedBy: row.initiated_by_admin_id === null ? "user" : "admin",
    initiatedByAdminId: row.initiated_by_admin_id,
    initiatedByAdminEmail: row.initiated_by_admin_email,
    prompt: row.prompt,
    exitCode: row.exit_code,
    startedAt: row.started_at,
    completedAt: row.completed_at,
    outcomeUnknown: false,
  });
}

/** The run with what a status answer says of it. */
export function withStatus(run: Run, status: Status): Run {
  if (!status.hasRun || status.status === null) return run;
  return derive({
    ...run,
    status: status.status,
    exitCode: status.exitCode,
    startedAt: status.startedAt ?? run.startedAt,
    completedAt: status.completedAt,
    outcomeUnknown: status.output !== null && UNKNOWN_OUTCOME_OUTPUTS.includes(status.output.trim()),
  });
}

/** A run that the platform has just said it started. */
export function startedRun(
  run: Omit<Run, "status" | "bucket" | "exitCode" | "completedAt" | "durationMs" | "outcomeUnknown">,
): Run {
  return derive({ ...run, status: "running", exitCode: null, completedAt: null, outcomeUnknown: false });
}

function derive(run: Omit<Run, "bucket" | "durationMs">): Run {
  return {
    ...run,
    bucket: bucketOf(run),
    durationMs: run.completedAt ? run.completedAt.getTime() - run.startedAt.getTime() : null,
  };
}

function bucketOf({ status, outcomeUnknown }: Pick<Run, "status" | "outcomeUnknown">): RunBucket {
  if (outcomeUnknown) return "unknown";
  return ({ running: "pending", completed: "pass", failed: "fail", cancelled: "cancel" } as const)[status];
}

/** Who started the run, in a few words. */
export function initiator(run: Run): string {
  if (run.initiatedBy === "user") return "customer";
  return run.initiatedByAdminEmail ?? run.initiatedByAdminId ?? "an admin";
}

/** A run's status in a word: `unknown` where the platform says failed only because it lost the run. */
export function runStatusWord({ status, outcomeUnknown }: Run): string {
  return outcomeUnknown ? "unknown" : status;
}
