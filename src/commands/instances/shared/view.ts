import { INSTANCE_FIELDS, type Instance } from "../../../customers/instances.ts";
import type { Color } from "../../../terminal/paint.ts";
import type { View } from "../../../terminal/rows.ts";

export const instanceView: View<Instance> = {
  shape: "instance",
  fields: INSTANCE_FIELDS,
  id: ({ id }) => id,
  columns: (when) => [
    { header: "MACHINE", rank: 1, value: ({ machineStatus }) => machineStatus ?? "-", color: machineColor },
    { header: "INSTANCE", rank: 0, value: ({ id }) => id },
    { header: "USER", rank: 2, shrinkTo: 14, tells: true, value: ({ userEmail, userId }) => userEmail ?? userId },
    { header: "STATE", rank: 3, value: ({ lifecycleState }) => lifecycleState },
    { header: "ORGANIZATION", rank: 5, shrinkTo: 12, value: ({ organizationId }) => organizationId ?? "-" },
    { header: "CREATED", rank: 4, value: ({ createdAt }) => when(createdAt) },
    { header: "DESTROYED", rank: 6, value: ({ destroyedAt }) => when(destroyedAt) },
    { header: "SANDBOX", rank: 7, spare: true, value: ({ sandboxId }) => sandboxId },
  ],
};

function machineColor({ machineStatus }: Instance): Color | undefined {
  if (machineStatus === null) return "dim";
  return machineStatus === "running" ? "green" : "yellow";
}
