import type * as z from "zod";
import type { Api } from "../api/api.ts";
import { admin } from "../contract/procedures.ts";

/** An instance as the tool shows it. `machineStatus` is `null` where it was not asked for or is not known. */
export interface Instance {
  readonly id: string;
  readonly userId: string;
  readonly userEmail: string | null;
  readonly organizationId: string | null;
  readonly sandboxId: string;
  /** Billing state: `active` says nothing about the machine. */
  readonly lifecycleState: string;
  readonly machineStatus: string | null;
  readonly createdAt: Date;
  readonly destroyedAt: Date | null;
}

export const INSTANCE_FIELDS = [
  "id",
  "userId",
  "userEmail",
  "organizationId",
  "sandboxId",
  "lifecycleState",
  "machineStatus",
  "createdAt",
  "destroyedAt",
] as const satisfies readonly (keyof Instance)[];

const PAGE_SIZE = 100;

type ListInput = z.input<typeof admin.list.input>;

/** Instances, newest first, as the platform's list has them: without the machine's status. */
export async function listInstances(
  api: Api,
  filter: Pick<ListInput, "search" | "status">,
  limit: number,
): Promise<Instance[]> {
  const found: Instance[] = [];
  while (found.length < limit) {
    const { instances, pagination } = await api.query(admin.list, {
      ...filter,
      offset: found.length,
      limit: Math.min(PAGE_SIZE, limit - found.length),
    });
    found.push(...instances.map((row) => instanceOfRow(row, null)));
    if (instances.length === 0 || found.length >= pagination.total) break;
  }
  return found;
}

/**
 * One instance with its machine's status.
 *
 * @throws ApiError `not-found` when there is none with this ID.
 */
export async function getInstance(
  api: Api,
  id: string,
  signal?: AbortSignal,
): Promise<Instance & { machineStatusError: string | null }> {
  const row = await api.query(admin.get, { id }, { signal });
  return {
    ...instanceOfRow(row, row.workerStatus?.status ?? null),
    machineStatusError: row.workerStatusError,
  };
}

function instanceOfRow(
  row: z.output<typeof admin.list.output>["instances"][number],
  machineStatus: string | null,
): Instance {
  return {
    id: row.id,
    userId: row.user_id,
    userEmail: row.user_email,
    organizationId: row.organization_id,
    sandboxId: row.sandbox_id,
    lifecycleState: row.lifecycle_state,
    machineStatus,
    createdAt: row.created_at,
    destroyedAt: row.destroyed_at,
  };
}
