import { platform, tmpdir, userInfo } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { CliError } from "../errors.ts";

export interface Paths {
  /** Settings and credentials. */
  readonly config: string;
  /** What the tool keeps about what it did: outputs of cancelled runs. */
  readonly state: string;
  /** The sandbox's own data, unless `--data-dir` says otherwise. */
  readonly sandbox: string;
  /** The system's folder for temporary files. */
  readonly temporary: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What is known of the machine beside the environment. */
export interface Machine {
  readonly platform: string;
  /** The home directory in the system's list of users; `undefined` for a user who is not in it. */
  listedHome(): string | undefined;
}

const NAME = "kiloclaw-admin";

/**
 * Where files go: the system's conventional places, or everything below `KILOCLAW_ADMIN_CONFIG_DIR`. Never below the working
 * directory, unless that variable says so: a journal that moves with it is lost.
 *
 * @throws CliError `local-state` when there is no home directory, and nothing that stands for it.
 */
export function resolvePaths(env: Environment, machine: Machine = thisMachine): Paths {
  const temporary = absolute(env.TMPDIR) ?? tmpdir();
  const own = env.KILOCLAW_ADMIN_CONFIG_DIR;
  if (own) {
    const root = resolve(own);
    return { config: root, state: join(root, "state"), sandbox: join(root, "sandbox"), temporary };
  }
  const { config, state, data } = conventional(env, machine);
  return { config, state, sandbox: join(data, "sandbox"), temporary };
}

function conventional(env: Environment, machine: Machine): Readonly<Record<"config" | "state" | "data", string>> {
  const inHome = (...names: string[]) => join(homeOf(env, machine), ...names);
  switch (machine.platform) {
    case "darwin":
      return {
        config: inHome("Library", "Preferences", NAME),
        state: inHome("Library", "Logs", NAME),
        data: inHome("Library", "Application Support", NAME),
      };
    case "win32": {
      const local = absolute(env.LOCALAPPDATA) ?? inHome("AppData", "Local");
      return {
        config: join(absolute(env.APPDATA) ?? inHome("AppData", "Roaming"), NAME, "Config"),
        state: join(local, NAME, "Log"),
        data: join(local, NAME, "Data"),
      };
    }
    default:
      // The XDG Base Directory Specification: a path in these variables that is not absolute is to be ignored.
      return {
        config: join(absolute(env.XDG_CONFIG_HOME) ?? inHome(".config"), NAME),
        state: join(absolute(env.XDG_STATE_HOME) ?? inHome(".local", "state"), NAME),
        data: join(absolute(env.XDG_DATA_HOME) ?? inHome(".local", "share"), NAME),
      };
  }
}

function homeOf(env: Environment, machine: Machine): string {
  const home = absolute(machine.platform === "win32" ? env.USERPROFILE : env.HOME) ?? absolute(machine.listedHome());
  if (home !== undefined) return home;
  throw new CliError("local-state", "this user has no home directory to keep settings and records in", {
    hint: "name a directory for them: export KILOCLAW_ADMIN_CONFIG_DIR=DIRECTORY",
  });
}

function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}

const thisMachine: Machine = {
  platform: platform(),
  listedHome: () => {
    try {
      return userInfo().homedir;
    } catch {
      return undefined;
    }
  },
};
