/** The lists of run records. They never ask the machine. */
import { and, count, desc, eq, getTableColumns, ilike, isNotNull, isNull, or, type SQL, sql } from "drizzle-orm";
import { alias } from "drizzle-orm/pg-core";
import type * as z from "zod";
import type { admin } from "../../contract/procedures.ts";
import type { Database } from "../database/database.ts";
import { cliRuns, users } from "../database/schema.ts";
import { escapeLike, page } from "../database/text-search.ts";

/** A user's newest runs on all instances, or on one, with their whole outputs. */
export async function listUserRuns(
  database: Database,
  { userId, instanceId, limit }: { userId: string; instanceId?: string | undefined; limit: number },
) {
  const runs = await database
    .select(getTableColumns(cliRuns))
    .from(cliRuns)
    .where(and(eq(cliRuns.user_id, userId), instanceId === undefined ? undefined : eq(cliRuns.instance_id, instanceId)))
    .orderBy(desc(cliRuns.started_at))
    .limit(limit);
  return { runs };
}

/** One page of all runs of all users, newest first, without outputs. */
export async function listAllRuns(database: Database, input: z.output<typeof admin.listAllCliRuns.input>) {
  const where = and(
    matches(input.search),
    input.status === "all" ? undefined : eq(cliRuns.status, input.status),
    initiatedBy(input.initiatedBy),
  );
  const runs = await listedRuns(database)
    .where(where)
    .orderBy(desc(cliRuns.started_at))
    .limit(input.limit)
    .offset(input.offset);
  const [counted] = await database
    .select({ total: count() })
    .from(cliRuns)
    .leftJoin(users, eq(cliRuns.user_id, users.id))
    .where(where);
  return { runs, pagination: page(input, counted?.total ?? 0) };
}

/** A run as a row of that list, by its id. */
export async function listedRun(database: Database, id: string) {
  const [run] = await listedRuns(database).where(eq(cliRuns.id, id));
  return run;
}

function listedRuns(database: Database) {
  const admins = alias(users, "initiating_admin_users");
  return database
    .select({
      id: cliRuns.id,
      user_id: cliRuns.user_id,
      user_email: users.google_user_email,
      instance_id: cliRuns.instance_id,
      initiated_by_admin_id: cliRuns.initiated_by_admin_id,
      initiated_by_admin_email: admins.google_user_email,
      prompt: cliRuns.prompt,
      status: cliRuns.status,
      exit_code: cliRuns.exit_code,
      started_at: cliRuns.started_at,
      completed_at: cliRuns.completed_at,
    })
    .from(cliRuns)
    .leftJoin(users, eq(cliRuns.user_id, users.id))
    .leftJoin(admins, eq(cliRuns.initiated_by_admin_id, admins.id));
}

/** The recorded output; null for a run that is unknown, another user's, or not recorded as ended with one. */
export async function runOutput(database: Database, { userId, runId }: { userId: string; runId: string }) {
  const [row] = await database
    .select({ output: cliRuns.output })
    .from(cliRuns)
    .where(and(eq(cliRuns.id, runId), eq(cliRuns.user_id, userId)));
  return { output: row?.output ?? null };
}

/** Part of the user's e-mail, the prompt or the instance id; nothing else. */
function matches(search: string | undefined): SQL | undefined {
  const term = search?.trim();
  if (!term) return undefined;
  const pattern = `%${escapeLike(term)}%`;
  return or(
    ilike(users.google_user_email, pattern),
    ilike(cliRuns.prompt, pattern),
    ilike(sql`${cliRuns.instance_id}::text`, pattern),
  );
}

function initiatedBy(who: "all" | "admin" | "user"): SQL | undefined {
  if (who === "all") return undefined;
  return who === "admin" ? isNotNull(cliRuns.initiated_by_admin_id) : isNull(cliRuns.initiated_by_admin_id);
}
