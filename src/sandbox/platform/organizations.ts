/** Organizations, which a sandbox knows by their instances alone: whoever has or had one there is a member. */
import { TRPCError } from "@trpc/server";
import { and, eq } from "drizzle-orm";
import type { Database } from "../database/database.ts";
import { instances, type User } from "../database/schema.ts";

/** Whether there is such an organization, or such a one with this member. */
async function exists(database: Database, organizationId: string, memberId?: string): Promise<boolean> {
  const isMember = memberId === undefined ? undefined : eq(instances.user_id, memberId);
  return (await database.$count(instances, and(eq(instances.organization_id, organizationId), isMember))) > 0;
}

/** The organizations of which this user is a member, by their IDs. */
export async function organizationsOf(database: Database, memberId: string): Promise<string[]> {
  const rows = await database
    .selectDistinct({ id: instances.organization_id })
    .from(instances)
    .where(eq(instances.user_id, memberId));
  return rows.flatMap(({ id }) => id ?? []);
}

/**
 * Lets pass who may act in the organization: its members, and admins.
 *
 * @param changing whether it is a mutation; of a query admins are not told that there is no such organization.
 * @throws {TRPCError} for all others, as if there were no such organization.
 */
export async function checkMember(
  database: Database,
  { user, organizationId, changing }: { user: User; organizationId: string; changing: boolean },
): Promise<void> {
  if (!user.is_admin) {
    if (await exists(database, organizationId, user.id)) return;
    throw new TRPCError({ code: "UNAUTHORIZED", message: "You do not have access to this organization" });
  }
  if (changing && !(await exists(database, organizationId))) {
    throw new TRPCError({ code: "NOT_FOUND", message: "Organization not found" });
  }
}
