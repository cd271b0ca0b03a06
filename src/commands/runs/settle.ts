import { Option, type Command } from "@commander-js/extra-typings";
import type { Api } from "../../api/api.ts";
import { CONCURRENCY } from "../../async/pool.ts";
import type { Context, OpenContext } from "../../context.ts";
import { getInstance } from "../../customers/instances.ts";
import { CliError } from "../../errors.ts";
import { listRuns } from "../../runs/list.ts";
import type { Run } from "../../runs/run.ts";
import { giveUpRuns } from "../../runs/settle/give-up.ts";
import { sweepRuns } from "../../runs/settle/sweep.ts";
import type { Prints } from "../../terminal/rows.ts";
import { command, type OptionsToType } from "../../typed-command.ts";
import { confirmMany, confirmOptions, type ConfirmOptions } from "../shared/confirm-many.ts";
import { instanceOption } from "../shared/instance-option.ts";
import { sayWhatIsOpen } from "../shared/open-operations.ts";
import { examples, userOption, wholeNumber } from "../shared/options.ts";
import { runCount, runLines } from "../shared/run-view.ts";
import { whyOf, whyOptions, type WhyOptions } from "../shared/ticket-and-reason.ts";
import { settledView, SettleReport } from "./settle/report.ts";
import { resolveFilter } from "./shared/filter.ts";

interface SettleOptions extends ConfirmOptions, WhyOptions {
  readonly user?: string | undefined;
  readonly instance?: string | undefined;
  readonly all?: true | undefined;
  readonly concurrency: number;
  readonly force?: true | undefined;
  readonly ignoreStopped?: true | undefined;
  readonly dryRun?: true | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  const picked = command
    .addOption(userOption())
    .addOption(instanceOption())
    .option("-a, --all", "every run that is shown as running, of all customers")
    .addOption(
      new Option("--concurrency <n>", "how many to poll at a time").argParser(wholeNumber(1, 64)).default(CONCURRENCY),
    )
    .addOption(
      new Option("--ignore-stopped", "runs on stopped machines are left alone and are no error, for cron").conflicts(
        "force",
      ),
    )
    .option("--force", "also where the machine is not running: the platform marks such a run failed for good");
  whyOptions(confirmOptions(picked))
    .option("-n, --dry-run", "show which runs would be polled, and poll none")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin runs settle --all",
        "kiloclaw-admin runs settle --user jane@example.com",
        "kiloclaw-admin runs settle --all --ignore-stopped -q     for cron: prints nothing where nothing had ended",
      ) +
        "\n\nA run that has ended stays `running` until its status is polled; a new start would lose its outcome. Exits with 0 when" +
        "\nevery run could be polled, 9 when some could not or were left alone, 11 when the platform is unreachable. The whole" +
        "\nline for a crontab: kiloclaw-admin help cron",
    )
    .action(async (options) => settle(await open(), options));
}

export const prints = (): Prints => [{ view: settledView }];

async function settle(context: Context, options: SettleOptions): Promise<void> {
  const { output, prompter, stop } = context;
  output.expect(settledView);
  const { force = false, dryRun = false, concurrency } = options;
  checkSelection(options);
  if (force && !dryRun && options.yes !== true && !prompter.canAsk) {
    throw new CliError("usage", "--force needs a confirmation, and there is no terminal to ask on", {
      hint: "look at what it would do with --dry-run, then add --yes",
    });
  }
  const api = await context.api();
  const runs = await shownAsRunning(context, api, options);
  const report = new SettleReport(output, runs.length);
  const progress = await output.busy(`asking about ${runCount(runs.length)}`);
  const abandoned: Run[] = [];
  try {
    for await (const settlement of sweepRuns(api, runs, { concurrency, ask: !dryRun, stop })) {
      // With --force these are asked about in the end, when it is known how many they are.
      if (settlement.state === "machine-down" && force) abandoned.push(settlement.run);
      else await report.add(settlement);
      progress.show(`polled ${report.done} of ${runCount(runs.length)}`);
    }
    progress.stop();
    if (abandoned.length > 0 && !stop.aborted) {
      if (dryRun) for (const run of abandoned) await report.add({ run, state: "unasked", problem: null });
      else await giveUp(context, abandoned, options, report);
    }
  } finally {
    progress.stop();
    await report.show();
  }
  if (stop.aborted) {
    output.warn(`stopped after ${report.done} of ${runCount(runs.length)}; the others are unchanged`);
    return;
  }
  if (dryRun) return output.note("dry run: nothing was polled");
  report.throwIfPartial(selection(options), options);
}

/** Asks about runs that the platform will mark failed for it. */
async function giveUp(
  context: Context,
  runs: readonly Run[],
  options: SettleOptions,
  report: SettleReport,
): Promise<void> {
  const { output, prompter, stop } = context;
  const ledger = await context.ledger("settle", await whyOf(context, options));
  await sayWhatIsOpen(context, ledger, runs);
  output.notes(runLines(runs, output.now()), { needed: prompter.canAsk && options.yes !== true });
  try {
    await confirmMany(
      context,
      `Have ${runs.length === 1 ? "this run" : `these ${runs.length} runs`} marked failed for good? The machine is not running.`,
      runs.length,
      options,
    );
  } catch (error) {
    for (const run of runs) await report.add({ run, state: "machine-down", problem: "its machine is not running" });
    throw error;
  }
  for await (const settlement of giveUpRuns(await context.api(), runs, ledger, {
    concurrency: options.concurrency,
    stop,
  })) {
    await report.add(settlement);
  }
}

function checkSelection({ user, instance, all }: SettleOptions): void {
  if (all !== undefined && (user !== undefined || instance !== undefined)) {
    throw new CliError("usage", "--all excludes --user and --instance");
  }
  if (all === undefined && user === undefined && instance === undefined) {
    throw new CliError("usage", "say whose runs to settle", {
      hint: [
        command("runs settle", { "--user": "USER" }),
        command("runs settle", { "--instance": "INSTANCE" }),
        command("runs settle", { "--all": true }),
      ],
    });
  }
}

/** The options that say whose runs are meant, as they are typed. */
function selection({ user, instance }: SettleOptions): OptionsToType {
  if (user === undefined && instance === undefined) return { "--all": true };
  return { "--user": user, "--instance": instance };
}

/** All of them before the first is asked about: a run that is settled drops out of the list, and its pages would shift. */
async function shownAsRunning(context: Context, api: Api, { user, instance }: SettleOptions): Promise<Run[]> {
  const filter = await resolveFilter(context, api, { user, instance, status: "running" });
  // A mistyped ID has no runs, which would look like all is well.
  if (instance !== undefined) await getInstance(api, instance);
  const runs: Run[] = [];
  // Nobody looks at the prompts here, and each can be 10,000 characters.
  for await (const run of listRuns(api, filter, Number.MAX_SAFE_INTEGER)) runs.push({ ...run, prompt: "" });
  return runs;
}
