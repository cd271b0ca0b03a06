import type { Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import { resolveInstance, resolveUser } from "../../customers/find.ts";
import { getInstance } from "../../customers/instances.ts";
import type { Prints } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { examples } from "../shared/options.ts";
import { instanceView } from "./shared/view.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<instance>", "instance ID, or a user with one active instance (e-mail or user ID)")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin instances show jane@example.com",
        "kiloclaw-admin instances show d0000000-0000-4000-8000-000000000001 --json",
      ),
    )
    .action(async (name) => show(await open(), name));
}

export const prints = (): Prints => [{ view: instanceView }];

async function show(
  { api: open, choose, output }: Pick<Context, "api" | "choose" | "output">,
  name: string,
): Promise<void> {
  const api = await open();
  const subject = await resolveUser(api, name, choose);
  const { id } = subject.instance ?? (await resolveInstance(api, subject, undefined, { named: name, choose }));
  const instance = await getInstance(api, id);
  await output.item(instance, instanceView);
  if (instance.machineStatusError) output.warn(`the machine's status is not known: ${instance.machineStatusError}`);
  if (output.format === "table") output.note(hint`its runs: ${command("runs list", { "--instance": id })}`);
}
