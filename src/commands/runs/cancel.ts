import type { Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import type { Prints } from "../../terminal/rows.ts";
import { cancelRuns, lossOptions, type CancelOptions } from "../shared/cancel-runs.ts";
import { confirmOptions } from "../shared/confirm-many.ts";
import { instanceOption } from "../shared/instance-option.ts";
import { examples, userOption } from "../shared/options.ts";
import { runView } from "../shared/run-view.ts";
import { whyOptions } from "../shared/ticket-and-reason.ts";
import { sinceOption } from "../shared/when.ts";
import { initiatedByOption, saySince, searchOption, type FilterOptions } from "./shared/filter.ts";
import { pickRuns } from "./shared/pick.ts";

interface PickAndCancelOptions extends FilterOptions, CancelOptions {
  readonly running?: true | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  const picked = command
    .argument("[runs...]", "run IDs, unique prefixes, customers (with one run in progress), or @latest with --user")
    .addOption(userOption())
    .addOption(instanceOption())
    .option("--running", "all runs in progress that pass the filters")
    .addOption(initiatedByOption())
    .addOption(searchOption())
    .addOption(sinceOption("only runs started since"));
  lossOptions(whyOptions(confirmOptions(picked)))
    .option("-n, --dry-run", "show what would be cancelled, and cancel nothing")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin runs cancel 3f2a91c4",
        "kiloclaw-admin runs cancel --user jane@example.com     the run in progress",
        "kiloclaw-admin runs cancel 3f2a91c4 77b0e1d2 --yes",
        "kiloclaw-admin runs cancel --running --initiated-by me --since 1h --dry-run",
        "kiloclaw-admin runs cancel --running --search 'bad prompt' --yes --expect-count 40",
      ) + "\n\nThe output so far is kept on this machine: the platform does not keep that of a cancelled run.",
    )
    .action(async (ids, options) => cancel(await open(), ids, options));
}

export const prints = (): Prints => [{ view: runView }];

async function cancel(context: Context, ids: readonly string[], options: PickAndCancelOptions): Promise<void> {
  context.output.expect(runView);
  const { runs } = await pickRuns(context, await context.api(), ids, {
    ...options,
    verb: "cancel",
    all: options.running === true || options.instance !== undefined,
    allFlags: "--running",
    onPicked: (filter) => saySince(context, filter),
  });
  await cancelRuns(context, runs, options);
}
