import type { Command } from "@commander-js/extra-typings";
import type { Context } from "../../context.ts";
import { CliError, messageOf } from "../../errors.ts";
import type { OpenContext } from "../../program.ts";
import { cancelRun, type Cancellation } from "../../runs/cancel.ts";
import { listRuns } from "../../runs/list.ts";
import { resolveRuns, resolveUser } from "../../runs/resolve.ts";
import { initiator, type Run } from "../../runs/run.ts";
import { formatAgo } from "../../terminal/time.ts";
import { settleRuns } from "../../runs/settle.ts";
import { examples, userOption, yesOption } from "../options.ts";
import { runStatusWord, runTook, runView } from "./view.ts";

interface CancelOptions {
  readonly user?: string | undefined;
  readonly yes?: true | undefined;
  readonly dryRun?: true | undefined;
  readonly force?: true | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("[runs...]", "run IDs, unique beginnings of them, or @latest with --user")
    .addOption(userOption())
    .addOption(yesOption())
    .option("--force", "also where the machine is down, which loses the run's outcome")
    .option("-n, --dry-run", "show what would be cancelled, and send nothing")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin runs cancel 3f2a91c4",
        "kiloclaw-admin runs cancel --user jane@example.com     the run in progress",
        "kiloclaw-admin runs cancel 3f2a91c4 77b0e1d2 --yes",
      ) + "\n\nThe output so far is kept on this machine: the platform does not keep that of a cancelled run.",
    )
    .action(async (ids, options) => cancel(await open(), ids, options));
}

async function cancel(context: Context, ids: readonly string[], options: CancelOptions): Promise<void> {
  const { output, prompter } = context;
  output.expect(runView);
  // What has ended meanwhile needs no confirmation.
  const { runs, machineDown } = await settleRuns(await context.api(), await chooseRuns(context, ids, options.user));
  const ended = runs.filter(({ status }) => status !== "running");
  for (const run of ended) sayResult(output, { run, alreadyEnded: true });
  if (machineDown.length > 0 && !options.force) {
    throw new CliError(
      "conflict",
      `the machine of ${machineDown.map(({ id }) => id).join(", ")} is not running: a cancel now would mark the run failed for good`,
      { hint: "start the machine first; or, if the run's outcome does not matter any more, add --force" },
    );
  }
  const running = runs.filter(({ status }) => status === "running");
  if (running.length > 0) {
    for (const run of running) {
      output.notes([
        { label: "run", value: run.id },
        { label: "user", value: run.userEmail ?? run.userId },
        { label: "instance", value: run.instanceId ?? "-" },
        { label: "started by", value: `${initiator(run)}, ${formatAgo(run.startedAt, new Date())}` },
      ]);
    }
    if (options.dryRun) return output.note("dry run: nothing was sent");
    await prompter.confirm(running.length === 1 ? "Cancel this run?" : `Cancel these ${running.length} runs?`, {
      yes: options.yes ?? false,
    });
  }
  const failures: unknown[] = [];
  for (const run of running) {
    if (context.stop.aborted) {
      output.warn(`not cancelled any more: ${run.id}`);
      continue;
    }
    try {
      ended.push(await cancelOne(context, run));
    } catch (error) {
      if (runs.length === 1) throw error;
      failures.push(error);
      output.warn(`${run.id}: ${messageOf(error)}`);
    }
  }
  if (output.format !== "table") await output.list(ended, runView, "");
  if (failures.length > 0) {
    throw new CliError("partial", `${failures.length} of ${runs.length} runs could not be cancelled`);
  }
}

async function cancelOne(context: Context, run: Run): Promise<Run> {
  const { output, paths } = context;
  const progress = await output.busy(`cancelling ${run.id}`);
  let kept: string | undefined;
  const { keepOutput } = await import("../../journal/outputs.ts");
  const cancelled = await cancelRun(
    await context.api(),
    run,
    async (text) => {
      if (text === "") return;
      // The customer's machine comes first: a full disk here is no reason to let the run go on.
      kept = await keepOutput(paths.state, run.id, text).catch((error: unknown) => {
        output.warn(messageOf(error));
        return undefined;
      });
    },
    context.stop,
  ).finally(() => progress.stop());
  sayResult(output, cancelled);
  if (kept !== undefined) output.note(`its output is kept: kiloclaw-admin runs logs ${run.id}  (${kept})`);
  return cancelled.run;
}

function sayResult(output: Context["output"], { run, alreadyEnded }: Cancellation): void {
  const became = run.exitCode === null ? runStatusWord(run) : `${runStatusWord(run)}, exit code ${run.exitCode}`;
  if (alreadyEnded) return output.note(`run ${run.id} had already ended: ${became}`);
  if (run.status === "running") {
    throw new CliError("still-running", `run ${run.id} is still running: the platform did not cancel it`, {
      hint: `try again: kiloclaw-admin runs cancel ${run.id}`,
      retryable: true,
    });
  }
  if (run.status === "cancelled") return output.success(`cancelled run ${run.id} after ${runTook(run)}`);
  output.note(`run ${run.id} ended before the cancel reached it: ${became}`);
}

async function chooseRuns(
  { api: open }: Pick<Context, "api">,
  ids: readonly string[],
  user: string | undefined,
): Promise<Run[]> {
  const api = await open();
  const subject = user === undefined ? undefined : await resolveUser(api, user);
  if (ids.length > 0) {
    const runs = await resolveRuns(api, ids, { subject });
    return [...new Map(runs.map((run) => [run.id, run])).values()];
  }
  if (!subject) {
    throw new CliError("usage", "say which run to cancel", {
      hint: ["kiloclaw-admin runs cancel RUN", "kiloclaw-admin runs cancel --user USER"],
    });
  }
  const running: Run[] = [];
  for await (const run of listRuns(api, { subject, status: "running" }, 100)) running.push(run);
  if (running.length > 0) return running;
  throw new CliError("not-found", `${subject.email ?? subject.userId} has no run in progress`, {
    hint: `see the runs there were: kiloclaw-admin runs list --user ${user ?? ""}`,
  });
}
