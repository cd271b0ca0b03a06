import type * as z from "zod";
import type { Api } from "../api/api.ts";
import { admin } from "../contract/procedures.ts";

/** One of the platform's audit records. There is one for each start by an admin and each cancel that cancelled. */
export interface AuditRecord {
  readonly id: string;
  readonly action: string;
  readonly actorId: string | null;
  readonly actorEmail: string | null;
  readonly targetUserId: string;
  readonly runId: string | null;
  readonly instanceId: string | null;
  readonly message: string;
  readonly createdAt: Date;
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

export const AUDIT_FIELDS = [
  "id",
  "action",
  "actorId",
  "actorEmail",
  "targetUserId",
  "runId",
  "instanceId",
  "message",
  "createdAt",
  "metadata",
] as const satisfies readonly (keyof AuditRecord)[];

/** The most records the platform gives of one user; there is no way to the older ones. */
export const MOST_AUDIT_RECORDS = 50;

/** The newest audit records about a user, newest first. */
export async function listAudit(api: Api, userId: string, limit: number): Promise<AuditRecord[]> {
  const rows = await api.query(admin.adminAuditLogs, { userId, limit: Math.min(limit, MOST_AUDIT_RECORDS) });
  return rows.map((row) => recordOf(row));
}

function recordOf(row: z.output<typeof admin.adminAuditLogs.output>[number]): AuditRecord {
  const id = (name: string) => {
    const value = row.metadata?.[name];
    return typeof value === "string" ? value : null;
  };
  return {
    id: row.id,
    action: row.action,
    actorId: row.actor_id,
    actorEmail: row.actor_email,
    targetUserId: row.target_user_id,
    runId: id("runId"),
    instanceId: id("instanceId"),
    message: row.message,
    createdAt: row.created_at,
    metadata: row.metadata,
  };
}
