import type { Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import { recordedStart, type RecordedStart } from "../../journal/recorded-start.ts";
import type { Run } from "../../runs/run.ts";
import { settleRuns, UNSTORABLE } from "../../runs/settle/settle.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { findRuns } from "../shared/find-runs.ts";
import { examples, RUN_ARGUMENT, userOption } from "../shared/options.ts";
import { runView } from "../shared/run-view.ts";

interface ShowOptions {
  readonly user?: string | undefined;
  readonly refresh: boolean;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<run>", RUN_ARGUMENT)
    .addOption(userOption())
    .option("--no-refresh", "show what is recorded, without polling a running run")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin runs show 3f2a91c4",
        "kiloclaw-admin runs show jane@example.com     the run in progress, or the latest",
        "kiloclaw-admin runs show 3f2a91c4 --json",
      ),
    )
    .action(async (id, options) => show(await open(), id, options));
}

interface ShownRun extends Run, Pick<RecordedStart, "retryOf" | "retriedAs"> {
  readonly playbook: string | null;
  readonly playbookSha256: string | null;
}

/** A run with its playbook and the links to its retries: fields in machine formats, notes on a terminal. */
const showView: View<ShownRun> = {
  ...(runView as View<ShownRun>),
  shape: "run-details",
  fields: [...runView.fields, "retryOf", "retriedAs", "playbook", "playbookSha256"],
};

export const prints = (): Prints => [{ view: showView }];

async function show(
  context: Pick<Context, "api" | "choose" | "output" | "paths">,
  id: string,
  options: ShowOptions,
): Promise<void> {
  const api = await context.api();
  const found = await findRuns(context, api, [id], options);
  const { runs, machineDown, unanswered, unstorable } = options.refresh
    ? await settleRuns(api, found)
    : { runs: found, machineDown: [], unanswered: [], unstorable: [] };
  const [run] = runs;
  if (!run) return;
  const { playbook, ...retries } = await recordedStart(context.paths.state, run);
  const marks = { playbook: playbook?.name ?? null, playbookSha256: playbook?.sha256 ?? null };
  await context.output.item({ ...run, ...retries, ...marks }, showView);
  if (machineDown.length > 0) {
    context.output.note("not polled: its machine is stopped, and polling would mark the run failed");
  }
  if (unstorable.length > 0) context.output.note(`${UNSTORABLE}: its row stays \`running\``);
  if (unanswered.length > 0) context.output.warn("the platform gave no answer about it: this is what is recorded");
  if (context.output.format !== "table") return;
  if (playbook) context.output.note(`playbook: ${playbook.name} (SHA-256 ${playbook.sha256})`);
  if (retries.retryOf !== null) context.output.note(hint`retry of: ${command("runs show", retries.retryOf)}`);
  for (const id of retries.retriedAs) context.output.note(hint`retried as: ${command("runs show", id)}`);
  context.output.note(hint`output: ${command("runs logs", run.id)}`);
  if (run.status === "failed" && retries.retriedAs.length === 0) {
    context.output.note(hint`once the cause is fixed: ${command("runs retry", run.id)}`);
  }
}
