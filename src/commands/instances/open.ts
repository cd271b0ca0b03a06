import type { Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import { resolveInstance, resolveUser } from "../../customers/find.ts";
import { examples } from "../shared/options.ts";
import { instancePage, openPage, pagePrints, printOption } from "../shared/platform-page.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<instance>", "instance ID, or a user with one active instance (e-mail or user ID)")
    .addOption(printOption())
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin instances open jane@example.com",
        "kiloclaw-admin instances open d0000000-0000-4000-8000-000000000001 --print",
      ) + "\n\nThe platform's page of the instance, where an admin starts its machine. You sign in there as yourself.",
    )
    .action(async (name, options) => openInstance(await open(), name, options));
}

export const prints = pagePrints;

async function openInstance(
  context: Pick<Context, "api" | "choose" | "host" | "output" | "platform" | "signedInPage">,
  name: string,
  options: { readonly print?: true | undefined },
): Promise<void> {
  const { choose } = context;
  const api = await context.api();
  const subject = await resolveUser(api, name, choose);
  const { id } = subject.instance ?? (await resolveInstance(api, subject, undefined, { named: name, choose }));
  await openPage(context, instancePage(id), options);
}
