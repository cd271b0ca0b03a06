/** Fills an empty database. Everything derives from the lists of people and instances: two sandboxes are alike. */
import { count } from "drizzle-orm";
import type { Database } from "../database/database.ts";
import { auditLogs, cliRuns, instances, users } from "../database/schema.ts";
import { runHistory } from "./history.ts";
import { HOMES, type Home, instanceId, loadCustomer, PEOPLE, type Person } from "./people.ts";
import { derivedUuid } from "./uuid.ts";

/** Rows per insert: a statement can carry 65,535 parameters. */
const CHUNK = 1_000;

/**
 * Fills the database if it is empty, and adds what is missing of `extraUsers` further customers.
 *
 * @returns whether it was empty.
 */
export async function seed(database: Database, extraUsers: number): Promise<boolean> {
  return database.transaction(async (transaction) => {
    const [existing] = await transaction.select({ total: count() }).from(users);
    if (!existing?.total) {
      await transaction.insert(users).values(PEOPLE.map(userRow));
      await transaction.insert(instances).values(HOMES.map(instanceRow));
      await transaction.insert(cliRuns).values(runHistory());
    }
    for (let first = 1; first <= extraUsers; first += CHUNK) {
      const customers = Array.from({ length: Math.min(CHUNK, extraUsers - first + 1) }, (_, index) =>
        loadCustomer(first + index),
      );
      await transaction
        .insert(users)
        .values(customers.map(({ person }) => userRow(person)))
        .onConflictDoNothing();
      await transaction
        .insert(instances)
        .values(
          customers.map((customer) => personalInstance(customer.instanceId, customer.person.id, customer.created)),
        )
        .onConflictDoNothing();
    }
    return !existing?.total;
  });
}

/** Empties all tables. */
export async function wipe(database: Database): Promise<void> {
  await database.transaction(async (transaction) => {
    await transaction.delete(auditLogs);
    // Runs, instances and device requests go with their users.
    await transaction.delete(users);
  });
}

function userRow(person: Person): typeof users.$inferInsert {
  return {
    id: person.id,
    google_user_email: person.email,
    google_user_name: person.name,
    google_user_image_url: "https://example.com/i.png",
    created_at: "2026-03-01T00:00:00Z",
    hosted_domain: person.email.slice(person.email.indexOf("@") + 1).toLowerCase(),
    stripe_customer_id: `cus_${person.key}`,
    app_store_account_token: derivedUuid(`app store ${person.id}`),
    is_admin: person.admin ?? false,
    blocked_reason: person.blocked ?? null,
    api_token_pepper: person.pepper ?? null,
    web_session_pepper: person.sessionPepper ?? null,
  };
}

function instanceRow(home: Home): typeof instances.$inferInsert {
  const id = instanceId(home.number);
  const ownerId = PEOPLE.find(({ key }) => key === home.owner)?.id;
  if (ownerId === undefined) throw new Error(`the seed has no ${home.owner}`);
  const billed = home.organization === undefined && home.destroyed === undefined;
  return {
    ...personalInstance(id, ownerId, home.created),
    sandbox_id: home.sandboxId ?? sandboxId(id),
    organization_id: home.organization ?? null,
    destroyed_at: home.destroyed ?? null,
    inactive_trial_stopped_at: home.trialStopped ?? null,
    suspended_at: home.suspended ?? null,
    ...(!billed && { subscription_id: null, subscription_status: null }),
  };
}

function personalInstance(id: string, userId: string, created: string): typeof instances.$inferInsert {
  return {
    id,
    user_id: userId,
    sandbox_id: sandboxId(id),
    created_at: created,
    subscription_id: derivedUuid(`subscription ${id}`),
    subscription_status: "active",
    tracked_image_tag: "fake-local-instance",
  };
}

const sandboxId = (id: string) => `ki_${id.replaceAll("-", "")}`;
