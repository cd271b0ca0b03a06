import { checkCredentials, saveToken, saveTokenInKeyring } from "../../../config/credentials.ts";
import type { Context } from "../../../context.ts";
import { isOn } from "../../../environment.ts";
import { CliError, messageOf } from "../../../errors.ts";
import { hint, type Hint } from "../../../typed-command.ts";

/** Stores a token for an origin, and says where it put it. */
export type Store = (origin: string, token: string) => Promise<string>;

type Needs = Pick<Context, "configFolder" | "host" | "keyring" | "platform">;

/**
 * Decides where a token will be kept, before there is one: a login whose token then has no place would be spent for nothing.
 *
 * @param inFile what to type to log in this way, with the token kept in a file.
 * @throws CliError `local-state` when the keyring cannot be used and a file is not allowed.
 */
export async function openStorage(context: Needs, insecure: boolean, inFile: Hint): Promise<Store> {
  const { configFolder, host, keyring } = context;
  await checkCredentials(configFolder.directory);
  const allowed = isOn(host.env.KILOCLAW_ADMIN_INSECURE_STORAGE);
  if (insecure || allowed) return (origin, token) => saveToken(configFolder, origin, token, keyring);
  const { origin } = await context.platform();
  try {
    await (await keyring()).get(origin);
  } catch (error) {
    throw new CliError("local-state", `the system's keyring cannot be used to keep a token: ${messageOf(error)}`, {
      hint: [
        hint`keep it in a file that only you can read: ${inFile}`,
        "or store nothing, and put an admin's token into KILOCLAW_ADMIN_TOKEN",
      ],
      cause: error,
    });
  }
  return (origin, token) => saveTokenInKeyring(configFolder, origin, token, keyring);
}
