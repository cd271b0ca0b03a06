import type { Command } from "@commander-js/extra-typings";
import { loadJob } from "../../bulk/job/job.ts";
import { summarize } from "../../bulk/job/summary.ts";
import type { Context, OpenContext } from "../../context.ts";
import { command, hint } from "../../typed-command.ts";
import { settingsWords } from "../shared/job/options.ts";
import { jobArgument, summaryView } from "../shared/job/view.ts";
import { examples } from "../shared/options.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<job>", jobArgument)
    .addHelpText(
      "after",
      examples("kiloclaw-admin jobs show @latest", "kiloclaw-admin jobs show 7c1e9a52 --json") +
        "\n\nNeeds no token and no network. What became of each target: kiloclaw-admin jobs report",
    )
    .action(async (id) => show(await open(), id));
}

async function show({ output, paths }: Context, id: string): Promise<void> {
  output.expect(summaryView);
  const job = await loadJob(paths.state, id);
  const { facts, settings, plan } = job;
  await output.item(summarize(job), summaryView);
  output.note(settingsWords(settings));
  const from =
    plan.source.path ??
    {
      users: "--user",
      file: "",
      stdin: "standard input",
      instances: "--from-instances",
      runs: "--from-runs",
      job: "an earlier job",
    }[plan.source.kind];
  output.note(`its targets came from ${from}`);
  if (facts.state === "stopped" || facts.state === "open")
    output.note(hint`resume it: ${command("jobs resume", facts.id)}`);
  output.note(hint`the whole of it: ${command("jobs report", facts.id)}`);
}
