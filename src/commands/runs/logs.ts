import { resolve } from "node:path";
import { Option, type Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { writeWholeFile } from "../../files/whole-file.ts";
import { TRUNCATION_MARKER } from "../../runs/output/cursor.ts";
import { lastLines, linesFrom } from "../../runs/output/lines.ts";
import { RUN_FIELDS, type Run } from "../../runs/run.ts";
import { pollRun, UNSTORABLE } from "../../runs/settle/settle.ts";
import { refuseIfMachineIsDown } from "../../runs/watch/one.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { findRuns } from "../shared/find-runs.ts";
import {
  examples,
  intervalOption,
  RUN_ARGUMENT,
  tailOption,
  timeoutOption,
  userOption,
  wholeNumber,
} from "../shared/options.ts";
import { runView } from "../shared/run-view.ts";
import { followRun, type FollowOptions } from "./watch/follow.ts";

interface LogsOptions extends FollowOptions {
  readonly user?: string | undefined;
  readonly follow?: true | undefined;
  readonly sinceLine?: number | undefined;
  readonly save?: string | undefined;
  readonly raw?: true | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<run>", RUN_ARGUMENT)
    .addOption(userOption())
    .addOption(
      new Option("-f, --follow", "print new output as it comes, until the run ends").conflicts([
        "sinceLine",
        "save",
        "raw",
      ]),
    )
    .addOption(tailOption("only the last n lines; with --follow: of earlier output"))
    .addOption(new Option("--since-line <n>", "start at line n; the first is 1").argParser(wholeNumber(1, 10_000_000)))
    .option("--save <file>", "write the exact output to a file")
    .option("--raw", "print the exact output; not on a terminal")
    .addOption(intervalOption())
    .addOption(timeoutOption())
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin runs logs 3f2a91c4",
        "kiloclaw-admin runs logs 3f2a91c4 --tail 20",
        "kiloclaw-admin runs logs 3f2a91c4 --follow --tail 20",
        "kiloclaw-admin runs logs jane@example.com --save run.log",
      ) +
        "\n\nOn a terminal, long output goes through $PAGER (less -FRX where there is none); PAGER=cat prints it." +
        "\nCtrl-C stops following; it never cancels the run.",
    )
    .action(async (id, options) => logs(await open(), id, options));
}

export const prints = (): Prints => [{ view: logView }, { when: "--follow", events: "watch-event" }];

async function logs(context: Context, id: string, options: LogsOptions): Promise<void> {
  const { output, host } = context;
  if (options.raw && host.stdout.isTTY) {
    throw new CliError("usage", "--raw could drive this terminal; the output comes from the customer's machine", {
      hint: "redirect it, use --save FILE, or leave --raw out",
    });
  }
  const api = await context.api();
  const [run] = await findRuns(context, api, [id], options);
  if (!run) return;
  if (options.follow && run.status === "running") {
    await followRun(context, run, { ...options, all: options.tail === undefined });
    return;
  }
  const whole = await outputOf(context, run);
  const { sinceLine, tail } = options;
  if (sinceLine !== undefined && whole.startsWith(TRUNCATION_MARKER)) {
    output.warn("the machine cut the start of this output: lines are counted from there");
  }
  const rest = sinceLine === undefined ? whole : linesFrom(whole, sinceLine);
  const text = tail === undefined ? rest : lastLines(rest, tail).text;
  if (options.save !== undefined) {
    const path = resolve(host.cwd, options.save);
    await writeWholeFile(path, text);
    output.success(`saved ${text.length} characters to ${path}`);
  } else if (options.raw) {
    output.raw(text);
  } else if (output.format === "table") {
    if (whole === "") output.note("the run has written nothing");
    await output.page(text, { paged: !options.follow });
  } else {
    await output.item({ ...run, output: text }, logView);
  }
}

const logView: View<Run & { readonly output: string }> = {
  ...runView,
  shape: "run-output",
  fields: [...RUN_FIELDS, "output"],
};

/** The run's output, from the machine while it runs, then from its row; a cancelled run's from this machine. */
async function outputOf(context: Context, run: Run): Promise<string> {
  const { output } = context;
  const api = await context.api();
  if (run.status === "running") await refuseIfMachineIsDown(api, run);
  const { run: current, status, unstorable } = await pollRun(api, run);
  if (unstorable) output.note(`the run has ended, but ${UNSTORABLE}; this is what the platform says of it`);
  if (status.output !== null && !current.outcomeUnknown) return status.output;
  const cancelled = current.status === "cancelled";
  const { keptOutput } = await import("../../runs/output/kept.ts");
  const kept = await keptOutput(context.paths, run.id);
  if (kept === undefined && status.output !== null) {
    output.warn("the machine lost this run; what follows is the platform's own note");
    return status.output;
  }
  if (kept === undefined) {
    throw new CliError("not-found", `there is no output of run ${run.id} (${current.status})`, {
      hint: cancelled
        ? "the platform keeps none of a cancelled run, and it was not cancelled from this machine"
        : "it has not written anything",
    });
  }
  const why = cancelled ? "the platform keeps no output of a cancelled run" : "the platform has no output of this run";
  const when = cancelled ? "when it was cancelled" : "before the platform lost it";
  output.note(`${why}; this was kept here ${when}: ${kept.path}`);
  return kept.text;
}
