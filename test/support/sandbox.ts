/** A sandbox for a test, in this process, on a directory of its own. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PGlite } from "@electric-sql/pglite";
import { findSandbox, type RunningSandbox } from "../../src/sandbox/remote.ts";
import { type Sandbox, type SandboxOptions, startSandbox } from "../../src/sandbox/sandbox.ts";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Where the sandbox finds what it needs; the agent is the built one. */
export const ASSETS: SandboxOptions["assets"] = {
  nodePath: process.execPath,
  agentScript: at("../../dist/agent.cjs"),
  migrations: at("../../src/sandbox/database/migrations"),
  database: at("../../dist/database.tar.br"),
  browser: at("../../src/sandbox/web/browser"),
};

const CACHE = at("../../node_modules/.cache/kiloclaw-admin");

/** What decides how a new database looks: a template is used again until one of these changes. */
const TEMPLATE_SOURCES = [
  "../../src/sandbox/database",
  "../../src/sandbox/database/migrations",
  "../../src/sandbox/seed",
];

/** It answers, however much else this machine has to do. */
const ANSWER_MS = 60_000;

export interface TestSandbox {
  readonly sandbox: Sandbox;
  readonly url: string;
  readonly dataDir: string;
  readonly adminToken: string;
  readonly remote: RunningSandbox;
  /** Stops the sandbox and deletes its directory; a borrowed one is given back. */
  stop(): Promise<void>;
}

/** A directory for a sandbox, deleted by `remove`. */
export async function temporaryDirectory(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "kiloclaw-sandbox-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Starts a sandbox from the cached template. Stop it when the test is over, whatever happened. */
export async function openSandbox(options: Partial<SandboxOptions> = {}): Promise<TestSandbox> {
  const directory = options.dataDir === undefined ? await temporaryDirectory() : undefined;
  const dataDir = options.dataDir ?? directory?.path ?? "";
  const sandbox = await startSandbox({ ...(await sandboxOptions(dataDir)), ...options }).catch(
    async (error: unknown) => {
      await directory?.remove();
      throw error;
    },
  );
  const remote = await findSandbox(dataDir, ANSWER_MS);
  if (!remote) throw new Error("the sandbox does not answer");
  return {
    sandbox,
    url: sandbox.url,
    dataDir,
    adminToken: sandbox.adminToken,
    remote,
    stop: async () => {
      await sandbox.stop();
      await directory?.remove();
    },
  };
}

/** The options of a sandbox in `dataDir`, ready for {@link startSandbox}. */
export async function sandboxOptions(dataDir: string): Promise<SandboxOptions> {
  // Newer Node warns on standard error, which is part of a run's output, when both of these are set.
  const env = { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined };
  return { dataDir, assets: ASSETS, pid: process.pid, env, template };
}

let cached: Promise<Blob> | undefined;

/** The dump of a seeded database, made once per version of the migrations and the seed. */
function template(): Promise<Blob> {
  cached ??= loadTemplate();
  return cached;
}

async function loadTemplate(): Promise<Blob> {
  const file = join(CACHE, `sandbox-${await sourcesHash()}.tar`);
  try {
    return new Blob([await readFile(file)]);
  } catch {
    const dump = await makeTemplate();
    await mkdir(CACHE, { recursive: true });
    // Another worker may be doing the same: whoever renames last wins, with the same content.
    const temporary = `${file}.${process.pid}`;
    await writeFile(temporary, Buffer.from(await dump.arrayBuffer()));
    await rename(temporary, file);
    return dump;
  }
}

async function makeTemplate(): Promise<Blob> {
  const directory = await temporaryDirectory();
  try {
    const sandbox = await startSandbox({ dataDir: directory.path, assets: ASSETS, pid: process.pid, env: {} });
    await sandbox.stop();
    const database = await PGlite.create(join(directory.path, "database"));
    const dump = await database.dumpDataDir("none");
    await database.close();
    return dump;
  } finally {
    await directory.remove();
  }
}

async function sourcesHash(): Promise<string> {
  const hash = createHash("sha256");
  for (const folder of TEMPLATE_SOURCES.map(at)) {
    const files = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile());
    for (const { name } of files) hash.update(name).update(await readFile(join(folder, name)));
  }
  return hash.digest("hex").slice(0, 16);
}
