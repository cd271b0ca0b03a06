import { lstat } from "node:fs/promises";
import { readClaims } from "../api/token.ts";
import { checkCredentials, credentialsPath } from "../config/credentials.ts";
import { KeyringUnavailable } from "../config/keyring.ts";
import { CliError } from "../errors.ts";
import { flawsOnTheWay } from "../files/trust.ts";
import { command, hint } from "../typed-command.ts";
import { fail, ok, warn, type Check } from "./check.ts";
import { typed } from "./presentable.ts";
import type { Setup } from "./setup.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const SOON_DAYS = 30;

/** The keyring is asked about an account that cannot exist: whether it answers can be seen without reading a token. */
const NOBODY = "https://doctor.invalid";

export const LOGIN: readonly Check[] = [
  {
    stage: "login",
    name: "credentials-file",
    look: async ({ setup }) => {
      const path = credentialsPath(setup.paths.config);
      const stats = await lstat(path).catch(() => undefined);
      try {
        await checkCredentials(setup.paths.config);
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        const flaw = flawsOnTheWay(path, "token").find(({ refused }) => refused);
        const found = flaw ? `${flaw.path}: ${flaw.what}` : error.message;
        const remedy = flaw?.remedy ?? `mv ${typed(path)} ${typed(`${path}.broken`)}`;
        return ((await isPassedOver(setup)) ? warn : fail)(found, remedy);
      }
      return ok(stats ? `${path}, yours alone` : "none");
    },
  },
  {
    stage: "login",
    name: "token",
    needs: ["address", "credentials-file"],
    look: async (examined) => {
      const credential = await examined.credential();
      const anew = await examined.setup.advice();
      if (!credential) return fail("there is none for this platform", ...anew);
      const { source, token } = credential;
      const expiresAt = readClaims(token)?.expiresAt;
      if (!expiresAt) return ok(`from ${source}; it does not say when it expires`);
      const days = Math.floor((expiresAt.getTime() - Date.now()) / DAY_MS);
      const day = expiresAt.toISOString().slice(0, 10);
      if (days < 0) return fail(`from ${source}; it expired on ${day}`, ...anew);
      if (days < SOON_DAYS) return warn(`from ${source}; it expires in ${days} days, on ${day}`, ...anew);
      return ok(`from ${source}, until ${day}`);
    },
  },
  {
    stage: "login",
    name: "keyring",
    needs: ["address", "credentials-file"],
    look: async (examined) => {
      try {
        await (await examined.setup.keyring()).get(NOBODY);
        return ok("usable");
      } catch (error) {
        if (!(error instanceof KeyringUnavailable)) throw error;
        const why = `not usable: ${error.message}`;
        const credential = await examined.credential().catch(() => undefined);
        if (credential) return warn(`${why}; not needed now, the token is elsewhere`);
        return fail(
          why,
          "unlock it, or put an admin's token into KILOCLAW_ADMIN_TOKEN",
          hint`or keep the token in a file that only you can read: ${command("auth login", { "--insecure-storage": true })}`,
        );
      }
    },
  },
];

/** Where the variable is meant for the platform, it goes before the file, which is not even looked at then. */
async function isPassedOver({ host, platform }: Setup): Promise<boolean> {
  if (!host.env.KILOCLAW_ADMIN_TOKEN) return false;
  return platform().then(
    ({ takesVariable }) => takesVariable,
    () => false,
  );
}
