import { Option, type Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import type { Prints } from "../../terminal/rows.ts";
import { examples, once } from "../shared/options.ts";
import { dataDirOption, orderly, runningSandbox, type DataDirOptions, type SandboxContext } from "./shared.ts";

interface TokenOptions extends DataDirOptions {
  readonly as?: string | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(dataDirOption())
    .addOption(new Option("--as <email>", "whose token (default: the admin's)").argParser(once))
    .addHelpText(
      "after",
      examples(
        "KILOCLAW_ADMIN_TOKEN=$(kiloclaw-admin sandbox token --as plain@example.com) \\",
        "  kiloclaw-admin auth status --host $(kiloclaw-admin config get host --profile sandbox)     what a non-admin sees",
      ),
    )
    .action(async (options) => token(await open(), options));
}

export const prints = (): Prints => [];

async function token(context: SandboxContext & Pick<Context, "output">, options: TokenOptions): Promise<void> {
  const sandbox = await runningSandbox(context, options);
  const as = options.as ?? (await orderly(sandbox.status())).adminEmail;
  context.output.line(await orderly(sandbox.token(as), "not-found"));
}
