import type { Command } from "@commander-js/extra-typings";
import { PromptTemplate } from "../../bulk/input/prompt-template.ts";
import { joinJobs } from "../../bulk/job/joined.ts";
import { makeReport, type JoinedShards, type Report } from "../../bulk/report/report.ts";
import { doubledWords, slicesWords } from "../../bulk/report/shards.ts";
import type { Context, OpenContext } from "../../context.ts";
import type { Prints } from "../../terminal/rows.ts";
import { sanitizeLine } from "../../terminal/sanitize.ts";
import { formatDuration } from "../../terminal/time.ts";
import { command, hint } from "../../typed-command.ts";
import { htmlTarget, writeHtml, type HtmlOptions, type HtmlTarget } from "../shared/html-file.ts";
import { itemView, jobArgument } from "../shared/job/view.ts";
import { examples } from "../shared/options.ts";
import { jobsNamed } from "./report/jobs-named.ts";
import { groupView, reportView } from "./report/view.ts";
import { noRefresh, refreshed } from "./shared/refresh.ts";

interface ReportOptions extends HtmlOptions {
  readonly refresh: boolean;
}

/** A person reads so many rows at most; the other formats have all. */
const MAX_ROWS = 100;
const MAX_DOUBLED = 10;

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<jobs...>", `${jobArgument}; several, or paths of other machines' jobs: the slices of a list`)
    .option("--html <file>", "write the report as one page for a browser; - is standard output")
    .option("--force", "replace the file, if there is one")
    .option(...noRefresh)
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin jobs report @latest",
        "kiloclaw-admin jobs report 7c1e9a52 --html INC-4711.html",
        "kiloclaw-admin jobs report 7c1e9a52 -o csv > INC-4711.csv",
        "kiloclaw-admin jobs report 7c1e9a52 --json | jq .totals",
        "kiloclaw-admin jobs report slices/*/ --html INC-4711.html",
      ) +
        "\n\nRuns in progress are asked about, where there is a login and a network; otherwise it says as of when it is." +
        "\n\nSlices of one list (--shard) are joined into one report, which says what is missing, and which instances two slices led to. A" +
        "\npath is that of a state folder, or of what jobs export has written; nothing is changed there." +
        "\n\njson is one object with the totals, the durations, the groups and every target; jsonl and csv are a line for each" +
        "\ntarget, id its run. The page is all in one file, loads and runs nothing, and can be printed; it holds customers'" +
        "\naddresses, so only you may read the file.",
    )
    .action(async (names, options) => report(await open(), names, options));
}

export const prints = (): Prints => [{ view: reportView }, { when: "-o jsonl, csv", view: itemView }];

async function report(
  context: Context,
  names: readonly string[],
  { refresh, ...options }: ReportOptions,
): Promise<void> {
  const { output } = context;
  const reportOf = async () => {
    const joined = joinJobs(await jobsNamed(context, names));
    const { facts, items, plan, shards } = await refreshed(context, joined, refresh);
    sayIncomplete(output, shards);
    return makeReport(facts, items, new PromptTemplate(plan.prompt), shards);
  };
  const target = await htmlTarget(context, options);
  if (target === undefined) {
    if (output.format === "json" || output.format === "yaml") output.expect(reportView);
    else output.expect(itemView);
    return show(output, names, await reportOf());
  }
  await writePage(context, target, await reportOf());
}

function sayIncomplete(output: Context["output"], shards: JoinedShards | null): void {
  if (!shards) return;
  const { missing, doubled } = shards;
  if (missing.length > 0) output.warn(`the report is incomplete: slices ${slicesWords(shards)}`);
  for (const one of doubled.slice(0, MAX_DOUBLED)) output.warn(`doubled: ${doubledWords(one)}`);
  const more = doubled.length - MAX_DOUBLED;
  if (more > 0) output.warn(`and ${more} more doubled; see them all with: --jq .shards.doubled`);
}

async function show(output: Context["output"], names: readonly string[], report: Report): Promise<void> {
  switch (output.format) {
    case "json":
    case "yaml":
      return output.item(report, reportView);
    case "id":
      return output.list(
        report.items.filter(({ runId }) => runId !== null),
        itemView,
        "",
      );
    case "jsonl":
    case "csv":
      return output.list(report.items, itemView, "");
    case "table":
      // Fields are a target's.
      return output.hasFields
        ? output.list(report.items, itemView, "the job has no targets")
        : summary(output, names, report);
  }
}

/** What somebody who has to act needs: how it went, what went wrong, and whom to look at. */
async function summary(output: Context["output"], names: readonly string[], report: Report): Promise<void> {
  await output.item(report, reportView);
  const open = report.items.filter(({ signature }) => signature !== null);
  if (open.length === 0) return;
  output.line("");
  await output.list(report.groups.slice(0, MAX_ROWS), groupView, "");
  output.line("");
  await output.list(open.slice(0, MAX_ROWS), itemView, "");
  const more = open.length - MAX_ROWS;
  if (more > 0)
    output.note(hint`and ${more} more that need attention: ${command("jobs report", ...names, { "--output": "csv" })}`);
}

async function writePage(context: Context, target: HtmlTarget, report: Report): Promise<void> {
  const { reportPage } = await import("../../bulk/report/page.ts");
  const pieces = reportPage(report, { clean: sanitizeLine, duration: formatDuration });
  await writeHtml(context, target, pieces, `the report of job ${report.job.id}`);
}
