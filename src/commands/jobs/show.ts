import type { Command } from "@commander-js/extra-typings";
import { isCalledOff } from "../../bulk/job/called-off.ts";
import { loadJob } from "../../bulk/job/job.ts";
import type { Context, OpenContext } from "../../context.ts";
import type { Prints } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { jobView, shownJob } from "../shared/job/details.ts";
import { settingsWords } from "../shared/job/options.ts";
import { jobArgument } from "../shared/job/view.ts";
import { examples } from "../shared/options.ts";
import { noRefresh, refreshed } from "./shared/refresh.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<job>", jobArgument)
    .option(...noRefresh)
    .addHelpText(
      "after",
      examples("kiloclaw-admin jobs show @latest", "kiloclaw-admin jobs show 7c1e9a52 --json") +
        "\n\nRuns in progress are asked about, where there is a login and a network; otherwise it says as of when it is. What became of" +
        "\neach target: kiloclaw-admin jobs report",
    )
    .action(async (id, { refresh }) => show(await open(), id, refresh));
}

export const prints = (): Prints => [{ view: jobView }];

async function show(context: Context, id: string, refresh: boolean): Promise<void> {
  const { output, paths } = context;
  output.expect(jobView);
  const job = await refreshed(context, await loadJob(paths.state, id), refresh);
  const { facts, settings, plan } = job;
  await output.item(shownJob(job), jobView);
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
  if (await isCalledOff(paths.state, facts.id)) output.note("it was cancelled with jobs cancel");
  if (job.mark.handedOver) output.note("it was exported or imported: another admin may be working on it");
  if (facts.state === "stopped" || facts.state === "open")
    output.note(hint`resume it: ${command("jobs resume", facts.id)}`);
  output.note(hint`full report: ${command("jobs report", facts.id)}`);
}
