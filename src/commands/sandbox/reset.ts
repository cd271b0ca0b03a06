import type { Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import type { Prints } from "../../terminal/rows.ts";
import { examples, yesOption } from "../shared/options.ts";
import { dataDirOption, meantDataDir, orderly, type DataDirOptions, type SandboxContext } from "./shared.ts";

interface ResetOptions extends DataDirOptions {
  readonly yes?: true | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(dataDirOption())
    .addOption(yesOption())
    .addHelpText("after", examples("kiloclaw-admin sandbox reset", "kiloclaw-admin sandbox reset --yes"))
    .action(async (options) => reset(await open(), options));
}

export const prints = (): Prints => [];

async function reset(
  context: SandboxContext & Pick<Context, "output" | "prompter">,
  options: ResetOptions,
): Promise<void> {
  const { output, prompter } = context;
  const { deleteSandbox, findSandbox } = await import("../../sandbox/remote.ts");
  const dataDir = await meantDataDir(context, options);
  const sandbox = await orderly(findSandbox(dataDir));
  await prompter.confirm(`Delete all runs and instances of the sandbox in ${dataDir}?`, { yes: options.yes ?? false });
  if (sandbox) {
    await orderly(sandbox.reset());
    return output.success(`the sandbox at ${sandbox.url} was reset; your token stays valid`);
  }
  if (await orderly(deleteSandbox(dataDir))) return output.success(`deleted ${dataDir}`);
  output.note(`there is nothing in ${dataDir}`);
}
