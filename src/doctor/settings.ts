import { lstat } from "node:fs/promises";
import { configPath } from "../config/config-file.ts";
import { unknownKeysOf, unknownWords } from "../config/settings-table.ts";
import { CliError } from "../errors.ts";
import { flawsOnTheWay } from "../files/trust.ts";
import { command, hint } from "../typed-command.ts";
import { fail, ok, warn, type Check } from "./check.ts";

export const SETTINGS: readonly Check[] = [
  {
    stage: "settings",
    name: "config-file",
    look: async ({ setup }) => {
      const path = configPath(setup.paths.config);
      const exists = await lstat(path).catch(() => undefined);
      const flaws = flawsOnTheWay(path, "settings");
      const flaw = flaws.find(({ refused }) => refused) ?? flaws[0];
      if (exists && flaw?.refused) {
        return fail(
          `the settings are not used: ${flaw.path}: ${flaw.what}`,
          flaw.remedy,
          hint`or move them aside: ${command("doctor", { "--fix": true })}`,
        );
      }
      try {
        const config = await setup.config();
        const { profiles } = config;
        const [unknown] = unknownKeysOf(config);
        if (unknown) {
          const near =
            unknown.near === undefined ? "a newer kiloclaw-admin may know it" : `did you mean ${unknown.near}?`;
          return warn(`${unknownWords(unknown)} of ${path}`, `correct or remove it there; ${near}`);
        }
        if (flaw) return warn(`${flaw.path}: ${flaw.what}`, flaw.remedy);
        if (!exists) return ok(`none, and the defaults apply (${path})`);
        const names = Object.keys(profiles);
        return ok(`${path}, profiles: ${names.length > 0 ? names.join(", ") : "none"}`);
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        return fail(error.message, hint`fix it, or move it aside: ${command("doctor", { "--fix": true })}`);
      }
    },
  },
  {
    stage: "settings",
    name: "address",
    needs: ["config-file"],
    look: async ({ setup }) => {
      const { origin, profile, hostSource } = await setup.platform();
      if (hostSource.startsWith("profile ")) return ok(`${origin}, from ${hostSource}`);
      return ok(`${origin}, ${hostSource === "default" ? "the default" : `from ${hostSource}`} (profile "${profile}")`);
    },
  },
];
