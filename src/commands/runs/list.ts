import { Option, type Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import { runStatus } from "../../contract/procedures.ts";
import { CliError } from "../../errors.ts";
import { listRuns } from "../../runs/list.ts";
import type { Run } from "../../runs/run.ts";
import { settleRuns, UNSTORABLE } from "../../runs/settle/settle.ts";
import type { Prints } from "../../terminal/rows.ts";
import { sayCut, type Cut } from "../shared/cut-list.ts";
import { instanceOption } from "../shared/instance-option.ts";
import { examples, intervalOption, limitOption, timeoutOption, userOption } from "../shared/options.ts";
import { runCount, runView } from "../shared/run-view.ts";
import { sinceOption } from "../shared/when.ts";
import { initiatedByOption, resolveFilter, searchOption, type FilterOptions } from "./shared/filter.ts";

interface ListOptions extends FilterOptions {
  readonly limit: number;
  readonly refresh: boolean;
  readonly watch?: true | undefined;
  readonly interval?: number | undefined;
  readonly timeout?: number | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(userOption())
    .addOption(instanceOption())
    .addOption(new Option("-s, --status <status>", "only runs with this status").choices(runStatus.options))
    .addOption(initiatedByOption())
    .addOption(searchOption())
    .addOption(sinceOption("only runs started since"))
    .addOption(limitOption(30))
    .option("--no-refresh", "show what is recorded, without polling running runs")
    .addOption(new Option("-w, --watch", "keep the list on the screen, up to date").conflicts("refresh"))
    .addOption(intervalOption())
    .addOption(timeoutOption())
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin runs list --status running",
        "kiloclaw-admin runs list --user jane@example.com --since 1d",
        "kiloclaw-admin runs list --status failed --since 2h -o csv > failed.csv",
        "kiloclaw-admin runs list --watch --since 1h",
      ),
    )
    .action(async (options) => {
      const { watch, interval, timeout } = options;
      if (watch) return (await import("./watch/follow-list.ts")).followList(await open(), options);
      if (interval === undefined && timeout === undefined) return list(await open(), options);
      throw new CliError("usage", "--interval and --timeout need --watch");
    });
}

export const prints = (): Prints => [{ view: runView }, { when: "--watch", events: "watch-event" }];

async function list(context: Pick<Context, "api" | "choose" | "me" | "output">, options: ListOptions): Promise<void> {
  const { output } = context;
  const { limit, status } = options;
  const api = await context.api();
  const listed: Run[] = [];
  let cut: Cut | undefined;
  const onCut = (total: number | undefined) => (cut = { total });
  for await (const run of listRuns(api, await resolveFilter(context, api, options), limit, { onCut })) listed.push(run);
  if (!options.refresh) {
    await output.list(listed, runView, "no runs");
    return sayCut(context, listed.length, cut);
  }

  const { runs, machineDown, unanswered, unstorable } = await settleRuns(api, listed);
  const shown = status === undefined ? runs : runs.filter((run) => run.status === status);
  await output.list(shown, runView, "no runs");
  const recorded = runs.length - shown.length - unstorable.filter((run) => !shown.includes(run)).length;
  if (recorded > 0) output.note(`${runCount(recorded)} had ended; this is now recorded`);
  for (const { id } of unstorable) output.note(`run ${id} has ended, but ${UNSTORABLE}: its row stays \`running\``);
  if (machineDown.length > 0) {
    output.note(
      machineDown.length === 1
        ? "1 run not polled: its machine is stopped, and polling would mark it failed"
        : `${machineDown.length} runs not polled: their machines are stopped, and polling would mark them failed`,
    );
  }
  // What had ended has left the list, and the platform's number with it.
  sayCut(context, shown.length, cut && { total: shown.length === listed.length ? cut.total : undefined });
  if (unanswered.length > 0) output.warn(`${runCount(unanswered.length)} could not be refreshed`);
}
