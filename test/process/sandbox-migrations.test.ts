/** The migrations on a real server, as on a populated table that others write to. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { type PostgresServer, startPostgres } from "../support/postgres.ts";
import { ASSETS, openSandbox } from "../support/sandbox.ts";

const server = await startPostgres();

/** How long an insert that nothing blocks may take here. */
const PROMPT_MS = 2_000;

const INSERT = `insert into kiloclaw_cli_runs (user_id, prompt, initiated_by_admin_id) values ('u', 'during', 'u')`;
const CONSTRAINT = "kiloclaw_cli_runs_initiated_by_admin_id_kilocode_users_id_fk";

const migration = (tag: string) => readFile(join(ASSETS.migrations, `${tag}.sql`), "utf8");

describe.skipIf(!server)("migrations on a real server", () => {
  const clients: Client[] = [];
  let url = "";
  let name = 0;

  const connect = async () => {
    const client = new Client({ connectionString: url });
    await client.connect();
    clients.push(client);
    return client;
  };

  beforeEach(async () => {
    const admin = new Client({ connectionString: running(server).url });
    await admin.connect();
    await admin.query(`create database test_${++name}`);
    await admin.end();
    url = running(server).url.replace(/postgres$/, `test_${name}`);
  });

  afterAll(async () => {
    await Promise.all(clients.map((client) => client.end()));
    await server?.stop();
  });

  /** The tables before the migration, with a run in them, and the migration's column. */
  const populated = async () => {
    const client = await connect();
    await client.query((await migration("0000_cli_runs")).replaceAll("--> statement-breakpoint", ""));
    await client.query(
      `insert into kilocode_users (id, google_user_email, google_user_name, google_user_image_url, stripe_customer_id, app_store_account_token)
       values ('u', 'u@example.com', 'U', '', 'cus_u', gen_random_uuid())`,
    );
    await client.query(`insert into kiloclaw_cli_runs (user_id, prompt) values ('u', 'before')`);
    return client;
  };

  test("an insert passes while the constraint is being validated", async () => {
    const migrator = await populated();
    await migrator.query((await migration("0001_initiated_by_admin")).replaceAll("--> statement-breakpoint", ""));
    expect(await isValidated(migrator)).toBe(false);

    // Validation done, its transaction and with it its locks still open: what a scan of a big table is to others.
    await migrator.query("begin");
    await migrator.query(await migration("0002_validate_initiated_by_admin"));
    const writer = await connect();
    await writer.query(`set statement_timeout = ${PROMPT_MS}`);
    await expect(writer.query(INSERT)).resolves.toMatchObject({ rowCount: 1 });
    await migrator.query("commit");

    expect(await isValidated(migrator)).toBe(true);
    await expect(writer.query(INSERT.replaceAll("'u')", "'nobody')"))).rejects.toThrow(CONSTRAINT);
  });

  test("the same insert is blocked by a constraint that is validated where it is added", async () => {
    const migrator = await populated();
    await migrator.query("begin");
    await migrator.query(
      (await migration("0001_initiated_by_admin"))
        .replaceAll("--> statement-breakpoint", "")
        .replace("NOT VALID;", ";"),
    );
    const writer = await connect();
    await writer.query(`set statement_timeout = ${PROMPT_MS}`);
    await expect(writer.query(INSERT)).rejects.toThrow("statement timeout");
    await migrator.query("rollback");
  });

  test("each migration is a transaction of its own, done once", async () => {
    const sandbox = await openSandbox({ databaseUrl: url });
    await sandbox.stop();
    const client = await connect();
    const history = () =>
      client.query("select xmin::text as transaction from drizzle.__drizzle_migrations order by id");
    const first = await history();
    expect(new Set(first.rows.map(({ transaction }: { transaction: string }) => transaction)).size).toBe(3);
    const again = await openSandbox({ databaseUrl: url });
    expect((await again.remote.status()).runs).toBe(126);
    await again.stop();
    expect((await history()).rows).toEqual(first.rows);
  });

  test("two sandboxes never share a database; one that loses its lock on it stops", async () => {
    const first = await openSandbox({ databaseUrl: url });
    await expect(openSandbox({ databaseUrl: url })).rejects.toThrow(/^Another sandbox uses the database /);
    expect((await first.remote.status()).runs).toBe(126);
    await first.stop();

    const second = await openSandbox({ databaseUrl: url });
    const client = await connect();
    await client.query("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'");
    await expect(second.sandbox.stopped).rejects.toThrow("lost its connection to the database");
    await expect(fetch(second.url)).rejects.toThrow("fetch failed");
    await expect(second.stop()).rejects.toThrow("lost its connection");
    await rm(second.dataDir, { recursive: true });
  });

  test("a database with tables of somebody else is refused and left alone", async () => {
    const client = await connect();
    await client.query("create table kilocode_users (precious text)");
    await expect(openSandbox({ databaseUrl: url })).rejects.toThrow(/cannot be brought up to date: .*already exists/);
    const { rows } = await client.query("select tablename from pg_tables where schemaname = 'public'");
    expect(rows).toEqual([{ tablename: "kilocode_users" }]);
  });

  test("a sandbox on a server keeps PostgreSQL's timestamps and forgets an admin who is deleted", async () => {
    const { url: origin, adminToken, stop } = await openSandbox({ databaseUrl: url });
    try {
      const client = await connect();
      await client.query("delete from kilocode_users where google_user_email = 'otto.oncall@kilocode.ai'");
      const input = encodeURIComponent(JSON.stringify({ userId: "c0000000-0000-4000-8000-000000000004" }));
      const response = await fetch(`${origin}/api/trpc/admin.kiloclawInstances.listKiloCliRuns?input=${input}`, {
        headers: { authorization: `Bearer ${adminToken}` },
      });
      expect(await response.json()).toMatchObject({
        result: {
          data: {
            runs: [
              { initiated_by_admin_id: null, started_at: "2026-05-12 12:00:00.25+00" },
              { started_at: "2026-05-11 12:00:00+00", completed_at: "2026-05-11 12:00:30.5+00" },
              { started_at: "2026-05-10 12:00:00.123456+00" },
            ],
          },
        },
      });
    } finally {
      await stop();
    }
  });
});

function running(found: PostgresServer | undefined): PostgresServer {
  if (!found) throw new Error("no PostgreSQL for this platform");
  return found;
}

async function isValidated(client: Client): Promise<unknown> {
  const { rows } = await client.query("select convalidated from pg_constraint where conname = $1", [CONSTRAINT]);
  return (rows[0] as { convalidated: boolean } | undefined)?.convalidated;
}
