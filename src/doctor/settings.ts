import { lstat } from "node:fs/promises";
import { userInfo } from "node:os";
import { configPath } from "../config/config-file.ts";
import { CliError } from "../errors.ts";
import { fail, ok, warn, type Check } from "./check.ts";
import { typed } from "./presentable.ts";

export const SETTINGS: readonly Check[] = [
  {
    stage: "settings",
    name: "config-file",
    look: async ({ setup }) => {
      const path = configPath(setup.paths.config);
      try {
        const { profiles } = await setup.config();
        const open = (await othersMayWrite(path)) ?? (await othersMayWrite(setup.paths.config));
        if (open) return open;
        if (!(await statsOf(path))) return ok(`none, and the defaults apply (${path})`);
        const names = Object.keys(profiles);
        return ok(`${path}, profiles: ${names.length > 0 ? names.join(", ") : "none"}`);
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        return fail(error.message, "mend it, or move it aside: kiloclaw-admin doctor --fix");
      }
    },
  },
  {
    stage: "settings",
    name: "address",
    needs: ["config-file"],
    look: async ({ setup }) => {
      const { origin, profile, hostSource } = await setup.target();
      if (hostSource.startsWith("profile ")) return ok(`${origin}, from ${hostSource}`);
      return ok(`${origin}, ${hostSource === "default" ? "the default" : `from ${hostSource}`} (profile "${profile}")`);
    },
  },
];

/** Whoever may write there decides which platform is talked to. */
async function othersMayWrite(path: string) {
  const stats = await statsOf(path);
  const { uid } = userInfo();
  // -1: a system without user numbers, and without these permissions.
  if (!stats || uid === -1) return undefined;
  if (stats.uid !== uid) return warn(`${path} belongs to another user`, `sudo chown "$(id -u)" ${typed(path)}`);
  if ((stats.mode & 0o022) === 0) return undefined;
  return warn(`${path} may be changed by others`, `chmod go-w ${typed(path)}`);
}

async function statsOf(path: string) {
  return lstat(path).catch(() => undefined);
}
