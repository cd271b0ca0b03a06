/** A target's run, as far as the job knows it, and what its end makes of the target. */
import { startedRun, type Run } from "../runs/run.ts";
import type { Item } from "./item.ts";

/** The run of an item that is known to have one. */
export function runOf({ target, runId, startedAt }: Item): Run | undefined {
  if (runId === null || target.userId === null) return undefined;
  return startedRun({
    id: runId,
    userId: target.userId,
    userEmail: target.userEmail,
    instanceId: target.instanceId,
    initiatedBy: "admin",
    initiatedByAdminId: null,
    initiatedByAdminEmail: null,
    prompt: "",
    startedAt: startedAt ?? new Date(),
  });
}

/** The final state of a target whose run has ended. @param lastLine the last line of its output: most likely why it failed. */
export function afterRun(
  { status, outcomeUnknown, startedAt, completedAt, exitCode }: Run,
  lastLine: string | null,
): Pick<Item, "state" | "startedAt" | "completedAt" | "exitCode" | "problem"> {
  const state = outcomeUnknown ? "lost" : status;
  const why = state === "lost" ? "its outcome is lost" : null;
  return { state, startedAt, completedAt, exitCode, problem: state === "failed" ? lastLine : why };
}
