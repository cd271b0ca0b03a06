import { sql } from "drizzle-orm";
import { type MigrationMeta, readMigrationFiles } from "drizzle-orm/migrator";
import { SandboxError } from "../sandbox-error.ts";
import type { Database } from "./database.ts";

/** Any number, the same for every sandbox: two that start on one server migrate one after the other. */
const MIGRATION_LOCK = 5_417_318;

/**
 * Brings the database up to the newest migration in `folder`, each in a transaction of its own.
 *
 * drizzle's own `migrate()` runs all pending ones in a single transaction; a constraint added NOT VALID would then keep its
 * exclusive lock while the next migration validates it, which is what the two steps are there to avoid. The bookkeeping is
 * drizzle's, so that drizzle-kit and this function see the same history.
 *
 * @throws {SandboxError} when one fails, as on a database that holds somebody else's tables; that one leaves no trace.
 */
export async function migrate(database: Database, folder: string): Promise<void> {
  await database.execute(sql`create schema if not exists drizzle`);
  await database.execute(
    sql`create table if not exists drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)`,
  );
  try {
    for (const migration of readMigrationFiles({ migrationsFolder: folder })) await apply(database, migration);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new SandboxError(`The database cannot be brought up to date: ${String(cause)}`, { cause: error });
  }
}

async function apply(database: Database, migration: MigrationMeta): Promise<void> {
  await database.transaction(async (transaction) => {
    await transaction.execute(sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`);
    const [{ applied } = { applied: false }] = rowsOf<{ applied: boolean }>(
      await transaction.execute(
        sql`select exists(select 1 from drizzle.__drizzle_migrations where created_at >= ${migration.folderMillis}) as applied`,
      ),
    );
    if (applied) return;
    for (const statement of migration.sql) await transaction.execute(sql.raw(statement));
    await transaction.execute(
      sql`insert into drizzle.__drizzle_migrations (hash, created_at) values (${migration.hash}, ${migration.folderMillis})`,
    );
  });
}

/** Both drivers answer `execute` with an object that holds `rows`; the type that they share does not say so. */
function rowsOf<Row>(result: unknown): Row[] {
  return (result as { rows: Row[] }).rows;
}
