import type { Command } from "@commander-js/extra-typings";
import { jobJournals } from "../../bulk/job/job.ts";
import { summaryOf, type JobSummary } from "../../bulk/job/summary.ts";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { Prints } from "../../terminal/rows.ts";
import { sayCut } from "../shared/cut-list.ts";
import { summaryView } from "../shared/job/view.ts";
import { examples, limitOption } from "../shared/options.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(limitOption(30))
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin jobs list",
        "kiloclaw-admin jobs list --json | jq '.[] | select(.state != \"done\").id'",
      ) + "\n\nThe jobs of this machine, newest first. Needs no token and no network.",
    )
    .action(async (options) => list(await open(), options));
}

export const prints = (): Prints => [{ view: summaryView }];

async function list({ output, paths }: Context, { limit }: { readonly limit: number }): Promise<void> {
  output.expect(summaryView);
  const found: JobSummary[] = [];
  const journals = (await jobJournals(paths.state)).toReversed();
  for (const file of journals.slice(0, limit)) {
    try {
      found.push(await summaryOf(file));
    } catch (error) {
      // One that cannot be read must not hide the others.
      if (!(error instanceof CliError)) throw error;
      output.warn(error.message);
    }
  }
  await output.list(found, summaryView, "this machine has no jobs");
  sayCut({ output }, found.length, journals.length > limit ? { total: journals.length } : undefined);
}
