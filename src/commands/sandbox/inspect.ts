import type { Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import type { InstanceReport } from "../../sandbox/control-api.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { examples } from "../shared/options.ts";
import { dataDirOption, orderly, runningSandbox, type DataDirOptions, type SandboxContext } from "./shared.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<instance>", "instance ID, or its user (e-mail or user ID)")
    .addOption(dataDirOption())
    .addHelpText("after", examples("kiloclaw-admin sandbox inspect jane@example.com"))
    .action(async (instance, options) => inspect(await open(), instance, options));
}

export const prints = (): Prints => [{ view: reportView }];

async function inspect(
  context: SandboxContext & Pick<Context, "output">,
  instance: string,
  options: DataDirOptions,
): Promise<void> {
  const sandbox = await runningSandbox(context, options);
  await context.output.item(await orderly(sandbox.instance(instance), "not-found"), reportView);
}

const reportView: View<InstanceReport> = {
  shape: "sandbox-instance",
  fields: ["id", "directory", "healthy", "problems"],
  id: ({ id }) => id,
  details: ({ id, directory, healthy, problems }) => [
    { label: "instance", value: id },
    { label: "files", value: directory },
    { label: "healthy", value: healthy ? "yes" : "no", color: healthy ? "green" : "red" },
    ...problems.map((problem) => ({ label: "problem", value: problem })),
  ],
};
