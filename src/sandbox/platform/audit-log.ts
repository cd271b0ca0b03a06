import { and, desc, eq, getTableColumns } from "drizzle-orm";
import type * as z from "zod";
import type { admin } from "../../contract/procedures.ts";
import type { Database } from "../database/database.ts";
import { auditLogs, type User } from "../database/schema.ts";
import type { FaultTarget, Faults } from "../faults.ts";

export interface AuditEntry {
  readonly action: "kiloclaw.cli_run.start" | "kiloclaw.cli_run.cancel";
  readonly actor: User;
  readonly targetUserId: string;
  readonly message: string;
  readonly metadata: Record<string, unknown>;
}

/** Who changed what. Only admins' starts and effective cancels are in it. */
export class AuditLog {
  readonly #database: Database;
  readonly #faults: Faults;

  constructor(database: Database, faults: Faults) {
    this.#database = database;
    this.#faults = faults;
  }

  /** Writes the entry, or drops it when it cannot be written: what was done is done and must be answered as such. */
  async write({ actor, targetUserId, ...entry }: AuditEntry, call: FaultTarget): Promise<void> {
    if (this.#faults.take(["audit-failure"], call)) return;
    try {
      await this.#database.insert(auditLogs).values({
        ...entry,
        actor_id: actor.id,
        actor_email: actor.google_user_email,
        actor_name: actor.google_user_name,
        target_user_id: targetUserId,
      });
    } catch {
      // The platform reports this to its error tracker; a sandbox has none.
    }
  }

  /** The newest entries about a user. */
  async list({ userId, action, limit }: z.output<typeof admin.adminAuditLogs.input>) {
    return this.#database
      .select(getTableColumns(auditLogs))
      .from(auditLogs)
      .where(and(eq(auditLogs.target_user_id, userId), action === undefined ? undefined : eq(auditLogs.action, action)))
      .orderBy(desc(auditLogs.created_at))
      .limit(limit);
  }
}
