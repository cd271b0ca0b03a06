import type { Command } from "@commander-js/extra-typings";
import { configPath } from "../../config/config-file.ts";
import type { OpenContext } from "../../context.ts";
import type { Prints } from "../../terminal/rows.ts";
import { examples } from "../shared/options.ts";

export function configure(command: Command, open: OpenContext): void {
  command.addHelpText("after", examples('cat "$(kiloclaw-admin config path)"')).action(async () => {
    const { output, paths } = await open();
    output.line(configPath(paths.config));
  });
}

export const prints = (): Prints => [];
