import type { Run } from "./run.ts";

/** Never an instance of anybody: as a filter it stands for "no instance". */
const NO_INSTANCE = "00000000-0000-0000-0000-000000000000";

/**
 * Names a run to status and cancel. Always with the row's own instance: without it the platform looks only among the runs of
 * the user's active personal instance, and runs of organization, replaced and destroyed instances are "not found"
 * (a row without an instance needs an ID that no instance has).
 */
export function runRef({ id, userId, instanceId }: Pick<Run, "id" | "userId" | "instanceId">) {
  return { userId, runId: id, instanceId: instanceId ?? NO_INSTANCE };
}
