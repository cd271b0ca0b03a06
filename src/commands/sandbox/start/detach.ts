import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, open, readFile, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { wait } from "../../../async/wait.ts";
import type { Context } from "../../../context.ts";
import { CliError, messageOf } from "../../../errors.ts";
import { assertTrusted } from "../../../files/trust.ts";
import { command, hint, type Hint } from "../../../typed-command.ts";
import { DATABASE_URL, orderly, SANDBOX_PROFILE, sayOtherPort } from "../shared.ts";

export interface DetachedOptions {
  /** Absent: as the sandbox would have it by itself. */
  readonly port?: number | undefined;
  readonly dataDir: string;
  readonly databaseUrl?: string | undefined;
  readonly users?: number | undefined;
  readonly agent?: string | undefined;
}

const USE = command("runs list", { "--profile": SANDBOX_PROFILE });

const START_LIMIT_MS = 90_000;
const LOOK_EVERY_MS = 100;

/**
 * Starts the sandbox as a process of its own and waits until it answers.
 *
 * @param how `stop` is what to type to stop it, `wantedPort` the port that it has if that is free.
 * @throws CliError `conflict` when one is already running there; `local-state` when it does not come up, with the end of what
 *   it said.
 */
export async function startDetached(
  { host, output }: Pick<Context, "host" | "output">,
  dataDir: string,
  options: DetachedOptions,
  { stop, wantedPort }: { readonly stop: Hint; readonly wantedPort: number },
): Promise<void> {
  const { findSandbox } = await import("../../../sandbox/remote.ts");
  const running = await orderly(findSandbox(dataDir));
  if (running) {
    throw new CliError("conflict", `a sandbox is already running at ${running.url} (process ${running.pid})`, {
      hint: [hint`use it: ${USE}`, hint`stop it: ${stop}`],
    });
  }
  const progress = await output.busy("starting the sandbox");
  try {
    // Beside the data, not in it: an empty data directory is what a new sandbox starts from.
    const logPath = `${dataDir}.log`;
    const log = await openLog(logPath);
    const child = spawn(host.nodePath, [join(host.root, "bin", "kiloclaw-admin.js"), ...argumentsFor(options)], {
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
      // Arguments are for everybody on this machine to read; and a sandbox has no use for a token.
      env: { ...host.env, NO_COLOR: "1", KILOCLAW_ADMIN_TOKEN: undefined, [DATABASE_URL]: options.databaseUrl },
      cwd: host.cwd,
    });
    child.unref();
    await log.close();
    const url = await waitUntilUp(child, async () => (await findSandbox(dataDir))?.url, logPath);
    progress.stop();
    output.success(`the sandbox is at ${url}; --profile ${SANDBOX_PROFILE} leads there, logged in as an admin`);
    output.line(url);
    sayOtherPort({ output }, wantedPort, url);
    output.note(`its log: ${logPath}`);
    output.note(hint`try it: ${USE}`);
    output.note(hint`stop it: ${stop}`);
  } finally {
    progress.stop();
  }
}

async function openLog(path: string): Promise<FileHandle> {
  // The folder may be open to all, such as the system's for temporary files: a link there would lead to another file of the user's.
  assertTrusted(path, "record");
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    return await open(path, "w", 0o600);
  } catch (error) {
    throw new CliError("local-state", `cannot write ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function argumentsFor({ port, dataDir, users, agent }: DetachedOptions): string[] {
  return [
    "sandbox",
    "start",
    ...(port === undefined ? [] : ["--port", String(port)]),
    "--data-dir",
    dataDir,
    ...(users === undefined ? [] : ["--users", String(users)]),
    ...(agent === undefined ? [] : ["--agent", agent]),
  ];
}

async function waitUntilUp(
  child: ChildProcess,
  look: () => Promise<string | undefined>,
  logPath: string,
): Promise<string> {
  const deadline = Date.now() + START_LIMIT_MS;
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    const url = await look();
    // Its last step is to log you in; the line that says so is in its log then.
    if (url !== undefined && (await readFile(logPath, "utf8")).includes(url)) return url;
    await wait(LOOK_EVERY_MS);
  }
  child.kill();
  const said = (await readFile(logPath, "utf8")).trim().split("\n").slice(-5);
  throw new CliError("local-state", "the sandbox did not start", { hint: [...said, `its log: ${logPath}`] });
}
