import type * as z from "zod";
import type { Api } from "../api/api.ts";
import { CONCURRENCY, pooled } from "../async/pool.ts";
import { admin } from "../contract/procedures.ts";
import { listRuns } from "../runs/list.ts";
import type { auditRecordShape } from "../shapes/platform.ts";

/** One of the platform's audit records. There is one for each start by an admin and each cancel that cancelled. */
export type AuditRecord = Readonly<z.output<typeof auditRecordShape>>;

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
  "userEmail",
] as const satisfies readonly (keyof AuditRecord)[];

/** The most records the platform gives of one user; there is no way to the older ones. */
export const MAX_AUDIT_RECORDS = 50;

/** The newest audit records about a user, newest first. */
export async function listAudit(
  api: Api,
  userId: string,
  limit: number,
  userEmail: string | null = null,
): Promise<AuditRecord[]> {
  const rows = await api.query(admin.adminAuditLogs, { userId, limit: Math.min(limit, MAX_AUDIT_RECORDS) });
  return rows.map((row) => ({ ...recordOf(row), userEmail }));
}

/** Audit records, with the users of whom the platform may have more than it gives. */
export interface AuditRecords {
  readonly records: readonly AuditRecord[];
  readonly cut: readonly string[];
}

/** What there is about a user since then, newest first. */
export async function auditOf(
  api: Api,
  { userId, userEmail }: { readonly userId: string; readonly userEmail: string | null },
  since?: () => Date,
): Promise<AuditRecords> {
  const all = await listAudit(api, userId, MAX_AUDIT_RECORDS, userEmail);
  const records = all.filter(({ createdAt }) => since === undefined || createdAt >= since());
  return { records, cut: records.length === MAX_AUDIT_RECORDS ? [userId] : [] };
}

/**
 * What there is about all users of whom a run was started since then, newest first. The platform keeps its audit log by user,
 * so that is as near as one can come to all of it.
 */
export async function auditSince(api: Api, since: () => Date): Promise<AuditRecords> {
  const users = new Map<string, { readonly userId: string; readonly userEmail: string | null }>();
  for await (const run of listRuns(api, { since }, Number.MAX_SAFE_INTEGER)) users.set(run.userId, run);
  const parts: AuditRecords[] = [];
  for await (const part of pooled(users.values(), CONCURRENCY, (user) => auditOf(api, user, since))) parts.push(part);
  const records = parts.flatMap((part) => part.records);
  return {
    records: records.toSorted((a, b) => (timeAndId(a) < timeAndId(b) ? 1 : -1)),
    cut: parts.flatMap(({ cut }) => cut),
  };
}

function timeAndId({ createdAt, id }: AuditRecord): string {
  return `${createdAt.toISOString()} ${id}`;
}

function recordOf(row: z.output<typeof admin.adminAuditLogs.output>[number]): Omit<AuditRecord, "userEmail"> {
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
