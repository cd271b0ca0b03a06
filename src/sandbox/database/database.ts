/** Opens the platform's PostgreSQL: embedded (PGlite) in a directory, or a real server. */
import { mkdir, readdir, readFile } from "node:fs/promises";
import { brotliDecompressSync } from "node:zlib";
import { PGlite } from "@electric-sql/pglite";
import { sql } from "drizzle-orm";
import { drizzle as drizzleNodePostgres } from "drizzle-orm/node-postgres";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import { drizzle as drizzlePglite } from "drizzle-orm/pglite";
import { Pool, type PoolClient } from "pg";
import { SandboxError } from "../sandbox-error.ts";
import * as schema from "./schema.ts";

export type Database = PgDatabase<PgQueryResultHKT, typeof schema>;

export interface OpenDatabase {
  readonly database: Database;
  /** What to call it in messages; never holds a password. */
  readonly description: string;
  close(): Promise<void>;
}

/** Its timer of how far a start has got would go on for ever, and keep a process that cannot close the database from ending. */
const START_PARAMS = [...PGlite.defaultStartParams, "-c", "log_startup_progress_interval=0"];

/**
 * The embedded database in `directory`, created on first use (from `template`, a dump, when one is given: to initialize one anew
 * takes seconds, and keeps half a gigabyte of memory as long as the process lives).
 * PGlite takes no lock: the caller must hold one on the directory.
 *
 * @param holds whether the caller still does. Once it does not, every query is refused and nothing is written any more.
 * @throws {SandboxError} when what is in the directory is no database, or a broken one.
 */
export async function openEmbedded(
  directory: string,
  holds: () => boolean,
  template?: () => Promise<Blob>,
): Promise<OpenDatabase> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const isNew = (await readdir(directory)).length === 0;
  const create = async () =>
    PGlite.create({
      dataDir: directory,
      startParams: START_PARAMS,
      ...(isNew && template && { loadDataDir: await template() }),
    });
  const client = await create().catch((error: unknown) => {
    throw new SandboxError(`The database in ${directory} cannot be opened: ${reason(error)}`, { cause: error });
  });
  // Every message to the database goes this way.
  const execute = client.execProtocolRawSync.bind(client);
  client.execProtocolRawSync = (message) => {
    if (!holds()) throw new SandboxError("This sandbox has lost its data directory.");
    return execute(message);
  };
  const database = drizzlePglite(client, { schema });
  await database.execute(sql`set timezone to 'UTC'`);
  return { database, description: "embedded", close: async () => (holds() ? client.close() : undefined) };
}

/** The empty database that comes with the tool, as {@link openEmbedded} takes it. */
export async function emptyDatabase(path: string): Promise<Blob> {
  return new Blob([brotliDecompressSync(await readFile(path))]);
}

/** What a sandbox holds on its database: any number that is the same for all of them. */
const SANDBOX_LOCK = 4_280_001;

/**
 * The database at `url` (`postgres://…`), for this sandbox alone: a connection of its own holds a lock on it, which the server
 * keeps for a sandbox that is suspended, too.
 *
 * @param onLost called when that connection breaks, and the lock with it.
 * @throws {SandboxError} when it cannot be reached, refuses the login, or another sandbox uses it.
 */
export async function openServer(url: string, onLost: () => void): Promise<OpenDatabase> {
  const place = describeServer(url);
  const pool = new Pool({
    connectionString: url,
    // One of them holds the lock.
    max: 11,
    options: "-c timezone=UTC",
    connectionTimeoutMillis: 10_000,
  });
  // A connection that breaks while idle is replaced by the next query; without a listener it would end the process.
  pool.on("error", () => undefined);
  let holder: PoolClient;
  try {
    holder = await pool.connect();
  } catch (error) {
    await pool.end();
    throw new SandboxError(`Cannot use the database ${place}: ${reason(error)}`, {
      cause: error,
    });
  }
  const taken = await holder.query<{ taken: boolean }>("select pg_try_advisory_lock($1) as taken", [SANDBOX_LOCK]);
  if (!taken.rows[0]?.taken) {
    holder.release(true);
    await pool.end();
    throw new SandboxError(`Another sandbox uses the database ${place}.`);
  }
  holder.on("error", onLost);
  return {
    database: drizzleNodePostgres(pool, { schema }),
    description: place,
    close: () => {
      holder.off("error", onLost).on("error", () => undefined);
      holder.release(true);
      return pool.end();
    },
  };
}

function describeServer(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new SandboxError("The database URL is not a URL; it looks like postgres://user:password@host:5432/name.");
  }
  if (parsed.protocol !== "postgres:" && parsed.protocol !== "postgresql:") {
    throw new SandboxError(`The database URL must start with postgres://, not ${parsed.protocol}//.`);
  }
  return `${parsed.host}${parsed.pathname}`;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
