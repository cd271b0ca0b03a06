import type { Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import type { Prints } from "../../terminal/rows.ts";
import { examples } from "../shared/options.ts";
import { dataDirOption, orderly, runningSandbox, type DataDirOptions, type SandboxContext } from "./shared.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(dataDirOption())
    .addHelpText("after", examples("kiloclaw-admin sandbox stop"))
    .action(async (options) => stop(await open(), options));
}

export const prints = (): Prints => [];

async function stop(context: SandboxContext & Pick<Context, "output">, options: DataDirOptions): Promise<void> {
  const sandbox = await runningSandbox(context, options);
  await orderly(sandbox.stop());
  context.output.success(`the sandbox at ${sandbox.url} has stopped; its data is kept`);
}
