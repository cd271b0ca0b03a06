import type { Command } from "@commander-js/extra-typings";
import { removeToken } from "../../config/credentials.ts";
import type { Context, OpenContext } from "../../context.ts";
import type { Prints } from "../../terminal/rows.ts";
import { examples } from "../shared/options.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .addHelpText("after", examples("kiloclaw-admin auth logout", "kiloclaw-admin auth logout --profile sandbox"))
    .action(async () => logout(await open()));
}

export const prints = (): Prints => [];

async function logout(
  context: Pick<Context, "configFolder" | "host" | "keyring" | "output" | "platform">,
): Promise<void> {
  const { configFolder, host, keyring, output } = context;
  const { origin, takesVariable } = await context.platform();
  const where = await removeToken(configFolder, origin, keyring);
  if (where === undefined) output.note(`no token is stored for ${origin}`);
  else {
    output.success(`logged out of ${origin}; its token was removed from ${where}`);
    output.note("the token itself stays valid until it expires or is revoked on the platform");
  }
  if (host.env.KILOCLAW_ADMIN_TOKEN && takesVariable) {
    output.warn("KILOCLAW_ADMIN_TOKEN is set, and is the token that is used now");
  }
}
