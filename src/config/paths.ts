import { join, resolve } from "node:path";
import envPaths from "env-paths";

export interface Paths {
  /** Settings and credentials. */
  readonly config: string;
  /** What the tool keeps about what it did: outputs of cancelled runs. */
  readonly state: string;
  /** The sandbox's own data, unless `--data-dir` says otherwise. */
  readonly sandbox: string;
}

/** Where files go: the system's conventional places, or everything below `KILOCLAW_ADMIN_CONFIG_DIR`. */
export function resolvePaths(env: Readonly<Record<string, string | undefined>>): Paths {
  const own = env.KILOCLAW_ADMIN_CONFIG_DIR;
  if (own) {
    const root = resolve(own);
    return { config: root, state: join(root, "state"), sandbox: join(root, "sandbox") };
  }
  const { config, log, data } = envPaths("kiloclaw-admin", { suffix: "" });
  return { config, state: log, sandbox: join(data, "sandbox") };
}
