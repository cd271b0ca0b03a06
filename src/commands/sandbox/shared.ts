/** What the sandbox's commands share. Nothing here loads the sandbox itself. */
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { Option } from "@commander-js/extra-typings";
import type { SandboxPlace } from "../../config/sandbox-place.ts";
import type { Context } from "../../context.ts";
import { CliError, type ErrorKind } from "../../errors.ts";
import { assertTrusted, flawsOnTheWay } from "../../files/trust.ts";
import type { RunningSandbox } from "../../sandbox/remote.ts";
import { command, hint, type Hint, type OptionsToType } from "../../typed-command.ts";

export const SANDBOX_PROFILE = "sandbox";

/** The variable that names the database in place of the option, whose value other users of this machine can read. */
export const DATABASE_URL = "KILOCLAW_ADMIN_SANDBOX_DATABASE_URL";

export interface DataDirOptions {
  readonly dataDir?: string | undefined;
}

/** What is needed to find the sandbox that is meant. */
export type SandboxContext = Pick<Context, "host" | "paths" | "platform" | "settings" | "sandboxAt">;

export const dataDirOption = () =>
  new Option("--data-dir <dir>", "where its data is kept, so that it survives a restart");

/**
 * Where the sandbox's data is.
 *
 * @throws CliError `local-state` when others can change it, as {@link assertOwnData} says.
 */
export async function dataDirOf(
  { host, paths }: Pick<Context, "host" | "paths">,
  { dataDir }: DataDirOptions,
): Promise<string> {
  const path = dataDir === undefined ? paths.sandbox : resolve(host.cwd, dataDir);
  await assertOwnData(path);
  return path;
}

/**
 * Where the data is of the sandbox that is meant: the one that `--data-dir` names, else the one that the profile in use leads to, else
 * the one that `--profile sandbox` leads to.
 *
 * @throws CliError `local-state` as {@link dataDirOf}
 */
export async function meantDataDir(context: SandboxContext, options: DataDirOptions): Promise<string> {
  const place = options.dataDir === undefined ? await placeOfProfile(context) : undefined;
  return dataDirOf(context, place ?? options);
}

/** Settings that cannot be used must not keep anybody from stopping a sandbox. */
async function placeOfProfile({ platform, settings, sandboxAt }: SandboxContext): Promise<SandboxPlace | undefined> {
  const ofSandbox = async () => (await settings()).of(SANDBOX_PROFILE).platform().host;
  for (const origin of [async () => (await platform()).origin, ofSandbox]) {
    const place = await origin()
      .then((at) => sandboxAt(at))
      .catch(() => undefined);
    if (place) return place;
  }
  return undefined;
}

/**
 * Checks that nobody else has made or can change a sandbox's data: whoever knows its secret is an admin there, and what runs execute
 * runs as the sandbox's user. What is in it counts as well: the folder may have been open to others before, and a secret that others
 * may know is not made good by a `chmod`.
 *
 * @throws CliError `local-state` with what to do.
 */
export async function assertOwnData(path: string): Promise<void> {
  const { secretFile, stateFile } = await import("../../sandbox/state-file.ts");
  assertTrusted(path, "state");
  const secrets = [secretFile(path), stateFile(path)];
  for (const file of namesIn(path).map((name) => join(path, name))) {
    const flaw = flawsOnTheWay(file, secrets.includes(file) ? "token" : "settings").find(({ refused }) => refused);
    if (flaw === undefined) continue;
    throw new CliError("local-state", `${flaw.path} cannot be trusted: ${flaw.what}`, {
      hint: "use a new directory for the sandbox (--data-dir), or delete this one",
    });
  }
}

/** None where there is no such folder, or it cannot be read: using it says more. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** A command for the sandbox in this directory, to be typed from anywhere. */
export function sandboxCommand(
  verb: string,
  { paths }: Pick<Context, "paths">,
  dataDir: string,
  options: OptionsToType = {},
): Hint {
  return command(`sandbox ${verb}`, { ...options, "--data-dir": dataDir === paths.sandbox ? undefined : dataDir });
}

/** Says that the port that the sandbox has had, or has by default, was taken. */
export function sayOtherPort({ output }: Pick<Context, "output">, wanted: number, url: string): void {
  const port = Number(new URL(url).port);
  if (wanted !== 0 && port !== wanted)
    output.note(`port ${wanted} is in use; the sandbox has port ${port} from now on`);
}

/** Lets the sandbox's own errors end the command in an orderly way: they are for its user. */
export async function orderly<T>(work: Promise<T>, kind: ErrorKind = "local-state"): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error && error.name === "SandboxError")
      throw new CliError(kind, error.message, { cause: error });
    throw error;
  }
}

/**
 * The running sandbox.
 *
 * @throws CliError `not-found` when none is running there.
 */
export async function runningSandbox(context: SandboxContext, options: DataDirOptions): Promise<RunningSandbox> {
  const { findSandbox } = await import("../../sandbox/remote.ts");
  const dataDir = await meantDataDir(context, options);
  const sandbox = await orderly(findSandbox(dataDir));
  if (sandbox) return sandbox;
  throw new CliError("not-found", `no sandbox is running in ${dataDir}`, {
    hint: hint`start it: ${sandboxCommand("start", context, dataDir, { "--detach": true })}`,
  });
}
