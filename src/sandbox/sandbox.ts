/** The sandbox: the platform's recovery runs on this machine, put together from its parts. */
import { mkdir, rm } from "node:fs/promises";
import { eq } from "drizzle-orm";
import type { SandboxStatus } from "./control-api.ts";
import { type DataDirectory, takeDataDirectory } from "./data-directory.ts";
import { emptyDatabase, type OpenDatabase, openEmbedded, openServer } from "./database/database.ts";
import { migrate } from "./database/migrate.ts";
import { cliRuns, instances, users } from "./database/schema.ts";
import { Faults } from "./faults.ts";
import { splitCommand } from "./machines/command-line.ts";
import { Worker } from "./machines/worker.ts";
import { AuditLog } from "./platform/audit-log.ts";
import { Authenticator } from "./platform/auth.ts";
import { DeviceAuth } from "./platform/device-auth.ts";
import { RunRecords } from "./platform/run-records.ts";
import { SandboxError } from "./sandbox-error.ts";
import { ADMIN } from "./seed/people.ts";
import { seed, wipe } from "./seed/seed.ts";
import { Teardown } from "./teardown.ts";
import { createApp } from "./web/app.ts";
import { writeOpeningFile } from "./web/opening-file.ts";
import { RequestLog } from "./web/request-log.ts";
import { newSecret } from "./web/secrets.ts";
import { checkPort, listen } from "./web/server.ts";
import { Sessions } from "./web/sessions.ts";

export { SandboxError } from "./sandbox-error.ts";

export interface SandboxOptions {
  /** 0 or absent: any free port. The sandbox listens on 127.0.0.1 only. */
  readonly port?: number | undefined;
  /** Any free port, where that one is in use. */
  readonly orAnyPort?: boolean;
  readonly dataDir: string;
  /** `postgres://…`: that server instead of the embedded database. */
  readonly databaseUrl?: string | undefined;
  /** So many more users, each with a personal instance that runs. */
  readonly extraUsers?: number | undefined;
  /** What a run executes instead of the built-in repair program, such as `kilo run --auto`; the prompt is appended. */
  readonly agentCommand?: string | undefined;
  readonly assets: {
    readonly nodePath: string;
    /** The built-in repair program. */
    readonly agentScript: string;
    readonly migrations: string;
    /** An empty database. */
    readonly database: string;
    /** A folder with what the pages' browsers load. */
    readonly browser: string;
  };
  /** For the state file: the process that runs the sandbox. */
  readonly pid: number;
  /** For the runs' processes. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A PGlite dump to make a new embedded database from; that of an empty one unless told. */
  readonly template?: (() => Promise<Blob>) | undefined;
}

export interface Sandbox {
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly adminEmail: string;
  readonly adminToken: string;
  /** Resolves when the sandbox has stopped, whoever stopped it. */
  readonly stopped: Promise<void>;
  /** Stops all runs, deletes all data and seeds anew, with so many more users; goes on running, and tokens stay valid. */
  reset(extraUsers: number): Promise<void>;
  /** Closes all connections, kills all runs, closes the database, gives up the directory. */
  stop(): Promise<void>;
}

/** What is no business of what a run executes: credentials of the command line, and of the database. */
const PRIVATE_ENVIRONMENT = /^(?:KILOCLAW_ADMIN_|PG)/;

/**
 * Starts a sandbox.
 *
 * @throws {SandboxError} when its user can put right what is wrong: the directory or port is taken, the database unreachable.
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const command = agentCommand(options);
  checkPort(options.port ?? 0);
  const teardown = new Teardown();
  try {
    const lost = (what: string) => () => void teardown.run(new SandboxError(`This sandbox has lost its ${what}.`));
    const directory = await takeDataDirectory(
      options.dataDir,
      lost(`data directory ${options.dataDir} to another one, while its process was suspended`),
    );
    teardown.add(() => directory.release());
    const opened = await openDatabase(options, directory, lost("connection to the database"));
    teardown.add(() => opened.close());
    await migrate(opened.database, options.assets.migrations);
    if (await seed(opened.database, options.extraUsers ?? 0)) await directory.markMade();
    return await assemble({ ...options, command }, directory, opened, teardown);
  } catch (error) {
    await teardown.run().catch(() => undefined);
    throw error;
  }
}

async function assemble(
  options: SandboxOptions & { readonly command: readonly [string, ...string[]] },
  directory: DataDirectory,
  { database, description }: OpenDatabase,
  teardown: Teardown,
): Promise<Sandbox> {
  const faults = new Faults();
  const requests = new RequestLog();
  const audit = new AuditLog(database, faults);
  const authenticator = new Authenticator(database, directory.secret);
  const worker = new Worker({
    instancesDirectory: directory.instances,
    command: options.command,
    env: childEnvironment(options.env),
    faults,
  });
  teardown.add(() => worker.close());
  const [controlToken, key] = [newSecret(), newSecret()];
  const sessions = new Sessions({ id: directory.id, key });
  teardown.add(() => sessions.endTickets());
  const startedAt = new Date().toISOString();
  const publish = () =>
    directory.publish({ id: directory.id, pid: options.pid, url: server.url, controlToken, key, startedAt });
  const reset = async (extraUsers: number): Promise<void> => {
    await worker.restart();
    faults.clear();
    // First: with another one's data it would be taken for the one before.
    await directory.renewId();
    await publish();
    await wipe(database);
    await rm(directory.instances, { recursive: true, force: true });
    if (await seed(database, extraUsers)) await directory.markMade();
  };
  const app = createApp({
    services: { database, worker, audit, runs: new RunRecords({ database, worker, audit, faults }) },
    authenticator,
    deviceAuth: new DeviceAuth(database, authenticator),
    faults,
    requests,
    secret: directory.secret,
    sessions,
    browserAssets: options.assets.browser,
    control: {
      controlToken,
      status: async (): Promise<SandboxStatus> => ({
        id: directory.id,
        url: server.url,
        pid: options.pid,
        dataDir: directory.path,
        database: description,
        startedAt,
        adminEmail: ADMIN.email,
        users: await database.$count(users),
        instances: await database.$count(instances),
        runs: await database.$count(cliRuns),
      }),
      openingFile: (next) => writeOpeningFile(directory.path, { sessions, origin: server.url, next, userId: ADMIN.id }),
      stop: () => setImmediate(() => void teardown.run()),
      reset: () => reset(options.extraUsers ?? 0),
    },
  });
  const server = await listen(app, options.port ?? 0, { orAny: options.orAnyPort ?? false });
  teardown.add(() => server.close());
  await mkdir(directory.instances, { recursive: true });
  const [admin] = await database.select().from(users).where(eq(users.id, ADMIN.id));
  if (!admin) throw new Error("the seeded admin is missing");
  const adminToken = await authenticator.mint(admin);
  await directory.rememberPort(server.port);
  await publish();
  return {
    url: server.url,
    port: server.port,
    dataDir: directory.path,
    adminEmail: ADMIN.email,
    adminToken,
    stopped: teardown.done,
    reset,
    stop: () => teardown.run(),
  };
}

function openDatabase(
  { databaseUrl, assets, template = () => emptyDatabase(assets.database) }: SandboxOptions,
  directory: DataDirectory,
  onLost: () => void,
): Promise<OpenDatabase> {
  return databaseUrl === undefined
    ? openEmbedded(directory.database, directory.holds, template)
    : openServer(databaseUrl, onLost);
}

function agentCommand({ agentCommand: command, assets }: SandboxOptions): readonly [string, ...string[]] {
  return command === undefined ? [assets.nodePath, assets.agentScript] : splitCommand(command);
}

function childEnvironment(env: SandboxOptions["env"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !PRIVATE_ENVIRONMENT.test(entry[0]),
    ),
  );
}
