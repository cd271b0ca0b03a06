/** Instances: which one a call is about, and the admin's list of them. */
import { and, asc, count, desc, eq, getTableColumns, ilike, isNotNull, isNull, or, type SQL } from "drizzle-orm";
import * as z from "zod";
import type { admin } from "../../contract/procedures.ts";
import type { Database } from "../database/database.ts";
import { type Instance, instances, type User, users } from "../database/schema.ts";
import { escapeLike, page } from "../database/text-search.ts";
import type { FaultTarget } from "../faults.ts";
import { type Worker, WorkerError, WorkerUnreachable } from "../machines/worker.ts";

/** The user's active instance that belongs to no organization; the oldest, if there were several. */
export async function findPersonalInstance(database: Database, userId: string): Promise<Instance | undefined> {
  const [instance] = await database
    .select()
    .from(instances)
    .where(and(eq(instances.user_id, userId), isNull(instances.organization_id), isNull(instances.destroyed_at)))
    .orderBy(asc(instances.created_at))
    .limit(1);
  return instance;
}

/** The user's active instance in this organization; the oldest, if there were several. */
export async function findMemberInstance(
  database: Database,
  { userId, organizationId }: { userId: string; organizationId: string },
): Promise<Instance | undefined> {
  const [instance] = await database
    .select()
    .from(instances)
    .where(
      and(eq(instances.user_id, userId), eq(instances.organization_id, organizationId), isNull(instances.destroyed_at)),
    )
    .orderBy(asc(instances.created_at))
    .limit(1);
  return instance;
}

/** The instance with this id, also a destroyed one. */
export async function findInstance(database: Database, id: string): Promise<Instance | undefined> {
  const [instance] = await database.select().from(instances).where(eq(instances.id, id));
  return instance;
}

/** Whether the user may use KiloClaw himself. */
export async function hasSubscription(database: Database, userId: string): Promise<boolean> {
  const [instance] = await database
    .select({ id: instances.id })
    .from(instances)
    .where(and(eq(instances.user_id, userId), eq(instances.subscription_status, "active")))
    .limit(1);
  return instance !== undefined;
}

/** What the worker says of an instance's machine. Its trouble is told, and does not fail the call. */
export async function machineOf(worker: Worker, instance: Instance, call: FaultTarget) {
  return worker.describe(instance, call).then(
    (workerStatus) => ({ workerStatus, workerStatusError: null }),
    (error: unknown) => {
      if (!(error instanceof WorkerError || error instanceof WorkerUnreachable)) throw error;
      return { workerStatus: null, workerStatusError: error.message };
    },
  );
}

type ListInput = z.output<typeof admin.list.input>;

/** One page of `admin.kiloclawInstances.list`. */
export async function listInstances(database: Database, input: ListInput) {
  const where = and(
    lifecycle(input.status),
    matches(input.search),
    tagged(input.imageTag),
    sized(input.hasSizeOverride),
  );
  const column = instances[input.sortBy];
  const rows = await database
    .select({ instance: getTableColumns(instances), owner: getTableColumns(users) })
    .from(instances)
    .leftJoin(users, eq(instances.user_id, users.id))
    .where(where)
    .orderBy(input.sortOrder === "asc" ? asc(column) : desc(column))
    .limit(input.limit)
    .offset(input.offset);
  const [counted] = await database
    .select({ total: count() })
    .from(instances)
    .leftJoin(users, eq(instances.user_id, users.id))
    .where(where);
  return {
    instances: rows.map(({ instance, owner }) => listedInstance(instance, owner)),
    pagination: page(input, counted?.total ?? 0),
  };
}

/** The instance as a row of the list; `undefined` when there is none. */
export async function getInstance(database: Database, id: string) {
  const [row] = await database
    .select({ instance: getTableColumns(instances), owner: getTableColumns(users) })
    .from(instances)
    .leftJoin(users, eq(instances.user_id, users.id))
    .where(eq(instances.id, id));
  return row && { instance: row.instance, listed: listedInstance(row.instance, row.owner) };
}

function listedInstance(instance: Instance, owner: User | null) {
  return {
    id: instance.id,
    user_id: instance.user_id,
    sandbox_id: instance.sandbox_id,
    organization_id: instance.organization_id,
    created_at: instance.created_at,
    destroyed_at: instance.destroyed_at,
    inbound_email_enabled: instance.inbound_email_enabled,
    inactive_trial_stopped_at: instance.inactive_trial_stopped_at,
    lifecycle_state: lifecycleState(instance),
    suspended_at: instance.suspended_at,
    user_email: owner?.google_user_email ?? null,
    subscription_id: instance.subscription_id,
    subscription_status: instance.subscription_status,
    user_kiloclaw_early_access: owner?.kiloclaw_early_access ?? false,
    tracked_image_tag: instance.tracked_image_tag,
    pin: null,
    admin_size_override: null,
  };
}

function lifecycleState(instance: Instance): Exclude<ListInput["status"], "all"> {
  if (instance.destroyed_at !== null) return "destroyed";
  if (instance.suspended_at !== null) return "suspended";
  return instance.inactive_trial_stopped_at === null ? "active" : "inactive_trial_stopped";
}

function lifecycle(status: ListInput["status"]): SQL | undefined {
  const alive = isNull(instances.destroyed_at);
  switch (status) {
    case "all":
      return undefined;
    case "destroyed":
      return isNotNull(instances.destroyed_at);
    case "suspended":
      return and(alive, isNotNull(instances.suspended_at));
    case "inactive_trial_stopped":
      return and(alive, isNull(instances.suspended_at), isNotNull(instances.inactive_trial_stopped_at));
    case "active":
      return and(alive, isNull(instances.suspended_at), isNull(instances.inactive_trial_stopped_at));
  }
}

/** Part of the sandbox id or e-mail; a uuid is also looked up as the id of an instance or user. Legacy user ids are not. */
function matches(search: string | undefined): SQL | undefined {
  const term = search?.trim();
  if (!term) return undefined;
  const pattern = `%${escapeLike(term)}%`;
  const byText = [ilike(instances.sandbox_id, pattern), ilike(users.google_user_email, pattern)];
  const byId = z.uuid().safeParse(term).success ? [eq(instances.id, term), eq(instances.user_id, term)] : [];
  return or(...byText, ...byId);
}

function tagged(imageTag: string | undefined): SQL | undefined {
  return imageTag === undefined ? undefined : eq(instances.tracked_image_tag, imageTag);
}

/** No instance of a sandbox has a size of its own. */
function sized(hasSizeOverride: boolean | undefined): SQL | undefined {
  return hasSizeOverride === true ? isNull(instances.id) : undefined;
}
