import type { Command } from "@commander-js/extra-typings";
import { configPath } from "../../config/config-file.ts";
import type { OpenContext } from "../../program.ts";

export function configure(command: Command, open: OpenContext): void {
  command.action(async () => {
    const { output, paths } = await open();
    output.line(configPath(paths.config));
  });
}
