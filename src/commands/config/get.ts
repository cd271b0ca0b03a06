import type { Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { Prints } from "../../terminal/rows.ts";
import { examples } from "../shared/options.ts";
import { readKey, settingsHelp } from "./shared.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<key>", "the setting")
    .addHelpText("after", () =>
      [
        settingsHelp(),
        "Prints the value in force, bare, whatever the output format. Where it comes from: config list --show-origin",
        examples("kiloclaw-admin config get host", "kiloclaw-admin config get host --profile staging"),
      ].join("\n"),
    )
    .action(async (key) => get(await open(), key));
}

export const prints = (): Prints => [];

async function get(context: Pick<Context, "output" | "settings">, text: string): Promise<void> {
  const key = readKey(text);
  const settings = await context.settings();
  // Which profile it would be is known without it, and helps to find the mistake.
  if (key !== "profile") settings.existingProfile();
  const { value } = settings.get(key);
  if (value === undefined) throw new CliError("not-found", `${key} has no value`);
  context.output.line(String(value));
}
