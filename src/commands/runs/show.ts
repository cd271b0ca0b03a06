import type { Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import { settleRuns, UNSTORABLE } from "../../runs/settle/settle.ts";
import type { Prints } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { findRuns } from "../shared/find-runs.ts";
import { examples, RUN_ARGUMENT, userOption } from "../shared/options.ts";
import { runView } from "./shared/view.ts";

interface ShowOptions {
  readonly user?: string | undefined;
  readonly refresh: boolean;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<run>", RUN_ARGUMENT)
    .addOption(userOption())
    .option("--no-refresh", "show what is recorded, without polling a running run")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin runs show 3f2a91c4",
        "kiloclaw-admin runs show jane@example.com     the run in progress, or the latest",
        "kiloclaw-admin runs show 3f2a91c4 --json",
      ),
    )
    .action(async (id, options) => show(await open(), id, options));
}

export const prints = (): Prints => [{ view: runView }];

async function show(
  context: Pick<Context, "api" | "choose" | "output">,
  id: string,
  options: ShowOptions,
): Promise<void> {
  const api = await context.api();
  const found = await findRuns(context, api, [id], options);
  const { runs, machineDown, unanswered, unstorable } = options.refresh
    ? await settleRuns(api, found)
    : { runs: found, machineDown: [], unanswered: [], unstorable: [] };
  for (const run of runs) await context.output.item(run, runView);
  if (machineDown.length > 0) {
    context.output.note("not polled: its machine is stopped, and polling would mark the run failed");
  }
  if (unstorable.length > 0) context.output.note(`${UNSTORABLE}: its row stays \`running\``);
  if (unanswered.length > 0) context.output.warn("the platform gave no answer about it: this is what is recorded");
  const [run] = runs;
  if (run && context.output.format === "table") context.output.note(hint`output: ${command("runs logs", run.id)}`);
}
