import type * as z from "zod";
import type { admin } from "../contract/procedures.ts";
import { UNKNOWN_OUTCOME_OUTPUTS } from "../contract/procedures.ts";
import type { runShape } from "../shapes/run.ts";

/** A recovery run as the tool shows it. The names are the JSON output's: a public interface. */
export type Run = Readonly<z.output<typeof runShape>>;

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

function bucketOf({ status, outcomeUnknown }: Pick<Run, "status" | "outcomeUnknown">): Run["bucket"] {
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
