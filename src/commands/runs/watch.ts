import { InvalidArgumentError, Option, type Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { listRuns } from "../../runs/list.ts";
import type { Run } from "../../runs/run.ts";
import type { Prints } from "../../terminal/rows.ts";
import { instanceOption } from "../shared/instance-option.ts";
import { onEndOption } from "../shared/on-end.ts";
import { examples, intervalOption, RUNS_ARGUMENT, tailOption, timeoutOption, userOption } from "../shared/options.ts";
import { runView } from "../shared/run-view.ts";
import { sinceOption } from "../shared/when.ts";
import { initiatedByOption, searchOption, type FilterOptions } from "./shared/filter.ts";
import { pickRuns } from "./shared/pick.ts";
import { exitWithResult, followRun, type FollowOptions } from "./watch/follow.ts";

interface WatchOptions extends FollowOptions, Omit<FilterOptions, "status"> {
  readonly running?: true | undefined;
  readonly mine?: true | undefined;
  readonly failFast?: true | undefined;
  readonly exitStatus: boolean;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("[runs...]", RUNS_ARGUMENT)
    .addOption(userOption())
    .addOption(instanceOption())
    .option("--running", "all runs in progress that pass the filters, new ones too")
    .option("--mine", "all runs in progress that you started, new ones too")
    .addOption(initiatedByOption())
    .addOption(searchOption())
    .addOption(sinceOption("only runs started since"))
    .addOption(tailOption("only the last n lines of earlier output (default on a terminal: 50)"))
    .addOption(new Option("--all", "all earlier output").conflicts("tail"))
    .addOption(intervalOption())
    .addOption(timeoutOption())
    .addOption(new Option("--no-exit-status", "exit with 0 whatever the outcome"))
    .addOption(exitStatusOption())
    .option("--fail-fast", "stop watching several runs when the first of them fails; the others go on")
    .addOption(onEndOption())
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin runs watch 3f2a91c4",
        "kiloclaw-admin runs watch --user jane@example.com     the run in progress",
        "kiloclaw-admin runs watch 3f2a91c4 -o jsonl | jq -r 'select(.type == \"end\").run.status'",
        "kiloclaw-admin runs watch 3f2a91c4 77b0e1d2           several at once",
        "kiloclaw-admin runs watch --running --initiated-by admin --since 1h",
        `kiloclaw-admin runs watch --mine --on-end 'notify-send "$KILOCLAW_RUN_BUCKET" "$KILOCLAW_RUN_USER_EMAIL"'`,
      ) +
        "\n\nCtrl-C stops watching; it never cancels a run. In the table of several runs, ? lists the keys." +
        "\n\nThe exit code is the run's result, the worst of several:" +
        "\n  failed, outcome unknown, cancelled, still running, machine down, completed: help exit-codes",
    )
    .action(async (ids, options) => watch(await open(), ids, options));
}

export const prints = (): Prints => [{ events: "watch-event" }, { when: "several runs, -o csv", view: runView }];

/** The other way to write `--no-exit-status`. */
const exitStatusOption = () =>
  new Option("--exit-status <true|false>")
    .argParser((value: string) => {
      if (value !== "true" && value !== "false") throw new InvalidArgumentError("Give true or false.");
      return value === "true";
    })
    .default(true)
    .hideHelp();

async function watch(context: Context, ids: readonly string[], options: WatchOptions): Promise<void> {
  const { output } = context;
  const { runs, discover } = await chooseRuns(context, ids, options);
  const [run] = runs;
  // All that are in progress can become more, however many there are now.
  if (runs.length > 1 || options.running || options.mine || !run) {
    if (options.tail !== undefined || options.all) {
      throw new CliError("usage", "--tail and --all are for one run: of several, only the last line is shown");
    }
    const { followMany } = await import("./watch/follow-many.ts");
    return followMany(context, runs, { ...options, discover });
  }
  const ended = await followRun(context, run, options);
  if (!ended) return;
  if (output.format === "id") output.line(ended.id);
  if (options.exitStatus) exitWithResult(ended);
}

interface Choice {
  readonly runs: readonly Run[];
  /** Finds what passes the same filters later on. */
  readonly discover?: ((signal: AbortSignal) => AsyncIterable<Run>) | undefined;
}

async function chooseRuns(context: Context, ids: readonly string[], options: WatchOptions): Promise<Choice> {
  const { initiatedBy, running, mine } = options;
  if (mine && initiatedBy !== undefined && initiatedBy !== "me") {
    throw new CliError("usage", `--mine and --initiated-by ${initiatedBy} exclude each other`);
  }
  const api = await context.api();
  const { runs, filter } = await pickRuns(context, api, ids, {
    ...options,
    initiatedBy: mine ? "me" : initiatedBy,
    verb: "watch",
    all: (running ?? mine) === true,
    allFlags: "--running, --mine",
  });
  if (!filter) return { runs };
  return { runs, discover: (signal) => listRuns(api, filter, Number.MAX_SAFE_INTEGER, { signal }) };
}
