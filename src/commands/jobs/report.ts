import { access } from "node:fs/promises";
import { resolve } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import { PromptTemplate } from "../../bulk/input/prompt-template.ts";
import { loadJob } from "../../bulk/job/job.ts";
import { makeReport, type Report } from "../../bulk/report/report.ts";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { writeWholeFile } from "../../files/whole-file.ts";
import type { Prints } from "../../terminal/rows.ts";
import { sanitizeLine } from "../../terminal/sanitize.ts";
import { formatDuration } from "../../terminal/time.ts";
import { command, hint } from "../../typed-command.ts";
import { itemView, jobArgument } from "../shared/job/view.ts";
import { examples } from "../shared/options.ts";
import { groupView, reportView } from "./report/view.ts";
import { noRefresh, refreshed } from "./shared/refresh.ts";

interface ReportOptions {
  readonly html?: string | undefined;
  readonly force?: true | undefined;
  readonly refresh: boolean;
}

/** A person reads so many rows at most; the other formats have all. */
const MAX_ROWS = 100;

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<job>", jobArgument)
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
      ) +
        "\n\nRuns in progress are asked about, where there is a login and a network; otherwise it says as of when it is." +
        "\n\njson is one object with the totals, the durations, the groups and every target; jsonl and csv are a line for each" +
        "\ntarget, id its run. The page is all in one file, loads and runs nothing, and can be printed; it holds customers'" +
        "\naddresses, so only you may read the file.",
    )
    .action(async (id, options) => report(await open(), id, options));
}

export const prints = (): Prints => [{ view: reportView }, { when: "-o jsonl, csv", view: itemView }];

async function report(context: Context, id: string, { html, force, refresh }: ReportOptions): Promise<void> {
  const { output, paths } = context;
  const reportOf = async () => {
    const { facts, items, plan } = await refreshed(context, await loadJob(paths.state, id), refresh);
    return makeReport(facts, items, new PromptTemplate(plan.prompt));
  };
  if (html === undefined) {
    if (force) throw new CliError("usage", "--force needs --html FILE");
    if (output.format === "json" || output.format === "yaml") output.expect(reportView);
    else output.expect(itemView);
    return show(output, await reportOf());
  }
  const target = await targetOf(context, html, force ?? false);
  await writePage(context, target, await reportOf());
}

async function show(output: Context["output"], report: Report): Promise<void> {
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
      return output.hasFields ? output.list(report.items, itemView, "the job has no targets") : summary(output, report);
  }
}

/** What somebody who has to act needs: how it went, what went wrong, and whom to look at. */
async function summary(output: Context["output"], report: Report): Promise<void> {
  await output.item(report, reportView);
  const open = report.items.filter(({ signature }) => signature !== null);
  if (open.length === 0) return;
  output.line("");
  await output.list(report.groups.slice(0, MAX_ROWS), groupView, "");
  output.line("");
  await output.list(open.slice(0, MAX_ROWS), itemView, "");
  const more = open.length - MAX_ROWS;
  if (more > 0)
    output.note(
      hint`and ${more} more that need attention: ${command("jobs report", report.job.id, { "--output": "csv" })}`,
    );
}

type Target = { readonly path: string } | "standard output";

/** Where the page goes; looked at before anything is read, so that nobody waits for a refusal. */
async function targetOf({ host }: Pick<Context, "host">, html: string, force: boolean): Promise<Target> {
  if (html === "-") {
    if (!host.stdout.isTTY) return "standard output";
    throw new CliError("usage", "an HTML page is not printed to a terminal", {
      hint: "redirect it, or name a file: --html FILE",
    });
  }
  const path = resolve(host.cwd, html);
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (!exists || force) return { path };
  throw new CliError("usage", `${path} exists already, and was left as it is`, {
    hint: "name another file, or replace it: --force",
  });
}

async function writePage({ output, closed }: Context, target: Target, report: Report): Promise<void> {
  const { reportPage } = await import("../../bulk/report/page.ts");
  const pieces = reportPage(report, { clean: sanitizeLine, duration: formatDuration });
  if (target === "standard output") {
    for (const piece of pieces) {
      if (closed.aborted) return;
      output.raw(piece);
    }
    return;
  }
  const { path } = target;
  // Customers' addresses are in it: whoever may read it gets it from its owner.
  await writeWholeFile(path, [...pieces].join(""));
  output.success(`wrote the report of job ${report.job.id} to ${path}`);
}
