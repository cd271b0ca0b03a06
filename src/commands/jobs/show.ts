import type { Command } from "@commander-js/extra-typings";
import { PromptTemplate } from "../../bulk/input/prompt-template.ts";
import { loadJob, type Job } from "../../bulk/job/job.ts";
import { summarize, SUMMARY_FIELDS, type JobSummary } from "../../bulk/job/summary.ts";
import { shownPrompt, type JobFacts, type Report } from "../../bulk/report/report.ts";
import type { Context, OpenContext } from "../../context.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { settingsWords } from "../shared/job/options.ts";
import { promptDetails } from "../shared/job/prompt-view.ts";
import { jobArgument, jobLines, totalLines } from "../shared/job/view.ts";
import { examples } from "../shared/options.ts";
import { noRefresh, refreshed } from "./shared/refresh.ts";

/** A job with its prompt. The names are the JSON output's: a public interface. */
interface ShownJob extends JobSummary, Pick<Report, "prompt" | "example"> {
  readonly facts: JobFacts;
}

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
  if (facts.state === "stopped" || facts.state === "open")
    output.note(hint`resume it: ${command("jobs resume", facts.id)}`);
  output.note(hint`full report: ${command("jobs report", facts.id)}`);
}

function shownJob(job: Job): ShownJob {
  const { facts, items, plan } = job;
  return { ...summarize(job), ...shownPrompt(new PromptTemplate(plan.prompt), items), facts };
}

const jobView: View<ShownJob> = {
  shape: "job-details",
  fields: [...SUMMARY_FIELDS, "prompt", "example"] as const satisfies readonly (keyof ShownJob)[],
  id: ({ id }) => id,
  details: (job, when) => [...jobLines(job.facts, when), ...totalLines(job.totals), ...promptDetails(job)],
};
